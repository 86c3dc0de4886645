import type { Placeholders } from '../presets.ts';
import type { RenderContext } from './render.ts';

/** What a preset's placeholders stand for, under the names of the original's templates. */
export function placeholdersOf({ modelService, names }: RenderContext): Placeholders {
  const { spec, name, namespace } = modelService;
  const { modelName, servedModelNames } = spec.routing;
  const { path, repository } = artifacts(spec.modelArtifacts?.uri, modelName);
  return {
    ModelServiceName: name,
    ModelServiceNamespace: namespace,
    ModelName: modelName,
    /** The model's name and those that it is also served under: several arguments. */
    ServedModelNames: [modelName, ...servedModelNames],
    /** Value of the label `llm-d.ai/model`. */
    ModelLabel: names.model,
    SanitizedModelName: names.model,
    HFModelName: repository,
    ModelPath: path,
    AuthSecretName: spec.modelArtifacts?.authSecretName ?? '',
    InferencePoolName: names.inferencePool,
    EPPServiceName: names.eppService,
    EPPDeploymentName: names.epp,
    DecodeDeploymentName: names.decode,
    PrefillDeploymentName: names.prefill,
    DecodeServiceName: names.decodeService,
    PrefillServiceName: names.prefillService,
  };
}

/** What the engine is to load, and the repository it comes from. A claim is mounted at /models. */
function artifacts(uri: string | undefined, modelName: string): { path: string; repository: string } {
  const claim = claimOf(uri);
  if (claim !== null) return { path: `/models/${claim.path}`, repository: modelName };
  const repository = uri?.startsWith('hf://') === true ? uri.slice('hf://'.length) : modelName;
  return { path: repository, repository };
}

/** Claim and path of `pvc://CLAIM/PATH`. */
export function claimOf(uri: string | undefined): { readonly claim: string; readonly path: string } | null {
  const match = /^pvc:\/\/([^/]+)\/(.+)$/.exec(uri ?? '');
  return match === null ? null : { claim: match[1]!, path: match[2]! };
}
