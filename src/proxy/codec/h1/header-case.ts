const MAX_REMEMBERED = 1024;

/**
 * Spells lower-case names as Envoy's `proper_case_words` does: a letter is a capital at the start and after anything
 * that is neither letter nor digit.
 */
class ProperCase {
  readonly #known = new Map<string, string>();

  of(name: string): string {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const proper = name.replace(
      /(^|[^a-z0-9])([a-z])/g,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    );
    if (this.#known.size >= MAX_REMEMBERED) this.#known.clear();
    this.#known.set(name, proper);
    return proper;
  }
}

/** A pure cache, as `headerNames`. */
export const properCase = new ProperCase();
