import type { Message } from '@bufbuild/protobuf';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { Problems } from '../problem.ts';
import { reportUnsupported } from '../unsupported.ts';

/** reportUnsupported for a message whose descriptor is found by its name. Silent about types that aren't loaded. */
export function reportUnsupportedFields(
  types: TypeRegistry,
  message: Message,
  supported: readonly string[],
  problems: Problems,
): void {
  const desc = types.get(message.$typeName);
  if (desc !== undefined) reportUnsupported(desc, message, supported, problems);
}
