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
  SessionRule,
  Stateful,
} from './plugin.ts';
import { flowControlSchema, holdRule } from './flow-control.ts';
import { pluginByType } from './plugins/index.ts';
import { singleProfileHandler } from './plugins/profile-handlers/single-profile-handler.ts';
import type { Policy, Profile } from './policy.ts';

const apiVersions = ['llm-d.ai/v1alpha1', 'llm-d.ai/v1', 'inference.networking.x-k8s.io/v1alpha1'] as const;

const pluginEntry = z.strictObject({
  name: z.string().min(1).optional(),
  type: z.string().min(1),
  parameters: z.record(z.string(), z.unknown()).nullable().optional(),
});

const schema = z.strictObject({
  apiVersion: z.enum(apiVersions),
  kind: z.literal('EndpointPickerConfig'),
  /** A plugin of one's own may stand as its file alone. */
  plugins: z.union([z.string().min(1), z.array(z.union([z.string().min(1), pluginEntry]))]),
  schedulingProfiles: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        plugins: z.array(z.strictObject({ pluginRef: z.string().min(1), weight: z.number().min(0).optional() })),
      }),
    )
    .min(1),
  flowControl: z.looseObject({}).optional(),
  /* Sections of llm-d's; `ForeignNames` says what becomes of them. */
  featureGates: z.array(z.string()).optional(),
  dataLayer: z.looseObject({}).optional(),
  requestHandler: z.looseObject({}).optional(),
  saturationDetector: z.looseObject({}).optional(),
  parser: z.looseObject({}).optional(),
});

/** An EndpointPickerConfig as written. */
export type EndpointPickerConfig = z.input<typeof schema>;

/** What becomes of a plugin type that is another system's. */
export type ForeignType =
  /** Ours does it. `parameters` translates what was given. */
  | {
      readonly as: string;
      readonly parameters?: (given: Record<string, unknown>) => Record<string, unknown>;
      readonly note?: string;
    }
  /** Nothing is lost without it. */
  | { readonly needless: string }
  | { readonly refused: string };

/** Another system's names in an EndpointPickerConfig. */
export interface ForeignNames {
  readonly types: ReadonlyMap<string, ForeignType>;
  /** What its sections have no effect here, a line each. */
  warnings(config: unknown): readonly string[];
  /** The section in our terms; what is ours already stays as it is. */
  flowControl(given: Readonly<Record<string, unknown>>): Record<string, unknown>;
}

/** A plugin from a file of the user's. */
export interface OwnPlugin {
  readonly definition: PluginDefinition;
  /** Another one for other contents of its files. */
  readonly revision: string;
}

interface ReadOptions {
  readonly foreign?: ForeignNames;
  /** By the file's name as it stands in the configuration. */
  readonly own?: ReadonlyMap<string, OwnPlugin>;
  readonly warn?: (text: string) => void;
}

/** Whether a plugin's `type` names a file. */
function isPluginFile(type: string): boolean {
  return /^\.{0,2}\//.test(type) || /\.[cm]?[jt]s$/.test(type);
}

/** The plugin files that a configuration names, each with where. Throws `config_invalid` when it is no configuration. */
export function pluginFilesIn(text: string, fileName: string): Map<string, string> {
  const file = readYaml(text, fileName);
  const files = new Map<string, string>();
  for (const [index, { type }] of entriesOf(validate(file, schema)).entries()) {
    if (isPluginFile(type)) files.set(type, file.at(['plugins', index]));
  }
  return files;
}

function entriesOf({ plugins }: z.output<typeof schema>): z.output<typeof pluginEntry>[] {
  return (typeof plugins === 'string' ? [plugins] : plugins).map((entry) =>
    typeof entry === 'string' ? { type: entry } : entry,
  );
}

/**
 * Reads an EndpointPickerConfig (YAML or JSON). `name` is what the policy is called in Decisions.
 * Throws `config_invalid` naming every fault with file, line and column.
 */
