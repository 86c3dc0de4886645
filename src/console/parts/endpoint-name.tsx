import { colourClass } from '../../charts/svg.ts';
import { feed } from '../live/feed.ts';
import { Value } from './value.tsx';

let listed: typeof feed.endpoints = null;
let common = '';
const colours = new Map<string, number>();

/** Pods of one deployment differ only in their last part, which is all that a row has room for. */
export function shortName(endpoint: string): string {
  lookAtEndpoints();
  return common !== '' && endpoint.startsWith(common) ? endpoint.slice(common.length) : endpoint;
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
  common = commonStart(names);
  for (const name of names) if (!colours.has(name)) colours.set(name, colours.size);
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
