import type { Clock } from '../../../lib/clock.ts';
import type { FormatContext } from '../access-log.ts';

/** What an operator yields: text is latin1 (one character per byte); `undefined` and `null` mean "not there". */
export type FormatValue =
  string | number | boolean | null | undefined | readonly unknown[] | { readonly [key: string]: unknown };

/** A compiled operator: reads its value off one stream. Never throws. */
export type Evaluate = (context: FormatContext) => FormatValue;

/** What operators may need beyond the stream. */
export interface OperatorEnvironment {
  readonly clock: Clock;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  /** The value becomes a JSON value of its own (not part of a text): structure is kept, and never cut short. */
  readonly typed: boolean;
  /** Compiles another operator (for %COALESCE%). Throws like `compileText`. */
  operator(name: string, args: string | undefined, maxLength: number | undefined): Evaluate;
  /** Says that this use of the operator is understood but always yields a missing value. */
  unsupported(): void;
}

/** A command operator of format strings: `%NAME(args):maxLength%`. */
export interface Operator {
  /** Whether it takes `(args)`. */
  readonly params: 'none' | 'optional' | 'required';
  /** Whether it takes `:maxLength`. */
  readonly length: boolean;
  /** Throws an Error whose message says what is wrong with the arguments. */
  compile(args: string, maxLength: number | undefined, environment: OperatorEnvironment): Evaluate;
}

export type OperatorTable = Readonly<Record<string, Operator>>;

/** An operator without arguments. */
export function plain(evaluate: Evaluate): Operator {
  return { params: 'none', length: false, compile: () => evaluate };
}

/** An operator that Envoy knows and whose value we cannot give: it prints as missing, and is named as unsupported. */
export function absent(params: Operator['params'] = 'none', length = false): Operator {
  return {
    params,
    length,
    compile(_args, _maxLength, environment) {
      environment.unsupported();
      return () => undefined;
    },
  };
}

/** Cuts `text` to `maxLength` bytes (characters, as text is latin1). */
export function truncate(text: string, maxLength: number | undefined): string {
  return maxLength !== undefined && text.length > maxLength ? text.slice(0, maxLength) : text;
}

const beyondAscii = /[^\0-\x7f]/;

/** Unicode text as the bytes of its UTF-8 form, one character each, which is how headers and log lines carry it. */
export function toBytesText(text: string): string {
  return beyondAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** Bytes text back to Unicode, where it is valid UTF-8; else undefined. */
export function fromBytesText(text: string): string | undefined {
  if (!beyondAscii.test(text)) return text;
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  return decoded.includes('\ufffd') && !text.includes('\xef\xbf\xbd') ? undefined : decoded;
}
