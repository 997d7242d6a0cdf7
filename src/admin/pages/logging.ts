import { textResponse, type AdminPage } from '../page.ts';
import { LOG_LEVELS, type LogLevel } from '../../telemetry/log-level.ts';
import type { LoggingControl } from '../sources.ts';

const USAGE = `usage: /logging?<name>=<level> (change single level)
usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)
usage: /logging?level=<level> (change all levels)
usage: /logging?group=<group_name>:<level> (change group of loggers)
levels: ${LOG_LEVELS.join(' ')} \n`;

export const loggingPage: AdminPage = {
  path: '/logging',
  help: 'query/change logging levels',
  mutates: true,
  params: [
    {
      name: 'paths',
      help: 'Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>.',
      kind: 'text',
    },
    { name: 'level', help: "desired logging level, this will change all loggers's level", kind: ['', ...LOG_LEVELS] },
  ],
  handle({ query, form }, { logging }) {
    const problem = change(new Map([...form, ...query]), logging);
    let text = problem === undefined ? '' : `error: ${problem}\n\n${USAGE}`;
    text += 'active loggers:\n';
    for (const [name, level] of logging.levels()) text += `  ${name}: ${level}\n`;
    return textResponse(`${text}\n`, problem === undefined ? 200 : 400);
  },
};

/** Changes all or nothing; returns what is wrong. */
function change(query: ReadonlyMap<string, string>, logging: LoggingControl): string | undefined {
  // The home page sends the fields that were left empty, too.
  const given = [...query].filter(([name, value]) => value !== '' || (name !== 'level' && name !== 'paths'));
  if (given.length === 0) return undefined;
  if (given.length > 1) return 'invalid number of parameters';
  const [key, value] = given[0]!;
  if (key === 'level') {
    if (!isLevel(value)) return 'unknown logger level';
    logging.setAllLevels(value);
    return undefined;
  }
  if (key === 'group') return 'group parameter requires fine-grain logging to be enabled';
  if (key !== 'paths') return changeEach([[key, value]], logging);
  const pairs: [string, string][] = [];
  for (const item of value.split(',')) {
    const [name = '', level = '', ...more] = item.split(':');
    if (name === '' || level === '' || more.length > 0) return 'empty logger name or empty logger level';
    pairs.push([name, level]);
  }
  return changeEach(pairs, logging);
}

function changeEach(pairs: readonly (readonly [string, string])[], logging: LoggingControl): string | undefined {
  const known = new Map(logging.levels());
  for (const [name, level] of pairs) {
    if (!isLevel(level)) return 'unknown logger level';
    if (!known.has(name)) return 'unknown logger name';
  }
  for (const [name, level] of pairs) logging.setLevel(name, level as LogLevel);
  return undefined;
}

const isLevel = (text: string): text is LogLevel => (LOG_LEVELS as readonly string[]).includes(text);
