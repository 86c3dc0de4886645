/**
 * The colours of everything that is drawn: the console, the pages that `load` and `replay` write. By day a track diagram
 * on paper, by night an illuminated panel. Text of a style sheet; each colour is a CSS variable.
 */

/** Colours of endpoints and policies, told apart also by those who do not see all colours. */
const light = ['#2a78d6', '#eb6834', '#1baf7a', '#d99000', '#d9639a', '#008300', '#4a3aa7', '#e34948'];
const dark = ['#4a97f0', '#f07d4c', '#2cc28d', '#e0a020', '#e8709f', '#58bd58', '#a39aee', '#f07f7f'];

export const paletteSize = light.length;

/** Colours of scorers, which stand beside those of endpoints and must not be taken for them. */
const scorers = [
  ['#39707c', '#7cb6c2'],
  ['#b58a2f', '#d9b466'],
  ['#7d5b8c', '#b495c4'],
  ['#76894a', '#a9bd7b'],
  ['#a55a49', '#d49382'],
  ['#53658c', '#94a7d1'],
];
const scorerColours = scorers.map(([day, night], index) => `--s${index}:light-dark(${day},${night});`).join('');

/** The class of the how-many-th scorer of a profile. */
export function scorerClass(index: number): string {
  return `s${index % scorers.length}`;
}

const palette = light.map((colour, index) => `--c${index}:light-dark(${colour},${dark[index]});`).join('');

export const themeCss = `
:root{color-scheme:light dark;
--page:light-dark(#f3efe4,#0d1311);--card:light-dark(#fbf9f3,#141d1a);--raised:light-dark(#fff,#1b2723);
--ink:light-dark(#1d211f,#e9f0eb);--soft:light-dark(#5f6259,#93a69c);--rule:light-dark(#dcd5c4,#263630);
--track:light-dark(#a49e8c,#4d6158);--route:light-dark(#b4791b,#ffe3a0);
--clear:light-dark(#14804a,#47d18c);--caution:light-dark(#b86e00,#ffb52e);--danger:light-dark(#c22f26,#ff6a58);
--link:light-dark(#1c5fa8,#7db8ff);
${palette}${scorerColours}}
${light.map((_, index) => `.c${index}{--colour:var(--c${index})}`).join('')}
${scorers.map((_, index) => `.s${index}{--colour:var(--s${index})}`).join('')}
`;
