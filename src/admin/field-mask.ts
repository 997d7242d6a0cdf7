import type { DescMessage } from '@bufbuild/protobuf';

type Json = Record<string, unknown>;

/**
 * A google.protobuf.FieldMask over messages in proto JSON with proto names: what it doesn't name is cut away. A path can
 * lead into an Any; it can't lead into the elements of a repeated field.
 */
export class FieldMask {
  readonly text: string;
  readonly #paths: readonly (readonly string[])[];

  constructor(text: string) {
    this.text = text;
    this.#paths = text.split(',').map((path) => path.trim().split('.'));
  }

  /** True if every path names something in an object with these fields; a description lets it look further down. */
  fits(fields: Readonly<Record<string, DescMessage | undefined>>): boolean {
    return this.#paths.every(([first, ...rest]) => {
      if (!Object.hasOwn(fields, first!)) return false;
      if (rest.length === 0) return true;
      const desc = fields[first!];
      return desc !== undefined && hasPath(desc, rest);
    });
  }

  apply(json: Json): Json {
    const trimmed: Json = '@type' in json ? { '@type': json['@type'] } : {};
    for (const path of this.#paths) copyPath(json, trimmed, path);
    return trimmed;
  }
}

function hasPath(desc: DescMessage, [first, ...rest]: readonly string[]): boolean {
  const field = desc.fields.find(({ name }) => name === first);
  if (field === undefined) return false;
  if (rest.length === 0) return true;
  if (field.fieldKind !== 'message') return false;
  return field.message.typeName === 'google.protobuf.Any' || hasPath(field.message, rest);
}

function copyPath(from: Json, to: Json, [first, ...rest]: readonly string[]): void {
  if (first === undefined || !Object.hasOwn(from, first)) return;
  const value = from[first];
  if (rest.length === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (rest.length === 0) to[first] = value;
    return;
  }
  const source = value as Json;
  const target = (to[first] ??= '@type' in source ? { '@type': source['@type'] } : {}) as Json;
  copyPath(source, target, rest);
}
