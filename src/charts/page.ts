import { colourClass, escapeText } from './svg.ts';
import { themeCss } from './theme.ts';

/** A page of its own: no scripts, nothing loaded from elsewhere, light and dark, readable on a phone. */
export function reportPage(title: string, subtitle: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeText(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeText(title)}</h1>
<p class="about">${escapeText(subtitle)}</p>
${body}
</main>
</body>
</html>
`;
}

export function section(title: string, about: string, content: string): string {
  return `<section><h2>${escapeText(title)}</h2><p class="about">${escapeText(about)}</p>${content}</section>\n`;
}

export function cards(charts: readonly string[]): string {
  return `<div class="cards">${charts.join('')}</div>`;
}

export function card(title: string, about: string, chart: string): string {
  const note = about === '' ? '' : `<p>${escapeText(about)}</p>`;
  return `<figure><figcaption><h3>${escapeText(title)}</h3>${note}</figcaption>${chart}</figure>`;
}

/** Large figures side by side. */
export function tiles(entries: readonly { name: string; value: string; about: string }[]): string {
  const items = entries.map(
    ({ name, value, about }) =>
      `<div><dt>${escapeText(name)}</dt><dd>${escapeText(value)}<small>${escapeText(about)}</small></dd></div>`,
  );
  return `<dl class="tiles">${items.join('')}</dl>\n`;
}

/** What the colours mean. */
export function legend(names: readonly string[]): string {
  const items = names.map((name, index) => `<li><i class="${colourClass(index)}"></i>${escapeText(name)}</li>`);
  return `<ul class="legend">${items.join('')}</ul>\n`;
}

/** Cells are text; the columns named in `numeric` stand to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numeric: readonly number[],
): string {
  const cells = (tag: 'th' | 'td', row: readonly string[]): string =>
    row
      .map((cell, at) => {
        const lines = cell.split('\n').map(escapeText).join('<br>');
        return `<${tag}${numeric.includes(at) ? ' class="number"' : ''}>${lines}</${tag}>`;
      })
      .join('');
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('');
  return `<div class="scroll"><table><thead><tr>${cells('th', head)}</tr></thead><tbody>${body}</tbody></table></div>`;
}

const style = `${themeCss}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
main{max-width:1280px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:22px;margin:0}h2{font-size:18px;margin:32px 0 0}h3{font-size:14px;margin:0}
p{margin:4px 0 12px}.about,figcaption p{color:var(--soft)}figcaption p{font-size:12px;margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:16px 0}
.tiles div,figure,.scroll{background:var(--card);border:1px solid var(--rule);border-radius:8px}
.tiles div{padding:10px 12px}dt{color:var(--soft);font-size:12px}dd{margin:0;font-size:20px;font-weight:600}
small{display:block;font-size:12px;font-weight:400;color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:12px}
figure{margin:0;padding:12px 12px 6px}svg{display:block;width:100%;height:auto;margin-top:6px;overflow:visible}
.legend{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:4px 14px;list-style:none;margin:12px 0;padding:8px 0;background:var(--page);font-size:13px}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px;background:var(--colour)}
.legend i.again{opacity:.55}
.grid{stroke:var(--rule);stroke-width:1}.tick,.mark-name{fill:var(--soft);font-size:10.5px}
.line{fill:none;stroke:var(--colour);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.line.again{stroke-dasharray:4 4}
.area{fill:var(--colour);stroke:var(--card);stroke-width:1}.area.again{fill-opacity:.55}
.line:hover,.area:hover,.bar:hover{filter:brightness(1.15)}
.bar{fill:var(--c0)}.mark{stroke:var(--ink);stroke-width:1;stroke-dasharray:3 3}.mark-name{fill:var(--ink)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}
th,td{padding:7px 10px;text-align:left;vertical-align:top;border-top:1px solid var(--rule);white-space:nowrap}
td:first-child:not(.number),td:last-child{white-space:normal;overflow-wrap:anywhere;min-width:13em}
th{border-top:0;color:var(--soft);font-weight:500}.number{text-align:right;font-variant-numeric:tabular-nums}
`;
