import type { Evaluate, Operator, OperatorEnvironment, OperatorTable } from './operator.ts';
import { truncate } from './operator.ts';

function entry(json: unknown, index: number, environment: OperatorEnvironment): Evaluate {
  const fail = (message: string): never => {
    throw new Error(`COALESCE: failed to parse operator at index ${index}: ${message}`);
  };
  try {
    if (typeof json === 'string') return environment.operator(json, undefined, undefined);
    if (typeof json !== 'object' || json === null)
      return fail("operator entry must be either a string (command name) or an object with 'command' field");
    const { command, param, max_length: length } = json as Readonly<Record<string, unknown>>;
    if (typeof command !== 'string') return fail("operator object must have 'command' field");
    return environment.operator(
      command,
      typeof param === 'string' ? param : undefined,
      typeof length === 'number' ? length : undefined,
    );
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.startsWith('COALESCE') ? fail(message.slice(message.indexOf(': ', 10) + 2)) : fail(message);
  }
}

/** `%COALESCE({"operators": ["NAME", {"command": "REQ", "param": "a", "max_length": 9}]})%`: the first that is there. */
const coalesce: Operator = {
  params: 'required',
  length: true,
  compile(args, maxLength, environment) {
    let json: unknown;
    try {
      json = JSON.parse(args);
    } catch (error) {
      throw new Error(`COALESCE: failed to parse JSON configuration: ${(error as Error).message}`, { cause: error });
    }
    const operators = (json as { readonly operators?: unknown } | null)?.operators;
    if (!Array.isArray(operators)) throw new Error("COALESCE: JSON configuration must contain 'operators' array");
    if (operators.length === 0) throw new Error("COALESCE: 'operators' array must not be empty");
    const candidates = operators.map((each, index) => entry(each, index, environment));
    return (context) => {
      for (const candidate of candidates) {
        const value = candidate(context);
        if (value !== undefined && value !== null && value !== '')
          return typeof value === 'string' ? truncate(value, maxLength) : value;
      }
      return undefined;
    };
  },
};

export const coalesceOperators: OperatorTable = { COALESCE: coalesce };
