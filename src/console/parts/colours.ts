const probe = document.createElement('i');
probe.hidden = true;

/** What a colour of the style sheet is now, for what is drawn on a canvas. */
export function colourOf(variable: string): string {
  if (!probe.isConnected) document.documentElement.append(probe);
  probe.style.color = `var(${variable})`;
  return getComputedStyle(probe).color;
}

/** Calls back when colours change: another theme was chosen, or the system's changed. */
export function watchColours(listener: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  document.addEventListener('themechange', listener);
  system.addEventListener('change', listener);
  return () => {
    document.removeEventListener('themechange', listener);
    system.removeEventListener('change', listener);
  };
}
