import { describe, expect, test } from 'vitest';
import { FLAGS } from '../../src/cli/flags.ts';
import { DEFAULT_OPTIONS } from '../../src/cli/options.ts';
import { parseArguments, usage } from '../../src/cli/parse-arguments.ts';

const options = (line: string) => {
  const parsed = parseArguments(line.split(' ').filter((part) => part !== ''));
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.options;
};

describe('flags', () => {
  test('none', () => {
    expect(options('')).toEqual(DEFAULT_OPTIONS);
  });

  test("pilot-agent's command line", () => {
    const line =
      '-c etc/istio/proxy/envoy-rev.json --drain-time-s 45 --drain-strategy immediate --local-address-ip-version v4 ' +
      '--file-flush-interval-msec 1000 --disable-hot-restart --allow-unknown-static-fields -l warning ' +
      '--component-log-level misc:error --concurrency 2 --skip-deprecated-logs';
    expect(options(line)).toEqual({
      ...DEFAULT_OPTIONS,
      configPath: 'etc/istio/proxy/envoy-rev.json',
      drainTimeSeconds: 45,
      drainStrategy: 'immediate',
      fileFlushIntervalMs: 1000,
      disableHotRestart: true,
      allowUnknownStaticFields: true,
      logLevel: 'warning',
      componentLogLevels: { misc: 'error' },
      concurrency: 2,
      skipDeprecatedLogs: true,
    });
  });

  test('with the value behind an equals sign', () => {
    expect(options('--config-path=a=b --concurrency=0')).toMatchObject({ configPath: 'a=b', concurrency: 0 });
  });

  test('whose values start with a dash', () => {
    expect(options('--config-yaml -x')).toMatchObject({ configYaml: '-x' });
  });

  test('that repeat', () => {
    expect(options('--stats-tag a:b --stats-tag c:d').statsTags).toEqual(['a:b', 'c:d']);
  });

  test('that have no effect are named', () => {
    expect(options('--cpuset-threads --socket-path /x').withoutEffect).toEqual(['--cpuset-threads', '--socket-path']);
  });

  test('what follows -- is ignored', () => {
    expect(options('-l debug -- --nope')).toMatchObject({ logLevel: 'debug' });
  });

  test('each one takes a value of its kind', () => {
    for (const flag of FLAGS) {
      const value =
        { text: 'x', number: '7', level: 'debug', names: 'x' }[flag.value ?? ''] ??
        { 'name:level,...': 'http:debug', 'name:value': 'a:b' }[flag.value ?? ''] ??
        flag.value?.split('|')[0];
      const argv = value === undefined ? [`--${flag.name}`] : [`--${flag.name}`, value];
      expect(parseArguments(argv), flag.name).toMatchObject({ kind: 'run' });
    }
  });
});

describe('mistakes', () => {
  test.each([
    ['--concurency 2', "unknown flag '--concurency' (did you mean '--concurrency'?)"],
    ['--config-pth x', "unknown flag '--config-pth' (did you mean '--config-path'?)"],
    ['-x', "unknown flag '-x'"],
    ['-linfo', "unknown flag '-linfo'"],
    ['--versoin', "unknown flag '--versoin' (did you mean '--version'?)"],
    ['extra', "unexpected argument 'extra'"],
    ['-c', '-c needs a value (text)'],
    ['--concurrency x', "--concurrency takes a whole number from 0 to 4294967295, and 'x' is none"],
    ['--concurrency -1', "--concurrency takes a whole number from 0 to 4294967295, and '-1' is none"],
    ['--concurrency 4294967296', "--concurrency takes a whole number from 0 to 4294967295, and '4294967296' is none"],
    ['--mode serv', "--mode is one of serve, validate, and not 'serv' (did you mean 'serve'?)"],
    ['--drain-strategy soon', "--drain-strategy is one of gradual, immediate, and not 'soon'"],
    ['-l noisy', "-l is one of trace, debug, info, warning, error, critical, off, and not 'noisy'"],
    ['--component-log-level http', "--component-log-level takes name:level, and 'http' is not that"],
    ['--component-log-level htpt:info', "--component-log-level has an unknown component 'htpt' (did you mean 'http'?)"],
    ['--component-log-level http:x', "--component-log-level has an unknown level 'x'"],
    ['-l info --log-level debug', '--log-level is given twice'],
    ['--disable-hot-restart=yes', '--disable-hot-restart takes no value'],
    ['--stats-tag a', "--stats-tag takes name:value, with no '.' in the value, and 'a' is not that"],
    ['--stats-tag a:b --stats-tag a:c', "--stats-tag has the tag 'a' twice"],
  ])('%s', (line, message) => {
    expect(parseArguments(line.split(' '))).toEqual({ kind: 'error', messages: [message] });
  });

  test('are all found', () => {
    const parsed = parseArguments('--nope --mode x extra -c'.split(' '));
    expect(parsed.kind === 'error' && parsed.messages.length).toBe(4);
  });
});

test.each([
  ['--version', 'version'],
  ['--help', 'help'],
  ['-h', 'help'],
  ['--hot-restart-version', 'hot-restart-version'],
  ['-l debug --version --nope', 'version'],
])('%s answers', (line, kind) => {
  expect(parseArguments(line.split(' '))).toEqual({ kind });
});

test('the usage text has every flag', () => {
  const text = usage('outrigger');
  for (const flag of FLAGS) expect(text).toContain(`--${flag.name}`);
});

describe('exec', () => {
  test('takes flags, and a command behind them', () => {
    expect(parseArguments(['exec', '-c', 'a.yaml', '--', 'app', '-c', 'b', '--', 'c'])).toEqual({
      kind: 'run',
      options: { ...DEFAULT_OPTIONS, configPath: 'a.yaml' },
      app: ['app', '-c', 'b', '--', 'c'],
    });
  });

  test.each([[['exec']], [['exec', '-c', 'a.yaml']], [['exec', '--']], [['exec', '--', '']]])(
    '%j: no command',
    (argv) => {
      expect(parseArguments(argv)).toMatchObject({
        kind: 'error',
        messages: [expect.stringContaining('needs a command')],
      });
    },
  );

  test('mistakes in the flags are told first', () => {
    expect(parseArguments(['exec', '--nope', '--', 'app'])).toMatchObject({
      kind: 'error',
      messages: ["unknown flag '--nope'"],
    });
    expect(parseArguments(['exec', '--help'])).toEqual({ kind: 'help' });
  });
});
