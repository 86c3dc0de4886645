/**
 * JSON text of numbers and names, for records that are written by the thousand: V8 takes a microsecond or so for each
 * number with a fraction, and most names are the same again and again.
 */

const keptTexts = 10_000;
const wholeTexts: string[] = [];
const threeDigits = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, '0'));
/** Past it, fractions are noise. */
const mostWithFraction = 1e9;

/** A number to twelve places after the point; null when it is not known, as JSON has it. */
export function numberText(value: number): string {
  if (Number.isInteger(value)) {
    return value >= 0 && value < keptTexts ? (wholeTexts[value] ??= String(value)) : String(value);
  }
  if (!Number.isFinite(value)) return 'null';
  const size = Math.abs(value);
  if (size >= mostWithFraction) return String(value);
  let whole = Math.floor(size);
  let fraction = Math.round((size - whole) * 1e12);
  if (fraction === 1e12) {
    whole += 1;
    fraction = 0;
  }
  const upper = Math.floor(fraction / 1e6);
  const lower = fraction - upper * 1e6;
  const text = `${numberText(whole)}.${sixDigits(upper)}`;
  const exact = lower === 0 ? text : text + sixDigits(lower);
  return value < 0 ? `-${exact}` : exact;
}

function sixDigits(number: number): string {
  const thousands = Math.floor(number / 1000);
  return threeDigits[thousands]! + threeDigits[number - thousands * 1000]!;
}

const keptNames = 10_000;
const names = new Map<string, string>();

/** A name that will come again, in quotes. */
export function nameText(name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (names.size >= keptNames) names.clear();
  const text = JSON.stringify(name);
  names.set(name, text);
  return text;
}
