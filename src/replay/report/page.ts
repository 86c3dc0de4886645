/** The page's look: follows the reader's light or dark, and fits a phone. `emphasised` is drawn stronger than the rest. */
export function styles(seriesCount: number, emphasised: number): string {
  const colours = Array.from({ length: seriesCount }, (_, index) => {
    const hue = Math.round((index * 360) / seriesCount);
    return `[data-series="${index}"]{--colour:hsl(${hue} 60% var(--lightness))}`;
  });
  return `
:root{color-scheme:light dark;--lightness:45%;--text:#1c2430;--quiet:#5b6675;--line:#d9dee5;--page:#fff}
@media (prefers-color-scheme:dark){:root{--lightness:65%;--text:#e6e9ee;--quiet:#9aa5b4;--line:#333c48;--page:#14181e}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--page);max-width:1320px;margin:0 auto;padding:1rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 0}h3{font-size:1rem;margin:1rem 0 0}p{margin:.3rem 0;color:var(--quiet)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto;display:block}
svg text{font-size:11px;fill:var(--quiet)}.grid{stroke:var(--line)}
.line{fill:none;stroke:var(--colour);stroke-width:1.3;opacity:.75}
.line[data-series="${emphasised}"]{stroke:var(--text);stroke-width:2.6;opacity:1}
svg.picked .line{opacity:.12}svg.picked .line.on{opacity:1;stroke-width:2.6}
nav{position:sticky;top:0;background:var(--page);padding:.5rem 0;display:flex;flex-wrap:wrap;gap:.3rem;border-bottom:1px solid var(--line)}
nav button{font:inherit;font-size:13px;color:inherit;background:none;border:1px solid var(--line);border-radius:1rem;padding:.1rem .6rem;cursor:pointer}
nav button.on{border-color:var(--text)}nav i{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;background:var(--colour);margin-right:.4rem}
nav button[data-series="${emphasised}"] i{background:var(--text)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}th:first-child{text-align:left}thead th{color:var(--quiet);font-weight:500}
${colours.join('')}`;
}

/** Policies clicked in the legend stand out in every chart. */
export const script = `
const on = new Set();
for (const button of document.querySelectorAll('nav button')) button.addEventListener('click', () => {
  const { series } = button.dataset;
  if (!on.delete(series)) on.add(series);
  button.classList.toggle('on', on.has(series));
  for (const line of document.querySelectorAll('.line')) line.classList.toggle('on', on.has(line.dataset.series));
  for (const svg of document.querySelectorAll('svg')) svg.classList.toggle('picked', on.size > 0);
});`;
