import type { TypeRegistry } from '../../../api/type-registry.ts';
import type { SecretSources } from '../../secrets/secret-sources.ts';

/** What the build of a TLS context depends on besides its message. */
export interface TlsBuildContext {
  /** Has loaded what the Anys of the message hold. */
  readonly types: TypeRegistry;
  readonly secrets: SecretSources;
  /** From which the session ticket keys of contexts without keys are derived: random, and the same for a process. */
  readonly ticketSeed: Uint8Array;
}
