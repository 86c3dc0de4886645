export const sorts = [
  'name',
  'in flight',
  'queued tok',
  'running',
  'waiting',
  'KV',
  'speed',
  'cached tok',
  'cached',
  'share',
] as const;
export type Sort = (typeof sorts)[number];

/** What the person at the terminal has chosen to see. */
export interface View {
  readonly sort: Sort;
  readonly filter: string;
  /** The filter is being typed. */
  readonly typing: boolean;
  /** A decision's id; null follows the newest. */
  readonly selected: string | null;
  readonly detail: Detail | null;
}

interface Detail {
  readonly id: string;
  /** Null until it has been fetched. */
  readonly lines: readonly string[] | null;
  readonly scroll: number;
}

export const firstView: View = { sort: 'in flight', filter: '', typing: false, selected: null, detail: null };

/** A key as `node:readline` names it. */
export interface Key {
  readonly name?: string | undefined;
  readonly text?: string | undefined;
}

/** The view after a key; "quit" to leave. `ids` are the decisions on the screen, newest first. */
export function press(view: View, key: Key, ids: readonly string[], pageLines: number): View | 'quit' {
  if (view.typing) return typed(view, key);
  if (key.text === 'q') return 'quit';
  if (view.detail !== null) return pressInDetail(view, view.detail, key, pageLines);
  switch (key.name) {
    case 'up':
      return moved(view, ids, -1);
    case 'down':
      return moved(view, ids, 1);
    case 'pageup':
      return moved(view, ids, -pageLines);
    case 'pagedown':
      return moved(view, ids, pageLines);
    case 'escape':
      return { ...view, selected: null, filter: '' };
    case 'return':
    case 'right': {
      const id = view.selected ?? ids[0];
      return id === undefined ? view : { ...view, selected: id, detail: { id, lines: null, scroll: 0 } };
    }
    default:
      if (key.text === 's') return { ...view, sort: sorts[(sorts.indexOf(view.sort) + 1) % sorts.length]! };
      return key.text === 'f' || key.text === '/' ? { ...view, typing: true } : view;
  }
}

function typed(view: View, { name, text = '' }: Key): View {
  if (name === 'escape') return { ...view, typing: false, filter: '' };
  if (name === 'return' || name === 'enter') return { ...view, typing: false };
  if (name === 'backspace') return { ...view, filter: view.filter.slice(0, -1) };
  return /^[^\p{Cc}]+$/u.test(text) ? { ...view, filter: (view.filter + text).slice(0, 100), selected: null } : view;
}

function pressInDetail(view: View, detail: Detail, { name }: Key, pageLines: number): View {
  const scrolled = (by: number): View => {
    const last = Math.max(0, (detail.lines?.length ?? 0) - pageLines);
    return { ...view, detail: { ...detail, scroll: Math.min(last, Math.max(0, detail.scroll + by)) } };
  };
  switch (name) {
    case 'up':
      return scrolled(-1);
    case 'down':
      return scrolled(1);
    case 'pageup':
      return scrolled(-pageLines);
    case 'pagedown':
      return scrolled(pageLines);
    case 'left':
    case 'escape':
    case 'backspace':
    case 'return':
      return { ...view, detail: null };
    default:
      return view;
  }
}

function moved(view: View, ids: readonly string[], by: number): View {
  const at = view.selected === null ? (by > 0 ? -1 : 0) : ids.indexOf(view.selected);
  return { ...view, selected: ids[Math.min(ids.length - 1, Math.max(0, at + by))] ?? null };
}
