import type { HeaderField, Headers } from '../headers.ts';

/** What a test writes headers as: an object, or fields in order. */
export type HeadersInit = Readonly<Record<string, string>> | readonly HeaderField[];

/** Headers of a test: a list of fields, the pseudo-header fields apart. */
export class KitHeaders implements Headers {
  readonly #pseudo = new Map<string, string>();
  #fields: [name: string, value: string][] = [];

  constructor(init: HeadersInit = []) {
    const fields = Array.isArray(init) ? (init as readonly HeaderField[]) : Object.entries(init);
    for (const [name, value] of fields) this.append(name.toLowerCase(), value);
  }

  get(name: string): string | undefined {
    return name.startsWith(':') ? this.#pseudo.get(name) : this.#fields.find(([each]) => each === name)?.[1];
  }

  getAll(name: string): string[] {
    if (!name.startsWith(':')) return this.#fields.filter(([each]) => each === name).map(([, value]) => value);
    const value = this.#pseudo.get(name);
    return value === undefined ? [] : [value];
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: string): void {
    if (name.startsWith(':')) {
      this.#pseudo.set(name, value);
      return;
    }
    const first = this.#fields.find(([each]) => each === name);
    if (first === undefined) this.#fields.push([name, value]);
    else {
      first[1] = value;
      this.#fields = this.#fields.filter((field) => field === first || field[0] !== name);
    }
  }

  append(name: string, value: string): void {
    if (name.startsWith(':')) this.#pseudo.set(name, value);
    else this.#fields.push([name, value]);
  }

  delete(name: string): boolean {
    if (name.startsWith(':')) return this.#pseudo.delete(name);
    const { length } = this.#fields;
    this.#fields = this.#fields.filter(([each]) => each !== name);
    return this.#fields.length < length;
  }

  *entries(): IterableIterator<HeaderField> {
    for (const [name, value] of this.#fields) yield [name, value];
  }

  get size(): number {
    return this.#fields.length;
  }

  byteSize(): number {
    return this.toList().reduce((bytes, [name, value]) => bytes + name.length + value.length, 0);
  }

  /** All fields, pseudo-header fields first: for assertions. */
  toList(): HeaderField[] {
    return [...this.#pseudo, ...this.#fields];
  }
}
