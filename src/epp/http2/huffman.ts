/**
 * HPACK's Huffman code (RFC 7541 appendix B). It is canonical: codes of a length go by their symbols, and each length
 * goes on where the one before ended, so the lengths say all.
 */
const codeBits: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26,
];
const longest = 30;

/** Of each length: its first code, how many codes it has, and where their symbols begin in `symbols`. */
const firstCode = new Uint32Array(longest + 1);
const codeCount = new Uint32Array(longest + 1);
const symbolsAt = new Uint32Array(longest + 1);
const symbols: number[] = [];

for (let bits = 1, code = 0; bits <= longest; bits++, code *= 2) {
  firstCode[bits] = code;
  symbolsAt[bits] = symbols.length;
  for (const [symbol, length] of codeBits.entries()) if (length === bits) symbols.push(symbol);
  codeCount[bits] = symbols.length - symbolsAt[bits]!;
  code += codeCount[bits]!;
}

/** The text, a byte a character; null when it is not in the code or does not end as it must. */
export function huffmanText(bytes: Buffer, from: number, to: number): string | null {
  let text = '';
  let code = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >>> bit) & 1);
      length += 1;
      const place = code - firstCode[length]!;
      if (place < codeCount[length]!) {
        text += String.fromCharCode(symbols[symbolsAt[length]! + place]!);
        code = length = 0;
      } else if (length === longest) return null;
    }
  }
  // What is left over is the beginning of the longest code: ones, fewer than a byte of them.
  return length < 8 && code === 2 ** length - 1 ? text : null;
}
