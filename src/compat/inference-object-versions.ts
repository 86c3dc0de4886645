/** Under which groups and versions InferenceObjective and InferenceModelRewrite were and are known. */
export const inferenceObjectVersions = [
  'llm-d.ai/v1',
  'llm-d.ai/v1alpha2',
  'inference.networking.x-k8s.io/v1alpha2',
] as const;
