import { after, before } from 'node:test';
import { controllers } from './controllers.ts';
import { gatewayApi } from './gateway-api.ts';
import { installing } from './installing.ts';
import { modelServices } from './model-services.ts';
import { OneNode } from './one-node.ts';
import { rendered } from './rendered.ts';
import { secondInstall, uninstall } from './installs.ts';
import { security } from './security.ts';
import { sharing } from './sharing.ts';
import { underLoad } from './under-load.ts';
import { walkthrough } from './walkthrough.ts';

/** The walkthrough on a real Kubernetes of one node, with real pods, Services, DNS and Helm; one test after the other. */
const on = new OneNode();
before(() => on.start());
after(() => on.stop());

installing(on);
walkthrough(on);
sharing(on);
underLoad(on);
secondInstall(on);
gatewayApi(on);
security(on);
rendered(on);
controllers(on);
modelServices(on);
uninstall(on);
