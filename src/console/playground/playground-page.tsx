import { useEffect, useRef, useState } from 'preact/hooks';
import type { DecisionJson } from '../../admin/json.ts';
import { ask, messageOf } from '../ask.ts';
import { useShortcuts } from '../keys.ts';
import { DecisionView } from '../request/decision-view.tsx';
import { useDecision } from '../request/use-decision.ts';
import { examples } from './examples.ts';
import { Exchange, type Exchanged } from './exchange.tsx';
import { QuestionForm, firstSettings, type Settings } from './question-form.tsx';
import { bodyOf, send, type Question, type Turn } from './send.ts';

/** Sends a prompt as any client would, and shows the answer beside the decision that placed it. */
export function PlaygroundPage() {
  const models = useModels();
  const [settings, setSettings] = useState<Settings>(firstSettings);
  const [prompt, setPrompt] = useState('');
  const [exchanges, setExchanges] = useState<readonly Exchanged[]>([]);
  const [shown, setShown] = useState<string | null>(null);
  const [asked, setAsked] = useState<DecisionJson | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const running = useRef<AbortController | null>(null);
  const isRunning = exchanges.at(-1)?.isRunning ?? false;
  const model = settings.model ?? models.names[0] ?? null;

  const question = (): Question | null => {
    if (model === null || prompt.trim() === '') return null;
    const before: Turn[] = exchanges
      .filter(({ trouble: failed }) => failed === null)
      .flatMap((one) => [
        { role: 'user', content: one.prompt },
        { role: 'assistant', content: one.answer },
      ]);
    return { ...settings, model, turns: [...before, { role: 'user', content: prompt }] };
  };
  const submit = async (): Promise<void> => {
    const put = question();
    if (put === null || isRunning) return;
    const leaving = new AbortController();
    running.current = leaving;
    let current: Exchanged = { prompt, answer: '', decisionId: null, endpoint: null, isRunning: true, trouble: null };
    const at = exchanges.length;
    const change = (news: Partial<Exchanged>): void => {
      current = { ...current, ...news };
      setExchanges((all) => [...all.slice(0, at), current]);
    };
    change({});
    setPrompt('');
    setAsked(null);
    setTrouble(null);
    try {
      const told = {
        placed: (placed: { decisionId: string | null; endpoint: string | null }) => {
          change(placed);
          setShown(placed.decisionId);
        },
        text: (more: string) => change({ answer: current.answer + more }),
      };
      await send(put, told, leaving.signal);
      change({ isRunning: false });
    } catch (error) {
      change({ isRunning: false, trouble: leaving.signal.aborted ? 'stopped' : messageOf(error) });
    }
  };
  const explain = async (): Promise<void> => {
    const put = question();
    if (put === null) return;
    setTrouble(null);
    try {
      const kind = put.kind === 'chat' ? 'chat' : 'completions';
      setAsked(await ask<DecisionJson>(`/api/explain?flips=1&kind=${kind}`, { method: 'POST', body: bodyOf(put) }));
    } catch (error) {
      setTrouble(messageOf(error));
    }
  };
  const clear = (): void => {
    running.current?.abort();
    setExchanges([]);
    setShown(null);
    setAsked(null);
  };
  useEffect(() => () => running.current?.abort(), []);
  useShortcuts([
    {
      keys: ['/'],
      does: 'write a prompt (ctrl+enter sends it)',
      run: () => document.querySelector('textarea')?.focus(),
    },
    { keys: ['Escape'], does: 'stop the answer; leave the prompt', run: () => stop(running.current) },
    { keys: ['n'], does: 'a new conversation', run: clear },
  ]);
  return (
    <div class="playground">
      <h1 class="hidden">Playground</h1>
      <div class="talk">
        {exchanges.length === 0 && (
          <p class="about">
            What is sent here goes through the gateway like any other request. To see a cached prefix at work, send both
            questions about the long text, each as a new conversation. Begin with{' '}
            {examples.map(({ name, prompt: text }) => (
              <button key={name} type="button" class="example" onClick={() => setPrompt(text)}>
                {name}
              </button>
            ))}
          </p>
        )}
        <ol aria-live="polite">
          {exchanges.map((exchanged, at) => (
            <Exchange
              key={at}
              exchanged={exchanged}
              isShown={asked === null && exchanged.decisionId === shown && shown !== null}
              onShow={() => {
                setAsked(null);
                setShown(exchanged.decisionId);
              }}
            />
          ))}
        </ol>
        <QuestionForm
          models={models.names}
          settings={{ ...settings, model }}
          onSettings={setSettings}
          prompt={prompt}
          onPrompt={setPrompt}
          isRunning={isRunning}
          onSend={() => void submit()}
          onStop={() => running.current?.abort()}
          onExplain={() => void explain()}
          onClear={exchanges.length === 0 ? null : clear}
        />
        {(trouble ?? models.trouble) !== null && <p class="bad">{trouble ?? models.trouble}</p>}
      </div>
      <aside class="beside" aria-label="The decision">
        {asked !== null && (
          <>
            <h2>Where it would go now; not sent</h2>
            <DecisionView decision={asked} wasSent={false} />
          </>
        )}
        {asked === null && shown !== null && <Placed key={shown} id={shown} />}
        {asked === null && shown === null && <p class="empty">The decision that places it will stand here.</p>}
      </aside>
    </div>
  );
}

function Placed({ id }: { id: string }) {
  const { decision, trouble } = useDecision(id);
  if (decision === null) return <p class="empty">{trouble ?? 'Asking the gateway …'}</p>;
  return (
    <>
      <h2>
        Why it went there <a href={`/requests/${encodeURIComponent(id)}`}>its page</a>
      </h2>
      <p class="about">{decision.reason}</p>
      <DecisionView decision={decision} wasSent />
    </>
  );
}

function stop(running: AbortController | null): void {
  running?.abort();
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

/** The models that the gateway serves. */
function useModels(): { names: readonly string[]; trouble: string | null } {
  const [models, setModels] = useState<{ names: readonly string[]; trouble: string | null }>({
    names: [],
    trouble: null,
  });
  useEffect(() => {
    ask<{ data: { id: string }[] }>('/v1/models').then(
      ({ data }) => setModels({ names: data.map(({ id }) => id), trouble: null }),
      (error: unknown) => setModels({ names: [], trouble: messageOf(error) }),
    );
  }, []);
  return models;
}
