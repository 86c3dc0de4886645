/** Prompts to begin with: a short one, and two that begin with the same long text. */
const yard = Array.from(
  { length: 24 },
  (_, at) =>
    `Rule ${at + 1}. No train may be sent into a section before the one ahead has left it, the points for it are set and ` +
    'locked, and the signal box at its far end has taken it on. Every move is entered in the train register with its time. ',
).join('\n');

export const examples: readonly { readonly name: string; readonly prompt: string }[] = [
  { name: 'a short question', prompt: 'What does a signal box do?' },
  { name: 'a long text, first question', prompt: `${yard}\nWhich rule matters most?` },
  { name: 'the same text, second question', prompt: `${yard}\nWhat is entered in the register?` },
];