export function readPolicy(text: string, fileName: string, name: string, options: ReadOptions = {}): Policy {
  return compile(readYaml(text, fileName), name, options);
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

function compile(file: YamlFile, name: string, options: ReadOptions): Policy {
  const config = validate(file, schema);
  const { foreign, own, warn } = options;
  const issues: FileIssue[] = [];
  const stateful: Stateful<unknown>[] = [];
  const created = new Map<string, Created>();
  const profileNames = config.schedulingProfiles.map((profile) => profile.name);
  const resolved: { name: string; type: string; parameters: unknown; revision?: string }[] = [];
  const deciders = new Map<string, Decider>();
  const handlers: { readonly at: string; create(configured: Configured): ProfileHandler }[] = [];

  const needless = new Set<string>();

  for (const [index, entry] of entriesOf(config).entries()) {
    const at = (step: 'type' | null = null): string => file.at(['plugins', index, ...(step === null ? [] : [step])]);
    const other = foreign?.types.get(entry.type);
    if (other !== undefined && 'refused' in other) {
      issues.push({ at: at('type'), message: `"${entry.type}" is not to be had here: ${other.refused}` });
      continue;
    }
    if (other !== undefined && 'needless' in other) {
      needless.add(entry.name ?? entry.type);
      continue;
    }
    if (other?.note !== undefined) warn?.(`${at('type')}: ${entry.type}: ${other.note}`);
    const given = entry.parameters ?? {};
    const plugin = {
      type: other?.as ?? entry.type,
      parameters: other?.parameters?.(given) ?? given,
      name: entry.name ?? (isPluginFile(entry.type) ? own?.get(entry.type)?.definition.type : undefined) ?? entry.type,
    };
    const pluginName = plugin.name;
    const ownPlugin = own?.get(plugin.type);
    const definition = ownPlugin?.definition ?? pluginByType.get(plugin.type);
    if (definition === undefined) {
      const known = [...pluginByType.keys(), ...(foreign?.types.keys() ?? [])];
      const message = isPluginFile(plugin.type)
        ? `plugins of one's own (${plugin.type}) cannot be used here`
        : `no plugin of type "${plugin.type}"${didYouMean(plugin.type, known)}`;
      issues.push({ at: at('type'), message });
      continue;
    }
    if (created.has(pluginName)) {
      issues.push({ at: file.at(['plugins', index]), message: `a plugin named "${pluginName}" is there already` });
      continue;
    }
    try {
      const parameters = validate(file, definition.parameters, plugin.parameters, ['plugins', index, 'parameters']);
      resolved.push({
        name: pluginName,
        type: plugin.type,
        parameters,
        ...(ownPlugin === undefined ? {} : { revision: ownPlugin.revision }),
      });
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
    profiles.set(profile.name, compileProfile(file, index, profile, created, needless, issues));
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
  for (const warning of foreign?.warnings(config) ?? []) warn?.(warning);
  const flow = config.flowControl && (foreign?.flowControl(config.flowControl) ?? config.flowControl);
  const hold = flow === undefined ? null : holdRule(validate(file, flowControlSchema, flow, ['flowControl']));
  return {
    name,
    hash: hashJson({ plugins: resolved, profiles: config.schedulingProfiles, ...(hold === null ? {} : { hold }) }),
    handler,
    profiles,
    configured: resolved.map(({ name: plugin, type, parameters }) => ({ plugin, type, parameters })),
    stateful,
    hold,
    sessions: sessionsOf([...profiles.values()]),
  };
}

/** Of the first plugin that goes by them: a request has one session. */
function sessionsOf(profiles: readonly Profile[]): SessionRule | null {
  for (const { filters, scorers } of profiles) {
    for (const { instance } of [...filters, ...scorers]) if (instance.sessions !== undefined) return instance.sessions;
  }
  return null;
}

function compileProfile(
  file: YamlFile,
  index: number,
  profile: { name: string; plugins: readonly { pluginRef: string; weight?: number | undefined }[] },
  created: ReadonlyMap<string, Created>,
  needless: ReadonlySet<string>,
  issues: FileIssue[],
): Profile {
  const filters: Profile['filters'][number][] = [];
  const scorers: Profile['scorers'][number][] = [];
  const pickers: Profile['picker'][] = [];
  for (const [position, { pluginRef, weight }] of profile.plugins.entries()) {
    const path = ['schedulingProfiles', index, 'plugins', position];
    if (needless.has(pluginRef)) continue;
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
