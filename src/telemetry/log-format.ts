import { DAYS, MONTHS } from '../lib/calendar.ts';
import type { LogLevel } from './log-level.ts';

/** One line of the process log, before it is formatted. */
export interface LogRecord {
  readonly time: Date;
  readonly level: LogLevel;
  readonly component: string;
  readonly message: string;
  readonly threadId: number;
}

type Part = (record: LogRecord) => string;

const two = (value: number): string => String(value).padStart(2, '0');
const clock12 = (time: Date): number => time.getHours() % 12 || 12;
const time24 = (time: Date): string => `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
const half = (time: Date): string => (time.getHours() < 12 ? 'AM' : 'PM');

/** spdlog's pattern flags, and Envoy's own `%j` (JSON-escaped) and `%_` (escaped) message. */
const FLAGS: Readonly<Record<string, Part>> = {
  v: (record) => record.message,
  _: (record) => escapeMessage(record.message),
  j: (record) => JSON.stringify(record.message).slice(1, -1),
  t: (record) => String(record.threadId),
  P: () => String(process.pid),
  n: (record) => record.component,
  l: (record) => record.level,
  L: (record) => record.level[0]!.toUpperCase(),
  a: ({ time }) => DAYS[time.getDay()]!.slice(0, 3),
  A: ({ time }) => DAYS[time.getDay()]!,
  b: ({ time }) => MONTHS[time.getMonth()]!.slice(0, 3),
  h: ({ time }) => MONTHS[time.getMonth()]!.slice(0, 3),
  B: ({ time }) => MONTHS[time.getMonth()]!,
  c: ({ time }) =>
    `${DAYS[time.getDay()]!.slice(0, 3)} ${MONTHS[time.getMonth()]!.slice(0, 3)} ${time.getDate()} ${time24(time)} ${time.getFullYear()}`,
  C: ({ time }) => two(time.getFullYear() % 100),
  Y: ({ time }) => String(time.getFullYear()),
  D: ({ time }) => `${two(time.getMonth() + 1)}/${two(time.getDate())}/${two(time.getFullYear() % 100)}`,
  x: ({ time }) => `${two(time.getMonth() + 1)}/${two(time.getDate())}/${two(time.getFullYear() % 100)}`,
  m: ({ time }) => two(time.getMonth() + 1),
  d: ({ time }) => two(time.getDate()),
  H: ({ time }) => two(time.getHours()),
  I: ({ time }) => two(clock12(time)),
  M: ({ time }) => two(time.getMinutes()),
  S: ({ time }) => two(time.getSeconds()),
  e: ({ time }) => String(time.getMilliseconds()).padStart(3, '0'),
  f: ({ time }) => `${String(time.getMilliseconds()).padStart(3, '0')}000`,
  F: ({ time }) => `${String(time.getMilliseconds()).padStart(3, '0')}000000`,
  p: ({ time }) => half(time),
  r: ({ time }) => `${two(clock12(time))}:${two(time.getMinutes())}:${two(time.getSeconds())} ${half(time)}`,
  R: ({ time }) => `${two(time.getHours())}:${two(time.getMinutes())}`,
  T: ({ time }) => time24(time),
  X: ({ time }) => time24(time),
  z: ({ time }) => offset(-time.getTimezoneOffset()),
  E: ({ time }) => String(Math.floor(time.getTime() / 1000)),
  // Where in the source a line was logged is not known here; colours are for terminals.
  g: () => '',
  s: () => '',
  '#': () => '',
  '@': () => '',
  '!': () => '',
  '^': () => '',
  $: () => '',
  '%': () => '%',
};

/** Envoy's default has the place in the source too, which lines of ours do not have. */
export const DEFAULT_LOG_FORMAT = '[%Y-%m-%d %T.%e][%t][%l][%n] %v';

/**
 * Compiles a pattern in spdlog's syntax (--log-format): flags as above, with an optional width (`%8l` right, `%-8l`
 * left, `%=8l` centred, `!` to truncate). Unknown flags stay as they are.
 */
export function compileLogFormat(pattern: string, escapeMessages = false): (record: LogRecord) => string {
  const parts: Part[] = [];
  const flag = /%(?:([-=]?)(\d{1,2})(!?))?(.)/gs;
  let last = 0;
  for (const match of pattern.matchAll(flag)) {
    const [whole, side = '', width, truncate, name] = match;
    const render = name === 'v' && escapeMessages ? FLAGS['_']! : FLAGS[name!];
    if (render === undefined) continue;
    const literal = pattern.slice(last, match.index);
    if (literal !== '') parts.push(() => literal);
    last = match.index + whole.length;
    parts.push(width === undefined ? render : (record) => fit(render(record), Number(width), side, truncate === '!'));
  }
  const rest = pattern.slice(last);
  if (rest !== '') parts.push(() => rest);
  return (record) => {
    let line = '';
    for (const part of parts) line += part(record);
    return line;
  };
}

/** The pattern for `application_log_config.log_format.json_format`: values are patterns, `%j` is the message. */
export function jsonLogPattern(format: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(format);
}

function fit(text: string, width: number, side: string, truncate: boolean): string {
  if (text.length >= width) return truncate ? text.slice(0, width) : text;
  if (side === '-') return text.padEnd(width);
  return side === '=' ? text.padStart(Math.floor((width + text.length) / 2)).padEnd(width) : text.padStart(width);
}

function offset(minutes: number): string {
  const absolute = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}

function escapeMessage(message: string): string {
  return message.replaceAll(/[\\"'\n\r\t]/g, (character) => ESCAPED[character]!);
}

const ESCAPED: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  "'": "\\'",
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};
