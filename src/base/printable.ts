/** Text from outside as a terminal may safely show it: on one line, and without the control characters that steer one. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
