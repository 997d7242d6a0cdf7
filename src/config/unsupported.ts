import { isFieldSet } from '@bufbuild/protobuf';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import type { Problems } from './problem.ts';

/**
 * Names every field of `message` that is set and that the caller does not implement. A builder calls it once a
 * message with the proto names of the fields it reads; what it leaves out of the list is reported, never ignored.
 * A field is set when it is present on the wire: for a plain scalar or enum that means not its default.
 */
export function reportUnsupported(
  desc: DescMessage,
  message: Message,
  supported: readonly string[],
  problems: Problems,
): void {
  for (const field of desc.fields)
    if (!supported.includes(field.name) && isFieldSet(message, field)) problems.unsupported(field.name);
}
