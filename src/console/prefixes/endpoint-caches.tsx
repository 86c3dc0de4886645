import type { PrefixesJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { count, share } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';

type Cache = PrefixesJson['endpoints'][number];

const knowledgeWords: Readonly<Record<Cache['knowledge'], string>> = {
  none: 'from what was sent there',
  partial: 'from its events since it is heard, and what was sent there',
  complete: 'from its events, in whole',
};

/** What is known of each endpoint's cache, how, and how true it has been. */
export function EndpointCaches({ endpoints }: { endpoints: readonly Cache[] }) {
  return (
    <section class="prefixes">
      <h2>What is known of each cache</h2>
      <div class="scroll">
        <table class="inputs">
          <thead>
            <tr>
              <th>endpoint</th>
              <th>tokens</th>
              <th>blocks</th>
              <th>tokens a block</th>
              <th title="predicted less reported cached tokens, as a share of the prompt">off by</th>
              <th title="the same with its sign: above zero, more was predicted than was there">bias</th>
              <th>reports</th>
              <th class="words">known</th>
              <th class="words">KV events</th>
            </tr>
          </thead>
          <tbody>
            {endpoints.map(({ name, tokens, blocks, blockTokens, prediction, knowledge, kvEvents }) => (
              <tr key={name} data-cache={name}>
                <th scope="row">
                  <EndpointName name={name} />
                </th>
                <td class="number">{count(tokens)}</td>
                <td class="number">{count(blocks)}</td>
                <td class="number">{count(blockTokens)}</td>
                <td class="number">
                  <Value of={prediction.error} as={share} />
                </td>
                <td class="number">
                  <Value of={prediction.bias} as={(bias) => `${bias < 0 ? '−' : '+'}${share(Math.abs(bias))}`} />
                </td>
                <td class="number">{count(prediction.reports)}</td>
                <td>{knowledgeWords[knowledge]}</td>
                <td class={kvEvents?.problem ? 'bad' : ''}>{eventsOf(kvEvents)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function eventsOf(events: Cache['kvEvents']): string {
  if (events === null) return 'none';
  if (events.problem !== null) return events.problem;
  const troubles = [
    events.gaps > 0 ? `${count(events.gaps)} gaps` : '',
    events.restarts > 0 ? `${count(events.restarts)} restarts` : '',
  ].filter((text) => text !== '');
  const state = events.connected ? 'connected' : 'not connected';
  return [state, `${count(events.stored)} stored, ${count(events.removed)} removed`, ...troubles].join(', ');
}
