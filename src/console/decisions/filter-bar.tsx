import type { RefObject } from 'preact';
import type { EndpointJson } from '../../admin/json.ts';
import { shortName } from '../parts/endpoint-name.tsx';
import { SearchField } from '../parts/search-field.tsx';
import { setQuery } from '../route.ts';
import { verdicts, type Filter } from './filter.ts';

const verdictNames: Readonly<Record<(typeof verdicts)[number], string>> = {
  open: 'in flight',
  ok: 'answered',
  failed: 'failed',
  rejected: 'rejected',
  left: 'client left',
  held: 'was held',
};

interface Props {
  readonly filter: Filter;
  readonly models: readonly string[];
  readonly endpoints: readonly EndpointJson[];
  readonly search: RefObject<HTMLInputElement | null>;
}

export function FilterBar({ filter, models, endpoints, search }: Props) {
  return (
    <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <SearchField field={search} by="text" value={filter.text} />
      <Choice name="model" all="every model" value={filter.model} options={models.map((name) => [name, name])} />
      <Choice
        name="endpoint"
        all="every endpoint"
        value={filter.endpoint}
        options={endpoints.map(({ name }) => [name, shortName(name)])}
      />
      <Choice
        name="verdict"
        all="every verdict"
        value={filter.verdict}
        options={verdicts.map((verdict) => [verdict, verdictNames[verdict]])}
      />
      <label>
        slower than
        <input
          type="number"
          min="0"
          step="0.1"
          placeholder="any"
          aria-label="Slower than, in seconds"
          value={filter.slowSeconds ?? ''}
          onInput={({ currentTarget }) => setQuery({ slow: currentTarget.value })}
        />
        s
      </label>
      <label>
        <input
          type="checkbox"
          checked={filter.surprising}
          onChange={({ currentTarget }) => setQuery({ surprising: currentTarget.checked ? '1' : null })}
        />
        surprising
      </label>
    </form>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly all: string;
  readonly value: string | null;
  readonly options: readonly (readonly [value: string, text: string])[];
}

function Choice({ name, all, value, options }: ChoiceProps) {
  // What an address asks for can be chosen, even where nothing has it any more.
  const listed =
    value === null || options.some(([one]) => one === value) ? options : [...options, [value, value] as const];
  return (
    <select
      aria-label={name}
      class={value === null ? '' : 'on'}
      value={value ?? ''}
      onChange={({ currentTarget }) => setQuery({ [name]: currentTarget.value })}
    >
      <option value="">{all}</option>
      {listed.map(([one, text]) => (
        <option key={one} value={one}>
          {text}
        </option>
      ))}
    </select>
  );
}
