import { suggestion } from '../lib/nearest.ts';
import type { Flag } from './flags.ts';
import { FLAGS } from './flags.ts';
import type { ServerOptions } from './options.ts';
import { DEFAULT_OPTIONS } from './options.ts';

export type CommandLine =
  | {
      readonly kind: 'run';
      readonly options: ServerOptions;
      /** Of `exec`: the command to run beside the proxy. */
      readonly app?: readonly [string, ...string[]];
    }
  | { readonly kind: 'help' | 'version' | 'hot-restart-version' }
  /** Everything that is wrong with it. */
  | { readonly kind: 'error'; readonly messages: readonly string[] };

/** Flags that answer and exit. */
const ANSWERS: Readonly<Record<string, 'help' | 'version' | 'hot-restart-version'>> = {
  '-h': 'help',
  '--help': 'help',
  '--version': 'version',
  '--hot-restart-version': 'hot-restart-version',
};

/** The subcommand that runs an application beside the proxy: `exec [flags] -- command [arguments]`. */
const EXEC = 'exec';

/** Parses the command line: a subcommand if there is one, and Envoy's flags. */
export function parseArguments(argv: readonly string[]): CommandLine {
  if (argv[0] !== EXEC) return parseFlags(argv);
  const end = argv.indexOf('--');
  const flags = parseFlags(argv.slice(1, end === -1 ? undefined : end));
  if (flags.kind !== 'run') return flags;
  const [command, ...args] = end === -1 ? [] : argv.slice(end + 1);
  if (command === undefined || command === '')
    return {
      kind: 'error',
      messages: [`${EXEC} needs a command behind its flags: ${EXEC} -c <bootstrap> -- <command>`],
    };
  return { ...flags, app: [command, ...args] };
}

/**
 * Parses Envoy's argv: `--flag value`, `-f value`, and beyond Envoy `--flag=value`. A flag given twice is an error, as
 * there; what follows `--` is ignored, as there.
 */
function parseFlags(argv: readonly string[]): CommandLine {
  const byName = new Map(FLAGS.map((flag) => [`--${flag.name}`, flag]));
  for (const flag of FLAGS) if (flag.short !== undefined) byName.set(`-${flag.short}`, flag);
  const options = { ...DEFAULT_OPTIONS };
  const messages: string[] = [];
  const given = new Set<Flag>();
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at]!;
    if (argument === '--' || argument === '--ignore_rest') break;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const name = equals === -1 ? argument : argument.slice(0, equals);
    const answer = Object.hasOwn(ANSWERS, name) ? ANSWERS[name] : undefined;
    if (answer !== undefined && equals === -1) return { kind: answer };
    const flag = byName.get(name);
    if (flag === undefined) {
      messages.push(unknownArgument(name));
      // Its value, if that is what follows, is no mistake of its own.
      if (equals === -1 && name.startsWith('-') && argv[at + 1]?.startsWith('-') === false) at++;
      continue;
    }
    let value = '';
    if (flag.value !== undefined) {
      if (equals !== -1) value = argument.slice(equals + 1);
      else if (at + 1 < argv.length) value = argv[++at]!;
      else {
        messages.push(`${name} needs a value (${flag.value})`);
        continue;
      }
    } else if (equals !== -1) {
      messages.push(`${name} takes no value`);
      continue;
    }
    if (given.has(flag) && flag.repeatable !== true) messages.push(`${name} is given twice`);
    given.add(flag);
    const problem = flag.apply(options, value);
    if (problem !== undefined) messages.push(`${name} ${problem}`);
  }
  return messages.length > 0 ? { kind: 'error', messages } : { kind: 'run', options };
}

function unknownArgument(name: string): string {
  if (!name.startsWith('-')) return `unexpected argument '${name}'`;
  const known = [...FLAGS.map((flag) => `--${flag.name}`), ...Object.keys(ANSWERS)];
  return `unknown flag '${name}'${suggestion(name, known)}`;
}

/** The text of --help. */
export function usage(program: string): string {
  const rows = FLAGS.map((flag) => {
    const short = flag.short === undefined ? '' : `-${flag.short}, `;
    const value = flag.value === undefined ? '' : ` <${flag.value}>`;
    return [`${short}--${flag.name}${value}`, flag.help] as const;
  });
  rows.push(['--version', 'print the version and exit'], ['--hot-restart-version', 'print it and exit']);
  rows.push(['-h, --help', 'print this and exit']);
  const lines = rows.map(([left, right]) => `  ${left.padEnd(40)} ${right}`);
  return `Usage: ${program} -c <bootstrap> [flags]\n       ${program} ${EXEC} -c <bootstrap> [flags] -- <command> [arguments]\n\n${lines.join('\n')}\n`;
}
