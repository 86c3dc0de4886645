import { useEffect, useRef } from 'preact/hooks';
import { activeShortcuts } from './keys.ts';

const shown: Readonly<Record<string, string>> = {
  ' ': 'space',
  Escape: 'esc',
  Enter: 'enter',
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
};

/** The keys that work on the page it is opened on. */
export function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-label="Keyboard shortcuts" onClose={onClose} onClick={onClose}>
      <h2>Keys</h2>
      {activeShortcuts().map((shortcuts, at) => (
        <dl key={at}>
          {shortcuts.map(({ keys, does }) => (
            <div key={keys[0]}>
              <dt>
                {keys.map((key) => (
                  <kbd key={key}>{shown[key] ?? key}</kbd>
                ))}
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      ))}
    </dialog>
  );
}
