/** Light, dark, or as the system says. */
export type Theme = 'system' | 'light' | 'dark';

const key = 'signalbox-theme';
const order: readonly Theme[] = ['system', 'light', 'dark'];

export function chosenTheme(): Theme {
  const stored = localStorage.getItem(key);
  return order.find((theme) => theme === stored) ?? 'system';
}

export function nextTheme(): Theme {
  const next = order[(order.indexOf(chosenTheme()) + 1) % order.length]!;
  localStorage.setItem(key, next);
  applyTheme();
  return next;
}

export function applyTheme(): void {
  const theme = chosenTheme();
  document.documentElement.style.colorScheme = theme === 'system' ? '' : theme;
  document.dispatchEvent(new Event('themechange'));
}
