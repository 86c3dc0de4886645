import { escapeText } from '../../charts/svg.ts';

/** What the colours of policies mean. Clicking one makes its curves stand out in every chart. */
export function policyLegend(names: readonly string[], emphasised: number): string {
  const items = names.map(
    (name, index) => `<button class="policy" data-policy="${index}"><i></i>${escapeText(name)}</button>`,
  );
  return `<style>${styles(names.length, emphasised)}</style><nav class="legend">${items.join('')}</nav><script>${script}</script>`;
}

/** A hue for each; ours, or whatever is the default, in the colour of the text. */
function styles(count: number, emphasised: number): string {
  const hues = Array.from({ length: count }, (_, index) => {
    const hue = Math.round((index * 360) / count);
    return `[data-policy="${index}"]{--colour:light-dark(hsl(${hue} 65% 42%),hsl(${hue} 60% 65%))}`;
  });
  return `${hues.join('')}
:root{color-scheme:light dark}
[data-policy="${emphasised}"]{--colour:var(--ink)}
.line[data-policy]{stroke-width:1.2}.line[data-policy="${emphasised}"]{stroke-width:2.4}
svg.picked .line{opacity:.12}svg.picked .line.on{opacity:1;stroke-width:2.4}
.policy{font:inherit;color:inherit;background:none;border:1px solid transparent;border-radius:1em;padding:1px 8px;cursor:pointer}
.policy.on{border-color:var(--ink)}`;
}

const script = `
const on = new Set();
for (const button of document.querySelectorAll('.policy')) button.addEventListener('click', () => {
  const { policy } = button.dataset;
  if (!on.delete(policy)) on.add(policy);
  button.classList.toggle('on', on.has(policy));
  for (const line of document.querySelectorAll('.line')) line.classList.toggle('on', on.has(line.dataset.policy));
  for (const svg of document.querySelectorAll('svg:has(.line)')) svg.classList.toggle('picked', on.size > 0);
});`;
