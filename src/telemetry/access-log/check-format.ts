import type { FormatModel } from '../../config/common-model.ts';
import type { Problems } from '../../config/problem.ts';
import { parseFormat } from './format.ts';

/** Reports what is wrong with a format string, and the operators in it that we don't implement. */
export function checkFormatString(format: string, problems: Problems): void {
  try {
    const { unsupported } = parseFormat(format);
    for (const token of new Set(unsupported)) problems.unsupported(token, 'always prints as a missing value');
  } catch (error) {
    problems.error(error instanceof Error ? error.message : String(error));
  }
}

/** The same for a substitution format; `problems` stands at its message. */
export function checkFormat(model: FormatModel, problems: Problems): void {
  if (model.kind === 'text') checkFormatString(model.format, problems.at('text_format'));
  else checkJsonFormat(model.format, problems.at('json_format'));
}

/** The same for a JSON format. */
export function checkJsonFormat(format: unknown, problems: Problems): void {
  if (typeof format === 'string') checkFormatString(format, problems);
  else if (Array.isArray(format)) format.forEach((item, index) => checkJsonFormat(item, problems.at(index)));
  else if (typeof format === 'object' && format !== null)
    for (const [key, value] of Object.entries(format)) checkJsonFormat(value, problems.at(key));
}
