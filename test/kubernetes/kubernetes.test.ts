import { after, before } from 'node:test';
import { modelServices } from './model-services.ts';
import { OneNode } from './one-node.ts';
import { rendered } from './rendered.ts';
import { secondInstall, uninstall } from './installs.ts';
import { underLoad } from './under-load.ts';
import { walkthrough } from './walkthrough.ts';

/** The walkthrough on a real Kubernetes of one node, with real pods, Services, DNS and Helm; one test after the other. */
const on = new OneNode();
before(() => on.start());
after(() => on.stop());

walkthrough(on);
underLoad(on);
secondInstall(on);
rendered(on);
modelServices(on);
uninstall(on);
