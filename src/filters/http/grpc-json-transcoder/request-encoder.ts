import {
  create,
  fromJson,
  toBinary,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
} from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { grpcFrame } from '../../grpc-frames.ts';
import type { MethodCall } from './method-table.ts';
import { TranscodingError, nest, weave } from './request-weaver.ts';
import type { Transcoding } from './transcoding.ts';

/** Makes gRPC frames of the body of one request. */
export class RequestEncoder {
  /** Whether nothing has been made yet. */
  isFirst = true;
  readonly #call: MethodCall;
  readonly #transcoding: Transcoding;
  readonly #contentType: string;

  constructor(call: MethodCall, transcoding: Transcoding, contentType: string) {
    this.#call = call;
    this.#transcoding = transcoding;
    this.#contentType = contentType;
  }

  /** The client streams, and its body is to be passed on as it comes. */
  get isStreamOfBodies(): boolean {
    const { requestIsHttpBody, method } = this.#call.rule;
    return requestIsHttpBody && (method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming');
  }

  /** The frame of the message that is `text` in JSON; '' = nothing but what path and query say. Throws TranscodingError. */
  message(text: string): Buffer {
    const { rule, bindings } = this.#call;
    const json = this.#objectOf(text);
    weave(json, bindings, this.#transcoding.rejectsCollisions);
    checkEnums(rule.method.input, json, this.#transcoding.ignoresCaseOfEnums);
    this.isFirst = false;
    return grpcFrame(toBinary(rule.method.input, this.#parse(json)));
  }

  #parse(json: JsonObject): ReturnType<typeof create> {
    const { input } = this.#call.rule.method;
    try {
      return fromJson(input, json, { registry: this.#transcoding.registry, ignoreUnknownFields: true });
    } catch (error) {
      throw new TranscodingError(error instanceof Error ? error.message : String(error));
    }
  }

  #objectOf(text: string): JsonObject {
    const { bodyFields } = this.#call.rule;
    if (text.trim() === '') return {};
    let json: JsonValue;
    try {
      json = JSON.parse(text) as JsonValue;
    } catch (error) {
      throw new TranscodingError(error instanceof Error ? error.message : String(error));
    }
    if (bodyFields.length > 0) return nest(bodyFields, json);
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new TranscodingError('The request body has to be a JSON object.');
    return json;
  }

  /** The frame of a message whose body field is a google.api.HttpBody that holds `data` as it is. */
  httpBody(data: Buffer): Buffer {
    const { rule, bindings } = this.#call;
    const json: JsonObject = {};
    if (this.isFirst) weave(json, bindings, false);
    const message = this.#parse(json);
    let inner = reflect(rule.method.input, message);
    for (const field of rule.bodyFields) {
      if (!inner.isSet(field)) inner.set(field, reflect(field.message!, create(field.message!)));
      inner = inner.get(field) as ReturnType<typeof reflect>;
    }
    const fieldNamed = (name: string): DescField => inner.fields.find((field) => field.name === name)!;
    if (this.isFirst) inner.set(fieldNamed('content_type'), this.#contentType);
    inner.set(fieldNamed('data'), new Uint8Array(data));
    this.isFirst = false;
    return grpcFrame(toBinary(rule.method.input, message));
  }
}

/** Finds names that no value has, which would be ignored else; gives others the case that they have in the schema. */
function checkEnums(desc: DescMessage, json: JsonObject, ignoreCase: boolean): void {
  for (const field of desc.fields) {
    const key = Object.hasOwn(json, field.name) ? field.name : field.jsonName;
    const value = json[key];
    if (value === undefined || value === null) continue;
    if (field.enum !== undefined) json[key] = enumName(field, value, ignoreCase);
    else if (field.message !== undefined && field.fieldKind !== 'map')
      for (const each of Array.isArray(value) ? value : [value])
        if (typeof each === 'object' && each !== null && !Array.isArray(each))
          checkEnums(field.message, each, ignoreCase);
  }
}

function enumName(field: DescField, value: JsonValue, ignoreCase: boolean): JsonValue {
  if (Array.isArray(value)) return value.map((each) => enumName(field, each, ignoreCase));
  if (typeof value !== 'string') return value;
  const { values, typeName } = field.enum!;
  const wanted = value.toLowerCase();
  const found = values.find(({ name }) => name === value || (ignoreCase && name.toLowerCase() === wanted));
  if (found !== undefined) return found.name;
  if (/^-?\d+$/.test(value)) return Number(value);
  throw new TranscodingError(`(${field.name}): invalid value "${value}" for type ${typeName}`);
}
