import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';

/** A value from the path or the query for a field of the request. */
export interface Binding {
  /** The fields on the way, the bound one last. */
  readonly fields: readonly DescField[];
  readonly value: string;
}

/** What a request can't be translated for. */
export class TranscodingError extends Error {
  override readonly name = 'TranscodingError';
}

/** The field that a dotted path of proto or JSON names leads to. */
export function resolveFields(message: DescMessage, path: readonly string[]): readonly DescField[] | string {
  const fields: DescField[] = [];
  let current: DescMessage | undefined = message;
  for (const name of path) {
    const field: DescField | undefined = current?.fields.find((each) => each.name === name || each.jsonName === name);
    if (field === undefined) return `Could not find field "${name}" in the type "${current?.typeName ?? ''}".`;
    fields.push(field);
    current = field.fieldKind === 'message' ? field.message : undefined;
  }
  return fields;
}

/**
 * Puts bindings into a request in its JSON form. What the body says of a field stays, unless both may be there
 * (repeated fields) or `rejectCollisions` is set.
 */
export function weave(body: JsonObject, bindings: readonly Binding[], rejectCollisions: boolean): void {
  for (const { fields, value } of bindings) {
    let object = body;
    for (const field of fields.slice(0, -1)) {
      const key = keyOf(object, field);
      const next = object[key];
      object = typeof next === 'object' && next !== null && !Array.isArray(next) ? next : (object[key] = {});
    }
    const field = fields.at(-1)!;
    const key = keyOf(object, field);
    const json = toJsonValue(field, value);
    const present = object[key];
    if (field.fieldKind === 'list') object[key] = Array.isArray(present) ? [...present, json] : [json];
    else if (present === undefined || present === null) object[key] = json;
    else if (rejectCollisions && String(present as string | number | boolean) !== value)
      throw new TranscodingError(
        `The binding value "${value}" of the field "${field.name}" is conflicting with the value "${String(present as string)}" in the body.`,
      );
  }
}

/** Puts `value` where `fields` lead to, in a new object. */
export function nest(fields: readonly DescField[], value: JsonValue): JsonObject {
  let json = value;
  for (const field of fields.toReversed()) json = { [field.jsonName]: json };
  return json as JsonObject;
}

/** Both spellings of a name may be in a body. */
function keyOf(object: JsonObject, field: DescField): string {
  return Object.hasOwn(object, field.name) ? field.name : field.jsonName;
}

function toJsonValue(field: DescField, value: string): JsonValue {
  const isEnum = field.fieldKind === 'enum' || (field.fieldKind === 'list' && field.listKind === 'enum');
  if (isEnum) return /^-?\d+$/.test(value) ? Number(value) : value;
  const scalar = field.scalar ?? (field.message?.typeName === 'google.protobuf.BoolValue' ? BOOL : undefined);
  if (scalar === BOOL) {
    if (value === 'true') return true;
    if (value === 'false') return false;
  }
  return value;
}

/** ScalarType.BOOL, by its number in descriptor.proto. */
const BOOL = 8;
