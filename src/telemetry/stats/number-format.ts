/** Numbers as the formatting libraries of Envoy print them; its texts are compared byte by byte. */

/** C's `%.<precision>g`: at most so many significant digits, no trailing zeros. */
export function formatGeneral(value: number, precision = 6): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  if (value === 0) return '0';
  const [digits, exponentText] = value.toExponential(precision - 1).split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= precision) return `${withoutZeros(digits)}e${exponentOf(exponent)}`;
  return withoutZeros(value.toFixed(Math.min(Math.max(precision - 1 - exponent, 0), 100)));
}

/** The shortest text that reads back as the same number; scientific from 10^16 on and below 10^-4. */
export function formatShortest(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e16)) return String(value);
  const [digits, exponent] = value.toExponential().split('e') as [string, string];
  return `${digits}e${exponentOf(Number(exponent))}`;
}

/** A JSON number: the shorter of fixed and scientific notation, fixed if they are as long; null if it is none. */
export function formatJsonNumber(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  if (value === 0) return '0';
  const [digits, exponent] = value.toExponential().split('e') as [string, string];
  const scientific = `${digits}e${exponentOf(Number(exponent))}`;
  const fixed = Math.abs(value) < 1e21 ? String(value) : scientific;
  return scientific.length < fixed.length || fixed.includes('e') ? scientific : fixed;
}

/** The value of a counter or gauge. Envoy's are unsigned 64-bit, and "no limit" is their largest. */
export function formatCount(value: number): string {
  return value >= 2 ** 64 ? '18446744073709551615' : String(Math.trunc(value));
}

function formatSpecial(value: number): string {
  return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}

function withoutZeros(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}

/** At least two digits and always a sign. */
function exponentOf(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
