import { toBytesText, type Operator, type OperatorEnvironment, type OperatorTable } from './operator.ts';
import type { FormatContext } from '../access-log.ts';
import { compileTime } from '../time-format.ts';

/** A point in wall-clock time, ms since the epoch. */
type Read = (context: FormatContext, environment: OperatorEnvironment) => number;

function time(read: Read, local: boolean): Operator {
  return {
    params: 'optional',
    length: false,
    compile(args, _maxLength, environment) {
      if (/%[-_0^#]*[1-9]*(E|O)?n/.test(args))
        throw new Error('Invalid header configuration. Format string contains newline.');
      const format = compileTime(toBytesText(args), local);
      return (context) => format(read(context, environment));
    },
  };
}

const start: Read = ({ info }) => info.startEpochMs;
const emit: Read = (_context, { clock }) => clock.epoch();

/** Operators that print a time of day. */
export const timeOperators: OperatorTable = {
  START_TIME: time(start, false),
  START_TIME_LOCAL: time(start, true),
  EMIT_TIME: time(emit, false),
  EMIT_TIME_LOCAL: time(emit, true),
};
