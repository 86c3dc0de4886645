import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';
import { z } from 'zod';
import { SignalboxError } from './errors.ts';
import { didYouMean } from './suggest.ts';

type Path = readonly PropertyKey[];

/** One thing wrong in a file, at `file:line:column`. */
export interface FileIssue {
  readonly at: string;
  readonly message: string;
}

/** A parsed YAML (or JSON) file that still knows where everything stood. */
export interface YamlFile {
  readonly value: unknown;
  /** `file:line:column` of what is at `path` (its key if `key`, else its value), or of the nearest parent that exists. */
  at(path: Path, options?: { key?: boolean }): string;
}

/**
 * Parses and validates a file in one go.
 * Throws `config_invalid` listing every issue with file, line, column and, for misspelt words, a suggestion.
 */
export function parseYaml<T>(text: string, fileName: string, schema: z.ZodType<T>): T {
  return validate(readYaml(text, fileName), schema);
}

/** Throws `config_invalid` when the text is not YAML. */
export function readYaml(text: string, fileName: string): YamlFile {
  const lines = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${fileName}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const issues = document.errors.map((error) => ({ at: place(error.pos[0]), message: firstLine(error.message) }));
  if (issues.length > 0) throw fileError(shortened(issues));

  let value: unknown;
  try {
    value = document.toJS() as unknown;
  } catch (error) {
    // Too many aliases: a file made to blow up in memory.
    throw fileError([{ at: place(0), message: firstLine(String(error)) }]);
  }
  return { value, at: (path, options) => place(offsetOf(document, path, options?.key ?? false)) };
}

/** A file that is no YAML at all is wrong everywhere: its first places say enough. */
function shortened(issues: readonly FileIssue[]): FileIssue[] {
  const shown = issues.slice(0, 3).map(({ at, message }) => ({ at, message: cut(message, 160) }));
  const more = issues.length - shown.length;
  return more > 0
    ? [...shown, { at: issues[shown.length]!.at, message: `this and ${more - 1} more are not YAML` }]
    : shown;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** The file's value, or the value at `prefix` in it, as `schema` has it; throws `config_invalid` with all issues. */
export function validate<T>(file: YamlFile, schema: z.ZodType<T>, value: unknown = file.value, prefix: Path = []): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw fileError(parsed.error.issues.flatMap((issue) => explain(file, schema, issue, prefix)));
}

/** One error for all that is wrong in a file, one line each, in the order of the file. */
export function fileError(issues: readonly FileIssue[]): SignalboxError {
  const lines = [...new Set(issues.map(({ at, message }) => `${at}: ${message}`))];
  const first = issues[0];
  return new SignalboxError('config_invalid', lines.join('\n'), first === undefined ? {} : { param: first.at });
}

function explain(file: YamlFile, schema: z.ZodType, issue: z.core.$ZodIssue, prefix: Path): FileIssue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => ({
      at: file.at([...path, key], { key: true }),
      message: `unknown key "${key}"${within(path)}${didYouMean(key, known)}`,
    }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The branch that got furthest is the one that was meant.
    const [nearest] = [...issue.errors].sort((a, b) => depth(b) - depth(a) || a.length - b.length);
    return nearest!.flatMap((inner) =>
      explain(file, schema, { ...inner, path: [...issue.path, ...inner.path] }, prefix),
    );
  }
  const name = path.length === 0 ? '' : `${dotted(path)}: `;
  if (issue.code === 'invalid_value') {
    const given: unknown = valueAt(file.value, path);
    const choices = issue.values.map(String);
    const guess = typeof given === 'string' ? didYouMean(given, choices) : '';
    const shown = given === undefined ? 'missing' : `${JSON.stringify(given)} is not known`;
    return [{ at: file.at(path), message: `${name}${shown}, expected ${choices.join(', ')}${guess}` }];
  }
  if (issue.code === 'invalid_type' && valueAt(file.value, path) === undefined && path.length > 0) {
    return [{ at: file.at(path), message: `${dotted(path)} is missing (${issue.expected})` }];
  }
  return [{ at: file.at(path), message: `${name}${issue.message.replace(/^Invalid input: /, '')}` }];
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
}

function within(path: Path): string {
  return path.length === 0 ? '' : ` in ${dotted(path)}`;
}

function dotted(path: Path): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : (index > 0 ? '.' : '') + String(step)))
    .join('');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}

function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[step];
  }
  return current;
}

function offsetOf(document: Document, path: Path, ofKey: boolean): number {
  let node: Node | null = resolved(document, document.contents);
  let offset = node?.range?.[0] ?? 0;
  for (const [index, step] of path.entries()) {
    let next: unknown = null;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (pair === undefined) return offset;
      const isLast = index === path.length - 1;
      const valueRange = isNode(pair.value) ? pair.value.range : null;
      const keyOffset = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      offset = (isLast && ofKey) || !valueRange ? keyOffset : valueRange[0];
      next = pair.value;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
      if (!isNode(next)) return offset;
      offset = next.range?.[0] ?? offset;
    } else {
      return offset;
    }
    node = isNode(next) ? resolved(document, next) : null;
  }
  return offset;
}

function resolved(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

/** Keys that an object at `path` may have, over all branches of the schema. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  let level = branches(schema);
  for (const step of path) level = level.flatMap((branch) => childrenOf(branch, step)).flatMap(branches);
  return level.flatMap((branch) => (branch instanceof z.ZodObject ? Object.keys(branch.shape as object) : []));
}

function childrenOf(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType[] {
  if (schema instanceof z.ZodObject) {
    const child = (schema.shape as Record<PropertyKey, z.core.$ZodType | undefined>)[step];
    return child === undefined ? [] : [child];
  }
  if (schema instanceof z.ZodArray) return [schema.element];
  if (schema instanceof z.ZodRecord) return [schema.valueType];
  return [];
}

/** A schema without its wrappers (optional, default, pipe…), a union as its options. */
function branches(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return branches(schema.unwrap());
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodCatch) {
    return branches(schema.unwrap());
  }
  if (schema instanceof z.ZodReadonly || schema instanceof z.ZodLazy) return branches(schema.unwrap());
  if (schema instanceof z.ZodPipe) return branches(schema.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(branches);
  return [schema];
}
