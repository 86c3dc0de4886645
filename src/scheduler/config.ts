import { z } from 'zod';
import { SignalboxError } from '../base/errors.ts';
import { hashJson } from '../base/hash.ts';
import { didYouMean } from '../base/suggest.ts';
import { fileError, readYaml, validate, type FileIssue, type YamlFile } from '../base/yaml.ts';
import type {
  Configured,
  Decider,
  Filter,
  Picker,
  PickerDefinition,
  PluginDefinition,
  ProfileHandler,
  Scorer,
  Stateful,
} from './plugin.ts';
import { flowControlSchema, holdRule } from './flow-control.ts';
import { pluginByType } from './plugins/index.ts';
import { singleProfileHandler } from './plugins/profile-handlers/single-profile-handler.ts';
import type { Policy, Profile } from './policy.ts';

const apiVersions = ['llm-d.ai/v1alpha1', 'inference.networking.x-k8s.io/v1alpha1'] as const;

const schema = z.strictObject({
  apiVersion: z.enum(apiVersions),
  kind: z.literal('EndpointPickerConfig'),
  plugins: z.array(
    z.strictObject({
      name: z.string().min(1).optional(),
      type: z.string().min(1),
      parameters: z.record(z.string(), z.unknown()).nullable().optional(),
    }),
  ),
  schedulingProfiles: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        plugins: z.array(z.strictObject({ pluginRef: z.string().min(1), weight: z.number().min(0).optional() })),
      }),
    )
    .min(1),
  flowControl: flowControlSchema.optional(),
});

/** An EndpointPickerConfig as written. */
export type EndpointPickerConfig = z.input<typeof schema>;

/**
 * Reads an EndpointPickerConfig (YAML or JSON). `name` is what the policy is called in Decisions.
 * Throws `config_invalid` naming every fault with file, line and column.
 */
export function readPolicy(text: string, fileName: string, name: string): Policy {
  return compile(readYaml(text, fileName), name);
}

/** The same from a value built by the program (environment switches, the default). */
export function policyFromConfig(config: EndpointPickerConfig, name: string): Policy {
  return readPolicy(JSON.stringify(config), name, name);
}

interface Created {
  readonly definition: PluginDefinition;
  readonly instance: unknown;
  readonly stateIndex: number;
}

function compile(file: YamlFile, name: string): Policy {
  const config = validate(file, schema);
  const issues: FileIssue[] = [];
  const stateful: Stateful<unknown>[] = [];
  const created = new Map<string, Created>();
  const profileNames = config.schedulingProfiles.map((profile) => profile.name);
  const resolved: unknown[] = [];
  const deciders = new Map<string, Decider>();
  const handlers: { readonly at: string; create(configured: Configured): ProfileHandler }[] = [];

  for (const [index, plugin] of config.plugins.entries()) {
    const pluginName = plugin.name ?? plugin.type;
    const definition = pluginByType.get(plugin.type);
    if (definition === undefined) {
      const message = `no plugin of type "${plugin.type}"${didYouMean(plugin.type, [...pluginByType.keys()])}`;
      issues.push({ at: file.at(['plugins', index, 'type']), message });
      continue;
    }
    if (created.has(pluginName)) {
      issues.push({ at: file.at(['plugins', index]), message: `a plugin named "${pluginName}" is there already` });
      continue;
    }
    try {
      const parameters = validate(file, definition.parameters, plugin.parameters ?? {}, [
        'plugins',
        index,
        'parameters',
      ]);
      resolved.push({ name: pluginName, type: plugin.type, parameters });
      // A handler may refer to plugins that stand further down.
      if (definition.kind === 'profile-handler') {
        handlers.push({ at: file.at(['plugins', index]), create: (all) => definition.create(parameters, all) });
        created.set(pluginName, { definition, instance: null, stateIndex: -1 });
        continue;
      }
      const instance = definition.create(parameters);
      const stateIndex = isStateful(instance) ? stateful.push(instance) - 1 : -1;
      created.set(pluginName, { definition, instance, stateIndex });
      if (definition.kind === 'decider') deciders.set(pluginName, instance as Decider);
    } catch (error) {
      if (!(error instanceof SignalboxError)) throw error;
      issues.push(issueOf(error, file.at(['plugins', index])));
    }
  }
  // References to plugins that are themselves at fault would only repeat what was said.
  if (issues.length > 0) throw fileError(issues);

  const profiles = new Map<string, Profile>();
  for (const [index, profile] of config.schedulingProfiles.entries()) {
    if (profiles.has(profile.name)) {
      issues.push({
        at: file.at(['schedulingProfiles', index]),
        message: `a profile "${profile.name}" is there already`,
      });
      continue;
    }
    profiles.set(profile.name, compileProfile(file, index, profile, created, issues));
  }
  if (issues.length > 0) throw fileError(issues);

  if (handlers.length > 1) {
    throw fileError([{ at: file.at(['plugins']), message: 'more than one profile handler is configured' }]);
  }
  const [asked] = handlers;
  const configured: Configured = { profiles: profileNames, deciders };
  let handler: ProfileHandler;
  try {
    handler = asked === undefined ? singleProfileHandler.create({}, configured) : asked.create(configured);
  } catch (error) {
    if (!(error instanceof SignalboxError) || asked === undefined) throw error;
    throw fileError([issueOf(error, asked.at)]);
  }
  const hold = config.flowControl === undefined ? null : holdRule(config.flowControl);
  return {
    name,
    hash: hashJson({ plugins: resolved, profiles: config.schedulingProfiles, ...(hold === null ? {} : { hold }) }),
    handler,
    profiles,
    stateful,
    hold,
    usesSessions: [...profiles.values()].some(({ filters, scorers }) =>
      [...filters, ...scorers].some(({ type }) => type.startsWith('session-affinity-')),
    ),
  };
}

