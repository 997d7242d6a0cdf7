import { wireText } from '../../lib/wire-text.ts';

/**
 * Virtual hosts by domain. An exact domain is preferred, then the longest `*suffix`, then the longest `prefix*`, then
 * `*`. Domains are compared without regard to case.
 */
export class VirtualHostIndex<Value> {
  readonly #exact = new Map<string, Value>();
  readonly #suffixes = new WildcardIndex<Value>();
  readonly #prefixes = new WildcardIndex<Value>();
  #any: Value | undefined = undefined;
  #onlyAny = true;

  /** A domain that was added before stays with its first value. */
  add(domain: string, value: Value): void {
    const name = wireText(domain).toLowerCase();
    if (name === '*') {
      this.#any ??= value;
      return;
    }
    this.#onlyAny = false;
    if (name.startsWith('*')) this.#suffixes.add(name.slice(1), value);
    else if (name.endsWith('*')) this.#prefixes.add(name.slice(0, -1), value);
    else if (!this.#exact.has(name)) this.#exact.set(name, value);
  }

  /** `host` is `:authority`; `ignorePort` leaves its port out of the comparison. */
  find(host: string, ignorePort: boolean): Value | undefined {
    if (this.#onlyAny) return this.#any;
    let name = host;
    if (ignorePort) {
      const colon = portStart(host);
      if (colon !== -1) name = host.slice(0, colon);
    }
    const found = this.#exact.get(name);
    if (found !== undefined) return found;
    const lower = name.toLowerCase();
    return (
      (lower === name ? undefined : this.#exact.get(lower)) ??
      this.#suffixes.findSuffix(lower) ??
      this.#prefixes.findPrefix(lower) ??
      this.#any
    );
  }
}

/** Where the `:port` of a host begins, -1 if it has none. The colons of a bracketed IPv6 address are none. */
export function portStart(host: string): number {
  const colon = host.lastIndexOf(':');
  return colon === -1 || host.lastIndexOf(']') > colon ? -1 : colon;
}

/** Wildcards by length, longest first. A wildcard stands for at least one character. */
class WildcardIndex<Value> {
  readonly #byLength: { readonly length: number; readonly values: Map<string, Value> }[] = [];

  add(text: string, value: Value): void {
    let group = this.#byLength.find(({ length }) => length === text.length);
    if (group === undefined) {
      group = { length: text.length, values: new Map() };
      this.#byLength.push(group);
      this.#byLength.sort((a, b) => b.length - a.length);
    }
    if (!group.values.has(text)) group.values.set(text, value);
  }

  findSuffix(host: string): Value | undefined {
    for (const { length, values } of this.#byLength) {
      if (length >= host.length) continue;
      const value = values.get(host.slice(host.length - length));
      if (value !== undefined) return value;
    }
    return undefined;
  }

  findPrefix(host: string): Value | undefined {
    for (const { length, values } of this.#byLength) {
      if (length >= host.length) continue;
      const value = values.get(host.slice(0, length));
      if (value !== undefined) return value;
    }
    return undefined;
  }
}
