import type { Question } from './send.ts';

export interface Settings extends Omit<Question, 'model' | 'turns'> {
  /** Null: the first that is served. */
  readonly model: string | null;
}

export const firstSettings: Settings = { model: null, kind: 'chat', maxTokens: 100, temperature: 0, stream: true };

interface Props {
  readonly models: readonly string[];
  readonly settings: Settings;
  readonly onSettings: (settings: Settings) => void;
  readonly prompt: string;
  readonly onPrompt: (prompt: string) => void;
  readonly isRunning: boolean;
  readonly onSend: () => void;
  readonly onStop: () => void;
  readonly onExplain: () => void;
  readonly onClear: (() => void) | null;
}

export function QuestionForm(props: Props) {
  const { models, settings, onSettings, prompt, onPrompt, isRunning, onSend, onStop, onExplain, onClear } = props;
  const set = (change: Partial<Settings>): void => onSettings({ ...settings, ...change });
  const isEmpty = prompt.trim() === '';
  return (
    <form
      class="question"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <textarea
        rows={5}
        aria-label="Prompt"
        placeholder="A prompt; ctrl+enter sends it"
        value={prompt}
        onInput={({ currentTarget }) => onPrompt(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) onSend();
        }}
      />
      <p class="settings">
        <select
          aria-label="Model"
          value={settings.model ?? ''}
          onChange={({ currentTarget }) => set({ model: currentTarget.value })}
        >
          {models.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <select
          aria-label="Kind"
          value={settings.kind}
          onChange={({ currentTarget }) => set({ kind: currentTarget.value === 'chat' ? 'chat' : 'completions' })}
        >
          <option value="chat">chat</option>
          <option value="completions">completion</option>
        </select>
        <Figure
          name="max tokens"
          value={settings.maxTokens}
          least={1}
          step={1}
          onValue={(maxTokens) => set({ maxTokens })}
        />
        <Figure
          name="temperature"
          value={settings.temperature}
          least={0}
          step={0.1}
          onValue={(temperature) => set({ temperature })}
        />
        <label>
          <input
            type="checkbox"
            checked={settings.stream}
            onChange={({ currentTarget }) => set({ stream: currentTarget.checked })}
          />
          stream
        </label>
      </p>
      <p class="settings">
        {isRunning ? (
          <button type="button" onClick={onStop}>
            Stop
          </button>
        ) : (
          <button type="submit" class="main" disabled={isEmpty || settings.model === null}>
            Send
          </button>
        )}
        <button type="button" disabled={isEmpty || settings.model === null} onClick={onExplain}>
          Where would it go?
        </button>
        {onClear !== null && (
          <button type="button" onClick={onClear}>
            New conversation
          </button>
        )}
      </p>
    </form>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: number;
  readonly least: number;
  readonly step: number;
  readonly onValue: (value: number) => void;
}

function Figure({ name, value, least, step, onValue }: FigureProps) {
  return (
    <label>
      {name}
      <input
        type="number"
        min={least}
        step={step}
        value={value}
        onChange={({ currentTarget }) => {
          const number = Number(currentTarget.value);
          if (currentTarget.value !== '' && number >= least) onValue(number);
        }}
      />
    </label>
  );
}