function compileProfile(
  file: YamlFile,
  index: number,
  profile: { name: string; plugins: readonly { pluginRef: string; weight?: number | undefined }[] },
  created: ReadonlyMap<string, Created>,
  issues: FileIssue[],
): Profile {
  const filters: Profile['filters'][number][] = [];
  const scorers: Profile['scorers'][number][] = [];
  const pickers: Profile['picker'][] = [];
  for (const [position, { pluginRef, weight }] of profile.plugins.entries()) {
    const path = ['schedulingProfiles', index, 'plugins', position];
    const plugin = created.get(pluginRef);
    if (plugin === undefined) {
      const message = `no plugin is named "${pluginRef}"${didYouMean(pluginRef, [...created.keys()])}`;
      issues.push({ at: file.at([...path, 'pluginRef']), message });
      continue;
    }
    const { definition, stateIndex } = plugin;
    const used = { plugin: pluginRef, type: definition.type, stateIndex };
    if (weight !== undefined && definition.kind !== 'scorer') {
      issues.push({ at: file.at([...path, 'weight']), message: `a ${definition.kind} has no weight` });
    }
    switch (definition.kind) {
      case 'filter':
        filters.push({ ...used, instance: plugin.instance as Filter });
        break;
      case 'scorer':
        scorers.push({ ...used, instance: plugin.instance as Scorer, unit: definition.unit, weight: weight ?? 1 });
        break;
      case 'picker':
        pickers.push({ ...used, instance: plugin.instance as Picker, unit: definition.unit });
        break;
      case 'profile-handler':
      case 'decider':
        break;
    }
  }
  const units = new Set(scorers.map((scorer) => scorer.unit));
  const unit = scorers[0]?.unit ?? pickers[0]?.unit ?? 'share';
  const place = file.at(['schedulingProfiles', index]);
  if (units.size > 1) {
    issues.push({ at: place, message: `profile "${profile.name}" mixes scorers in share and in seconds` });
  }
  if (pickers.length > 1) issues.push({ at: place, message: `profile "${profile.name}" has more than one picker` });
  const picker = pickers[0] ?? defaultPicker(unit);
  if (picker.unit !== unit && scorers.length > 0 && units.size === 1) {
    const message = `profile "${profile.name}" scores in ${unit}, but its picker ${picker.type} wants ${picker.unit}`;
    issues.push({ at: place, message });
  }
  return { name: profile.name, filters, scorers, picker };
}

function defaultPicker(unit: 'share' | 'seconds'): Profile['picker'] {
  const type = unit === 'share' ? 'max-score-picker' : 'min-cost-picker';
  const definition = pluginByType.get(type) as PickerDefinition;
  const instance = definition.create(definition.parameters.parse({}));
  return { plugin: type, type, instance, stateIndex: -1, unit };
}

function isStateful(instance: unknown): instance is Stateful<unknown> {
  return typeof (instance as Partial<Stateful<unknown>>).state === 'function';
}

/** The message of a nested error names its own place when it comes from the file. */
function issueOf(error: SignalboxError, place: string): FileIssue {
  const at = error.param;
  if (at === null) return { at: place, message: error.message };
  return { at, message: error.message.startsWith(`${at}: `) ? error.message.slice(at.length + 2) : error.message };
}
