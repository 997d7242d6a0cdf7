import { DAYS, MONTHS } from '../../lib/calendar.ts';

/** One piece of a time format: fixed for a second, or digits of the fraction of the second. */
type Piece =
  | { readonly kind: 'second'; readonly render: (fields: TimeFields) => string }
  | { readonly kind: 'fraction'; readonly digits: number };

/** A broken-down time, in UTC or in the local zone. */
interface TimeFields {
  readonly epochSeconds: number;
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly weekday: number;
  /** 1-based. */
  readonly yearDay: number;
  /** Minutes east of UTC. */
  readonly offset: number;
  readonly zone: string;
}

const pad = (value: number, width = 2, fill = '0'): string => String(value).padStart(width, fill);
const hour12 = (t: TimeFields): number => t.hour % 12 || 12;

function offsetText(t: TimeFields, separator: string): string {
  const minutes = Math.abs(t.offset);
  return `${t.offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}${separator}${pad(minutes % 60)}`;
}

/** ISO 8601 week and the year that it belongs to. */
function isoWeek(t: TimeFields): readonly [year: number, week: number] {
  const thursday = new Date(Date.UTC(t.year, t.month, t.day + 4 - (t.weekday || 7)));
  const year = thursday.getUTCFullYear();
  return [year, Math.ceil(((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7)];
}

/** The conversions of strftime (C locale), and abseil's `%E...` forms. */
const conversions: Readonly<Record<string, (t: TimeFields) => string>> = {
  Y: (t) => String(t.year),
  y: (t) => pad(t.year % 100),
  C: (t) => pad(Math.floor(t.year / 100)),
  m: (t) => pad(t.month + 1),
  d: (t) => pad(t.day),
  e: (t) => pad(t.day, 2, ' '),
  H: (t) => pad(t.hour),
  k: (t) => pad(t.hour, 2, ' '),
  I: (t) => pad(hour12(t)),
  l: (t) => pad(hour12(t), 2, ' '),
  M: (t) => pad(t.minute),
  S: (t) => pad(t.second),
  p: (t) => (t.hour < 12 ? 'AM' : 'PM'),
  P: (t) => (t.hour < 12 ? 'am' : 'pm'),
  j: (t) => pad(t.yearDay, 3),
  a: (t) => DAYS[t.weekday]!.slice(0, 3),
  A: (t) => DAYS[t.weekday]!,
  b: (t) => MONTHS[t.month]!.slice(0, 3),
  h: (t) => MONTHS[t.month]!.slice(0, 3),
  B: (t) => MONTHS[t.month]!,
  u: (t) => String(t.weekday || 7),
  w: (t) => String(t.weekday),
  U: (t) => pad(Math.floor((t.yearDay + 6 - t.weekday) / 7)),
  W: (t) => pad(Math.floor((t.yearDay + 6 - ((t.weekday + 6) % 7)) / 7)),
  V: (t) => pad(isoWeek(t)[1]),
  G: (t) => String(isoWeek(t)[0]),
  g: (t) => pad(isoWeek(t)[0] % 100),
  s: (t) => String(t.epochSeconds),
  z: (t) => offsetText(t, ''),
  ':z': (t) => offsetText(t, ':'),
  Ez: (t) => offsetText(t, ':'),
  Z: (t) => t.zone,
  E4Y: (t) => pad(t.year, 4),
  ET: () => 'T',
  t: () => '\t',
  '%': () => '%',
};

/** Conversions that stand for others. */
const shorthands: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
  T: '%H:%M:%S',
  r: '%I:%M:%S %p',
  c: '%a %b %e %H:%M:%S %Y',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
};

const conversion = /%(?:([1-9])?f|E([0-9]{1,2}|\*)([Sf])|(E4Y|ET|Ez|:z|[A-Za-z%]))/g;

function parse(format: string): Piece[] {
  const pieces: Piece[] = [];
  const text = (literal: string): void => {
    if (literal !== '') pieces.push({ kind: 'second', render: () => literal });
  };
  let at = 0;
  for (const match of format.matchAll(conversion)) {
    text(format.slice(at, match.index));
    at = match.index + match[0].length;
    const [whole, digits, precision, precise, name] = match;
    if (name !== undefined) {
      const render = conversions[name];
      if (render !== undefined) pieces.push({ kind: 'second', render });
      else if (shorthands[name] !== undefined) pieces.push(...parse(shorthands[name]));
      else text(whole);
    } else if (precise !== undefined) {
      const count = precision === '*' ? -1 : Number(precision);
      if (precise === 'S') {
        pieces.push({ kind: 'second', render: conversions['S']! });
        if (count !== 0) text('.');
      }
      if (count !== 0) pieces.push({ kind: 'fraction', digits: count });
    } else pieces.push({ kind: 'fraction', digits: digits === undefined ? 9 : Number(digits) });
  }
  text(format.slice(at));
  return pieces;
}

function breakDown(epochSeconds: number, local: boolean): TimeFields {
  const date = new Date(epochSeconds * 1000);
  const offset = local ? -date.getTimezoneOffset() : 0;
  const shifted = new Date(date.getTime() + offset * 60_000);
  const year = shifted.getUTCFullYear();
  return {
    epochSeconds,
    year,
    month: shifted.getUTCMonth(),
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
    weekday: shifted.getUTCDay(),
    yearDay: Math.floor((shifted.getTime() - Date.UTC(year, 0, 1)) / 86_400_000) + 1,
    offset,
    zone: local
      ? (new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
          .formatToParts(date)
          .find((part) => part.type === 'timeZoneName')?.value ?? '')
      : 'UTC',
  };
}

/**
 * The fraction of the second, cut (not rounded) to `digits`; -1 = as many as are not zero. A double holds the time of
 * today to the microsecond, so the last three of nine digits are zeros, as on Envoy.
 */
function fraction(millisecondsOfSecond: number, digits: number): string {
  const nanoseconds = `${pad(Math.min(999_999, Math.floor(millisecondsOfSecond * 1e3 + 0.1)), 6)}000`;
  return digits === -1 ? nanoseconds.replace(/0+$/, '') || '0' : nanoseconds.slice(0, digits);
}

/**
 * Compiles a time format (Envoy's START_TIME: strftime plus `%f`, `%1f`..`%9f`, `%s`); '' = `%Y-%m-%dT%H:%M:%S.%3fZ`,
 * or with the offset (`%z`) for `Z` when `local`. What doesn't change within a second is rendered once a second.
 * The result takes ms since the epoch.
 */
export function compileTime(format: string, local = false): (epochMs: number) => string {
  const pieces = parse(format === '' ? (local ? '%Y-%m-%dT%H:%M:%S.%3f%z' : '%Y-%m-%dT%H:%M:%S.%3fZ') : format);
  const runs: string[] = [''];
  const digits: number[] = [];
  let second = Number.NaN;
  const renderSecond = (epochSeconds: number): void => {
    second = epochSeconds;
    const fields = breakDown(epochSeconds, local);
    runs.length = 1;
    runs[0] = '';
    digits.length = 0;
    for (const piece of pieces) {
      if (piece.kind === 'fraction') {
        digits.push(piece.digits);
        runs.push('');
      } else runs[runs.length - 1] += piece.render(fields);
    }
  };
  return (epochMs) => {
    const epochSeconds = Math.floor(epochMs / 1000);
    if (epochSeconds !== second) renderSecond(epochSeconds);
    let text = runs[0]!;
    for (let i = 0; i < digits.length; i++) {
      const within = epochMs - epochSeconds * 1000;
      text += (digits[i] === 3 ? threeDigits(within) : fraction(within, digits[i]!)) + runs[i + 1]!;
    }
    return text;
  };
}

function threeDigits(milliseconds: number): string {
  const whole = Math.floor(milliseconds);
  return whole >= 100 ? `${whole}` : whole >= 10 ? `0${whole}` : `00${whole}`;
}
