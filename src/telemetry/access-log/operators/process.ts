import { randomUUID } from 'node:crypto';
import { plain, toBytesText, truncate, type OperatorTable } from './operator.ts';

/** Operators about the process itself. */
export const processOperators: OperatorTable = {
  HOSTNAME: {
    params: 'none',
    length: false,
    compile:
      (_args, _maxLength, { hostname }) =>
      () =>
        hostname,
  },
  ENVIRONMENT: {
    params: 'required',
    length: true,
    compile(args, maxLength, { variables }) {
      const value = truncate(toBytesText(variables[args] ?? '-'), maxLength);
      return () => value;
    },
  },
  UNIQUE_ID: plain(() => randomUUID()),
};
