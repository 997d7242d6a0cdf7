import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileLogFormat, DEFAULT_LOG_FORMAT, jsonLogPattern } from '../../src/telemetry/log-format.ts';
import { parseLogLevel } from '../../src/telemetry/log-level.ts';
import { ProcessLog } from '../../src/telemetry/log.ts';

const record = {
  time: new Date(2026, 0, 5, 15, 4, 9, 7),
  level: 'warning',
  component: 'main',
  message: 'say "hi"\nagain',
  threadId: 42,
} as const;

describe('format', () => {
  test.each([
    [DEFAULT_LOG_FORMAT, '[2026-01-05 15:04:09.007][42][warning][main] say "hi"\nagain'],
    ['[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v', '[2026-01-05 15:04:09.007][42][warning][main] [:] say "hi"\nagain'],
    ['%_', 'say \\"hi\\"\\nagain'],
    ['%j', 'say \\"hi\\"\\nagain'],
    ['%L %D %R %r %I %p %f %b %A', 'W 01/05/26 15:04 03:04:09 PM 03 PM 007000 Jan Monday'],
    ['%8n|%-8n|%=8n|%3!l', '    main|main    |  main  |war'],
    ['100%% %q', '100% %q'],
  ])('%s', (pattern, line) => {
    expect(compileLogFormat(pattern)(record)).toBe(line);
  });

  test('escapes messages on demand', () => {
    expect(compileLogFormat('%v', true)(record)).toBe('say \\"hi\\"\\nagain');
  });

  test('as JSON', () => {
    const line = compileLogFormat(jsonLogPattern({ level: '%l', message: '%j' }))(record);
    expect(JSON.parse(line)).toEqual({ level: 'warning', message: 'say "hi"\nagain' });
  });
});

test.each([
  ['warn', 'warning'],
  ['warning', 'warning'],
  ['off', 'off'],
  ['WARN', undefined],
  ['', undefined],
])('level %s', (text, level) => {
  expect(parseLogLevel(text)).toBe(level);
});

describe('ProcessLog', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'log-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const read = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);

  test('writes what the level of the component lets through', () => {
    const path = join(dir, 'levels.log');
    const log = new ProcessLog({ level: 'warning', componentLevels: { upstream: 'trace' }, format: '%n %l %v', path });
    log.info('main', 'a');
    log.warn('main', 'b');
    log.trace('upstream', 'c');
    log.critical('unheard of', 'd');
    expect(log.isEnabled('main', 'info')).toBe(false);
    expect(log.isEnabled('upstream', 'debug')).toBe(true);
    expect(log.setLevel('debug', 'main')).toBe(true);
    expect(log.setLevel('debug', 'nope')).toBe(false);
    log.debug('main', 'e');
    log.setLevel('off');
    log.critical('main', 'f');
    expect(log.levels()).toContainEqual(['http', 'off']);
    expect(read(path)).toEqual(['main warning b', 'upstream trace c', 'unheard of critical d', 'main debug e']);
  });

  test('opens its file anew', () => {
    const path = join(dir, 'moved.log');
    const log = new ProcessLog({ level: 'info', format: '%v', path });
    log.info('main', 'before');
    renameSync(path, `${path}.1`);
    log.info('main', 'still the old one');
    log.reopen();
    log.info('main', 'after');
    expect(read(`${path}.1`)).toEqual(['before', 'still the old one']);
    expect(read(path)).toEqual(['after']);
  });

  test('goes on with the old file where the new one cannot be opened', () => {
    const sub = join(dir, 'gone');
    const path = join(mkdtempSync(sub), 'a.log');
    const log = new ProcessLog({ level: 'info', format: '%v', path });
    renameSync(join(path, '..'), `${sub}.moved`);
    log.reopen();
    log.info('main', 'still here');
    const lines = read(join(`${sub}.moved`, 'a.log'));
    expect(lines[0]).toMatch(/^unable to reopen .*a\.log/);
    expect(lines[1]).toBe('still here');
  });

  test('counts what a full disk refuses', () => {
    const log = new ProcessLog({ level: 'info', path: '/dev/full' });
    log.info('main', 'a');
    expect(log.dropped).toBe(1);
  });

  test('a path that cannot be opened throws', () => {
    expect(() => new ProcessLog({ level: 'info', path: join(dir, 'no', 'such', 'folder') })).toThrow(/ENOENT/);
  });
});
