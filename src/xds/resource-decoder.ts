import { clone, fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { hasTypedStruct, loadTypesOf, resolveTypedStructs } from '../api/any.ts';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { MessageValidator } from '../api/validate.ts';

/** A resource as a message. */
export interface DecodedResource<Desc extends DescMessage> {
  /** TypedStructs resolved, the types of everything in it loaded: what builders read. */
  readonly message: MessageShape<Desc>;
  /** As it was sent: what `/config_dump` shows. */
  readonly configured: MessageShape<Desc>;
  /** '' or what the rules of its descriptor refuse, all of it. */
  readonly error: string;
}

/** Turns what a control plane sends into messages, and runs the rules that stand in their descriptors. */
export class ResourceDecoder {
  readonly #types: TypeRegistry;
  readonly #validator: MessageValidator;

  constructor(types: TypeRegistry, validator: MessageValidator) {
    this.#types = types;
    this.#validator = validator;
  }

  /** Loads the types that the resource names. Undefined: the bytes are no such message. Never rejects for them. */
  async decode<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): Promise<DecodedResource<Desc> | undefined> {
    let message: MessageShape<Desc>;
    try {
      message = fromBinary(desc, bytes);
    } catch {
      return undefined;
    }
    await this.#types.load([desc.typeName]);
    await loadTypesOf(this.#types, desc, message);
    const { problems } = this.#validator.validate(desc, message);
    const reasons = problems.map(({ path, message: text }) => (path === '' ? text : `${path}: ${text}`));
    const error = reasons.length === 0 ? '' : `Proto constraint validation failed (${reasons.join('; ')})`;
    if (!hasTypedStruct(this.#types, desc, message)) return { message, configured: message, error };
    const configured = clone(desc, message);
    resolveTypedStructs(this.#types, desc, message);
    return { message, configured, error };
  }
}
