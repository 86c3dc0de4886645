import { colourClass } from '../../charts/svg.ts';
import { feed } from '../live/feed.ts';
import { Value } from './value.tsx';

let listed: typeof feed.endpoints = null;
let short = new Map<string, string>();
const colours = new Map<string, number>();
/** A pod of a deployment: its name, the hash of its ReplicaSet, and what tells it from others. */
const pod = /^(.+)-[a-z0-9]{8,10}-([a-z0-9]{5})$/;

/** Pods of one deployment differ only in their last part, which is all that a row has room for. */
export function shortName(endpoint: string): string {
  lookAtEndpoints();
  return short.get(endpoint) ?? endpoint;
}

/** A text in which endpoints are named, with their names as short as elsewhere. */
export function withShortNames(text: string): string {
  lookAtEndpoints();
  return [...short].reduce((so, [name, shorter]) => so.replaceAll(name, shorter), text);
}

/** The same colour for an endpoint wherever it is drawn: in the order in which the gateway lists them. */
export function endpointColour(endpoint: string): number {
  lookAtEndpoints();
  const known = colours.get(endpoint);
  if (known !== undefined) return known;
  colours.set(endpoint, colours.size);
  return colours.size - 1;
}

function lookAtEndpoints(): void {
  if (feed.endpoints === listed) return;
  listed = feed.endpoints;
  const names = listed?.map(({ name }) => name) ?? [];
  short = shortened(names);
  for (const name of names) if (!colours.has(name)) colours.set(name, colours.size);
}

/** Without what all begin with, and without ReplicaSets where that leaves them different. */
function shortened(names: readonly string[]): Map<string, string> {
  const common = commonStart(names).length;
  const own = names.map((name) => name.slice(common));
  const shorter = own.map((name) => name.replace(pod, '$1-$2'));
  const shown = new Set(shorter).size === names.length ? shorter : own;
  return new Map(names.map((name, at) => [name, shown[at]!]));
}

function commonStart([first = '', ...others]: readonly string[]): string {
  let length = others.length === 0 ? 0 : first.length;
  while (length > 0 && !others.every((name) => name.startsWith(first.slice(0, length)))) length -= 1;
  return first.slice(0, length).replace(/[^-]*$/, '');
}

export function EndpointName({ name, none = 'none' }: { name: string | null; none?: string | null }) {
  if (name === null) return none === null ? <Value of={null} /> : <span class="nowhere">{none}</span>;
  return (
    <span class={`endpoint ${colourClass(endpointColour(name))}`} title={name}>
      <i />
      {shortName(name)}
    </span>
  );
}
