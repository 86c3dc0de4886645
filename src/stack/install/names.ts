/** The Helm release in each namespace. */
export const release = 'llm-d';

/** The label, as a selector, on namespaces and Secrets that the installer made. */
export const ours = 'app.kubernetes.io/managed-by=signalbox-install';

/** The gateway's Deployment, Service, or Gateway. */
export const gatewayName = 'llm-d-inference-gateway';

/** Its pods, as a selector. */
export const gatewayPods = `app=${gatewayName}`;
