import { EndpointName } from '../parts/endpoint-name.tsx';

/** A prompt, and as much of its answer as has come. */
export interface Exchanged {
  readonly prompt: string;
  readonly answer: string;
  readonly decisionId: string | null;
  readonly endpoint: string | null;
  readonly isRunning: boolean;
  readonly trouble: string | null;
}

interface Props {
  readonly exchanged: Exchanged;
  readonly isShown: boolean;
  readonly onShow: () => void;
}

export function Exchange({ exchanged, isShown, onShow }: Props) {
  const { prompt, answer, decisionId, endpoint, isRunning, trouble } = exchanged;
  return (
    <li class={isShown ? 'shown' : ''}>
      <p class="prompt">{prompt}</p>
      <div class="answer">
        {answer}
        {isRunning && <span class="cursor">▍</span>}
        {trouble !== null && <p class="bad">{trouble}</p>}
      </div>
      {decisionId !== null && (
        <button type="button" class={isShown ? 'on' : ''} onClick={onShow}>
          <EndpointName name={endpoint} none="nowhere" /> why
        </button>
      )}
    </li>
  );
}
