import { hostname } from 'node:os';
import { systemClock, type Clock } from '../../lib/clock.ts';
import type { FormatContext, TextFormatter } from './access-log.ts';
import { numberToJson, toJson } from './json-text.ts';
import { builtinOperators } from './operators/builtin.ts';
import { toBytesText, type Evaluate, type FormatValue, type OperatorEnvironment } from './operators/operator.ts';

/** A format string that does not parse. `position` is a 0-based offset into it. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

export interface FormatOptions {
  /** Missing values print as '' instead of '-'. */
  readonly omitEmptyValues?: boolean;
  /** For operators that print the current time. Default: the system's. */
  readonly clock?: Clock;
  /** What %ENVIRONMENT(X)% reads. Default: the process environment. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
}

/** Envoy's format of a file access log that configures none. */
export const DEFAULT_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/** A format string as literals and operators in turn: literal, operator, literal, ..., literal. */
export interface ParsedFormat {
  readonly literals: readonly string[];
  readonly operators: readonly Evaluate[];
  /** The operators (as written) that always print as missing because we don't implement them. */
  readonly unsupported: readonly string[];
}

/** `%NAME(args):length%`. The shortest args win, so `)` may stand inside them unless `%` or `:n%` follows it. */
const command = /%([A-Z0-9_]+)(?:\(([^\n]*?)\))?(?::([0-9]+))?%/y;

/** One piece of a format string as written, before it is known whether it becomes text or a JSON value. */
interface Command {
  readonly token: string;
  readonly name: string;
  readonly args: string | undefined;
  readonly length: number | undefined;
  readonly position: number;
}

/** Splits a format string into literals and commands. `%%` is a percent sign. */
function split(format: string): { readonly literals: string[]; readonly commands: Command[] } {
  const literals: string[] = [];
  const commands: Command[] = [];
  let literal = '';
  let at = 0;
  while (at < format.length) {
    const percent = format.indexOf('%', at);
    if (percent === -1) {
      literal += format.slice(at);
      break;
    }
    literal += format.slice(at, percent);
    if (format.charCodeAt(percent + 1) === 37) {
      literal += '%';
      at = percent + 2;
      continue;
    }
    command.lastIndex = percent;
    const match = command.exec(format);
    if (match === null)
      throw new FormatError(
        `Incorrect configuration: ${format}. Couldn't find valid command at position ${percent}`,
        percent,
      );
    const [token, name, args, length] = match;
    literals.push(toBytesText(literal));
    literal = '';
    commands.push({
      token,
      name: name!,
      args,
      length: length === undefined ? undefined : Number(length),
      position: percent,
    });
    at = percent + token.length;
  }
  literals.push(toBytesText(literal));
  return { literals, commands };
}

/**
 * Parses a format string (Envoy: access log "format rules"). Literals come out as latin1 text that holds the bytes of
 * their UTF-8 form. With `typed`, a string that is one operator and nothing else keeps that operator's value as it is.
 * Throws FormatError.
 */
export function parseFormat(format: string, options: FormatOptions = {}, typed = false): ParsedFormat {
  const { literals, commands } = split(format);
  const unsupported: string[] = [];
  let current: Command | undefined;
  const environment: OperatorEnvironment = {
    clock: options.clock ?? systemClock,
    variables: options.variables ?? process.env,
    hostname: hostname(),
    typed: typed && commands.length === 1 && literals[0] === '' && literals[1] === '',
    operator: (name, args, maxLength) => compileOperator(name, args, maxLength, environment),
    unsupported: () => void unsupported.push(current!.token),
  };
  const operators = commands.map((each) => {
    current = each;
    try {
      return compileOperator(each.name, each.args, each.length, environment);
    } catch (error) {
      throw new FormatError(error instanceof Error ? error.message : String(error), each.position);
    }
  });
  return { literals, operators, unsupported };
}

function compileOperator(
  name: string,
  args: string | undefined,
  length: number | undefined,
  environment: OperatorEnvironment,
): Evaluate {
  const operator = Object.hasOwn(builtinOperators, name) ? builtinOperators[name] : undefined;
  if (operator === undefined) throw new Error(`Not supported field in StreamInfo: ${name}`);
  if (operator.params === 'none' && ((args !== undefined && args !== '') || length !== undefined))
    throw new Error(`${name} does not take any parameters or length`);
  if (operator.params === 'required' && (args === undefined || args === ''))
    throw new Error(`${name} requires parameters`);
  if (!operator.length && length !== undefined) throw new Error(`${name} does not allow length to be specified.`);
  return operator.compile(args ?? '', length, environment);
}

/** The value of an operator as it stands in text; `missing` where there is none. */
export function valueToText(value: FormatValue, missing: string): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return missing;
  if (typeof value === 'object') return toBytesText(toJson(value));
  return typeof value === 'number' ? numberToJson(value) : String(value);
}

/** Compiles a format string once; formatting is then a concatenation. Throws FormatError on a bad one. */
export function compileText(format: string, options: FormatOptions = {}): TextFormatter {
  return new CompiledText(parseFormat(format, options), options.omitEmptyValues === true ? '' : '-');
}

/**
 * Compiles the value of a configured header (`request_headers_to_add` and its like): missing values print as nothing,
 * and the older spellings `%UPSTREAM_METADATA(["ns", "key"])%`, `%DYNAMIC_METADATA([...])%` and
 * `%PER_REQUEST_STATE(key)%` are understood. Throws FormatError.
 */
export function compileHeaderValue(format: string, options: FormatOptions = {}): TextFormatter {
  const translated = format
    .replace(/%(UPSTREAM|DYNAMIC)_METADATA\(\s*\[([^\]]*)\]\s*\)%/g, (_, kind: string, list: string) => {
      const keys = [...list.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, key]) => key!.replace(/\\(.)/g, '$1'));
      return `%${kind}_METADATA(${keys.join(':')})%`;
    })
    .replace(/%PER_REQUEST_STATE\((.*?)\)%/g, '%FILTER_STATE($1:PLAIN)%');
  return compileText(translated, { ...options, omitEmptyValues: true });
}

class CompiledText implements TextFormatter {
  readonly literal: string | undefined;
  readonly #literals: readonly string[];
  readonly #operators: readonly Evaluate[];
  readonly #missing: string;

  constructor(parsed: ParsedFormat, missing: string) {
    this.#literals = parsed.literals;
    this.#operators = parsed.operators;
    this.#missing = missing;
    this.literal = parsed.operators.length === 0 ? parsed.literals[0] : undefined;
  }

  format(context: FormatContext): string {
    const literals = this.#literals;
    const operators = this.#operators;
    let text = literals[0]!;
    for (let i = 0; i < operators.length; i++) {
      const value = operators[i]!(context);
      text += typeof value === 'string' ? value : valueToText(value, this.#missing);
      text += literals[i + 1]!;
    }
    return text;
  }
}
