/** A compressor of a chain that may compress a response. */
export interface EncodingOffer {
  readonly encoding: string;
  /** Wins against others that the client likes as much. */
  readonly chooseFirst: boolean;
}

/** What a client's accept-encoding comes to. */
export interface EncodingChoice {
  /** 'identity' = as it is. */
  readonly encoding: string;
  /** Why. */
  readonly reason: 'compressor' | 'identity' | 'wildcard' | 'not-valid';
}

const NOT_VALID: EncodingChoice = { encoding: 'identity', reason: 'not-valid' };

/**
 * Chooses among the compressors of a chain as Envoy does: the encoding with the highest q-value, of several the one that
 * the client names first; `*` is the chain's first. Encodings are compared as they are written.
 */
export function chooseEncoding(acceptEncoding: string, offers: readonly EncodingOffer[]): EncodingChoice {
  const allowed = new Map<string, EncodingOffer>();
  for (const offer of offers) if (!allowed.has(offer.encoding)) allowed.set(offer.encoding, offer);
  const wishes: { readonly name: string; readonly q: number }[] = [];
  for (const item of acceptEncoding.split(',')) {
    if (item === '') continue;
    const semicolon = item.indexOf(';');
    const name = (semicolon === -1 ? item : item.slice(0, semicolon)).trim();
    const q = semicolon === -1 ? 1 : qValue(item.slice(semicolon + 1));
    if (q === undefined) continue;
    wishes.push({ name, q });
    if (q === 0) allowed.delete(name);
  }
  if (allowed.size === 0) return NOT_VALID;
  let chosen = 'identity';
  let highest = 0;
  for (const { name, q } of wishes) {
    const offer = allowed.get(name);
    if (offer === undefined && name !== 'identity' && name !== '*') continue;
    if (q > highest || (q === highest && offer?.chooseFirst === true)) {
      chosen = name;
      highest = q;
    }
  }
  if (highest === 0) return NOT_VALID;
  if (chosen === 'identity') return { encoding: chosen, reason: 'identity' };
  if (chosen === '*') return { encoding: allowed.keys().next().value!, reason: 'wildcard' };
  return { encoding: chosen, reason: 'compressor' };
}

/** The q-value among an encoding's parameters, 1 without one; undefined if it is no number. */
function qValue(parameters: string): number | undefined {
  const equals = parameters.indexOf('=');
  if (equals === -1 || parameters.slice(0, equals).trim().toLowerCase() !== 'q') return 1;
  const text = parameters.slice(equals + 1).trim();
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}
