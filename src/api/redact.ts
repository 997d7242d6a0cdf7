import { clone, getOption, isFieldSet, type DescField, type DescMessage, type Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import { fieldValue, unpackAny } from './any.ts';
import { sensitive } from './generated/udpa/annotations/sensitive_pb.js';
import type { TypeRegistry } from './type-registry.ts';

const REDACTED = '[redacted]';
const REDACTED_BYTES = Buffer.from(REDACTED);

/**
 * A message without its secrets: every text and byte string in a field that the API marks as sensitive becomes
 * `[redacted]`, also within Anys of loaded types; numbers become 0. What has no secrets is returned as it is.
 */
export function redact<Shape extends Message>(registry: TypeRegistry, desc: DescMessage, message: Shape): Shape {
  if (!holdsSecrets(registry, desc, message)) return message;
  const copy = clone(desc, message) as Shape;
  redactFields(registry, desc, copy, false);
  return copy;
}

const isSensitive = (field: DescField): boolean => getOption(field, sensitive);

function holdsSecrets(registry: TypeRegistry, desc: DescMessage, message: Message): boolean {
  if (desc.typeName === AnySchema.typeName) {
    const { desc: inner, message: held } = unpackAny(registry, message as Any);
    return inner !== undefined && held !== undefined && holdsSecrets(registry, inner, held);
  }
  for (const field of desc.fields) {
    if (!isFieldSet(message, field)) continue;
    const value = fieldValue(message, field);
    if (isSensitive(field)) return true;
    const inner = field.message;
    if (inner === undefined || isWellKnown(inner)) continue;
    if (messagesIn(field, value).some((item) => holdsSecrets(registry, inner, item))) return true;
  }
  return false;
}

/** Of the well-known types only Any holds messages of others. */
const isWellKnown = ({ typeName }: DescMessage): boolean =>
  typeName.startsWith('google.protobuf.') && typeName !== AnySchema.typeName;

function messagesIn(field: DescField, value: unknown): readonly Message[] {
  if (field.fieldKind === 'list') return value as readonly Message[];
  if (field.fieldKind === 'map') return Object.values(value as Record<string, Message>);
  return [value as Message];
}

/** Changes the message; `all`: it is inside a sensitive field. */
function redactFields(registry: TypeRegistry, desc: DescMessage, message: Message, all: boolean): void {
  if (desc.typeName === AnySchema.typeName) return redactAny(registry, message as Any, all);
  for (const field of desc.fields) {
    if (!isFieldSet(message, field)) continue;
    const value = fieldValue(message, field);
    const hide = all || isSensitive(field);
    const inner = field.message;
    if (inner !== undefined) {
      if (!isWellKnown(inner)) for (const item of messagesIn(field, value)) redactFields(registry, inner, item, hide);
    } else if (hide) setField(message, field, hidden(field, value));
  }
}

function redactAny(registry: TypeRegistry, any: Any, all: boolean): void {
  const { desc, message } = unpackAny(registry, any);
  if (desc === undefined || message === undefined) {
    if (all) any.value = REDACTED_BYTES;
    return;
  }
  const copy = clone(desc, message);
  redactFields(registry, desc, copy, all);
  Object.assign(any, anyPack(desc, copy));
}

function hidden(field: DescField, value: unknown): unknown {
  if (field.fieldKind === 'list') return (value as unknown[]).map(hiddenScalar);
  if (field.fieldKind === 'map')
    return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, hiddenScalar(item)]));
  return hiddenScalar(value);
}

function hiddenScalar(value: unknown): unknown {
  if (typeof value === 'string') return REDACTED;
  if (value instanceof Uint8Array) return REDACTED_BYTES;
  if (typeof value === 'bigint') return 0n;
  return typeof value === 'number' ? 0 : false;
}

function setField(message: Message, field: DescField, value: unknown): void {
  const fields = message as unknown as Record<string, unknown>;
  if (field.oneof === undefined) fields[field.localName] = value;
  else fields[field.oneof.localName] = { case: field.localName, value };
}
