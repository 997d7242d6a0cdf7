import type { SecretModel } from '../../config/secret-model.ts';
import type { ResourceDelta } from '../../config/snapshot.ts';

/** Told that secrets came, changed or went. */
export interface SecretListener {
  onSecretsChanged(names: readonly string[]): void;
}

type SecretKind = SecretModel['kind'];
type SecretValue<Kind extends SecretKind> = Extract<SecretModel, { readonly kind: Kind }>['value'];

/** The secrets of one worker, by name. What was made from them is told when they change. */
export class SecretSet {
  readonly #secrets = new Map<string, SecretModel>();
  readonly #listeners = new Map<string, Set<SecretListener>>();

  /** Undefined: it hasn't come, or is of another kind. */
  get<Kind extends SecretKind>(kind: Kind, name: string): SecretValue<Kind> | undefined {
    const secret = this.#secrets.get(name);
    return (secret?.kind === kind ? secret.value : undefined) as SecretValue<Kind> | undefined;
  }

  has(name: string): boolean {
    return this.#secrets.has(name);
  }

  /** Each listener is told once, after all changes have been made. */
  apply({ set, remove }: ResourceDelta<SecretModel>): void {
    const changed = new Map<SecretListener, string[]>();
    const note = (name: string): void => {
      for (const listener of this.#listeners.get(name) ?? []) {
        const names = changed.get(listener);
        if (names === undefined) changed.set(listener, [name]);
        else names.push(name);
      }
    };
    for (const name of remove) if (this.#secrets.delete(name)) note(name);
    for (const secret of set) {
      this.#secrets.set(secret.name, secret);
      note(secret.name);
    }
    for (const [listener, names] of changed) listener.onSecretsChanged(names);
  }

  subscribe(name: string, listener: SecretListener): void {
    const known = this.#listeners.get(name);
    if (known === undefined) this.#listeners.set(name, new Set([listener]));
    else known.add(listener);
  }

  unsubscribe(name: string, listener: SecretListener): void {
    const known = this.#listeners.get(name);
    if (known?.delete(listener) === true && known.size === 0) this.#listeners.delete(name);
  }
}
