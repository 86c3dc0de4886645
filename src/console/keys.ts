import { useLayoutEffect } from 'preact/hooks';

interface Shortcut {
  /** As `KeyboardEvent.key` says it; of several, the first is shown. */
  readonly keys: readonly string[];
  readonly does: string;
  readonly run: (event: KeyboardEvent) => void;
}

/** What works now, the page's own first. */
const active: (readonly Shortcut[])[] = [];

/**
 * Shortcuts that work while a component is shown, from the moment that it can be seen. `shortcuts` may be made anew at
 * every rendering.
 */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  useLayoutEffect(() => {
    active.unshift(shortcuts);
    return () => {
      active.splice(active.indexOf(shortcuts), 1);
    };
  });
}

export function activeShortcuts(): readonly (readonly Shortcut[])[] {
  return active;
}

export function pressKey(event: KeyboardEvent): void {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (isWriting(event.target) && event.key !== 'Escape') return;
  // A link or button that has the focus is worked by Enter and Space itself.
  const isControl = event.target instanceof Element && event.target.closest('a, button, summary, select') !== null;
  if (isControl && (event.key === 'Enter' || event.key === ' ')) return;
  for (const shortcuts of active) {
    const shortcut = shortcuts.find(({ keys }) => keys.includes(event.key));
    if (shortcut === undefined) continue;
    event.preventDefault();
    shortcut.run(event);
    return;
  }
}

function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && target.type !== 'checkbox' && target.type !== 'button')
  );
}
