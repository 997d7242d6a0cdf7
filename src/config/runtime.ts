import type { FractionalPercent, RuntimeReader } from '../filters/http/filter.ts';

/** The value of a runtime key: what a layer's Struct holds, a fraction as an object. Structured-cloneable. */
export type RuntimeValue = string | number | boolean | FractionalPercent;

/** All keys with their winning values, nested keys joined by dots. */
export type RuntimeValues = Readonly<Record<string, RuntimeValue>>;

interface Entry {
  readonly raw: string;
  readonly number: number | undefined;
  readonly boolean: boolean | undefined;
  readonly fraction: FractionalPercent | undefined;
}

/**
 * Layered runtime as one thread reads it; semantics of Envoy's Runtime::Snapshot. The main thread merges the layers
 * (runtime-layers.ts) and hands the values down; `apply` swaps them.
 */
export class Runtime implements RuntimeReader {
  #entries: ReadonlyMap<string, Entry>;

  constructor(values: RuntimeValues = {}) {
    this.#entries = compile(values);
  }

  /** Replaces all values. */
  apply(values: RuntimeValues): void {
    this.#entries = compile(values);
  }

  getNumber(key: string, defaultValue: number): number {
    return this.#entries.get(key)?.number ?? defaultValue;
  }

  getBoolean(key: string, defaultValue: boolean): boolean {
    return this.#entries.get(key)?.boolean ?? defaultValue;
  }

  getString(key: string): string | undefined {
    return this.#entries.get(key)?.raw;
  }

  /**
   * Envoy's featureEnabled: the key may hold a fraction, or a whole number of percent (above 100: always); else
   * `fraction` decides. `randomValue` is any non-negative integer; the same one gives the same answer.
   */
  featureEnabled(key: string, fraction: FractionalPercent, randomValue: number): boolean {
    let { numerator, denominator } = fraction;
    const entry = key === '' ? undefined : this.#entries.get(key);
    if (entry?.fraction !== undefined) ({ numerator, denominator } = entry.fraction);
    else if (entry?.number !== undefined && entry.number >= 0) {
      numerator = Math.floor(entry.number);
      denominator = 100;
      if (numerator > 100) return true;
    }
    return randomValue % denominator < numerator;
  }
}

/** How a value reads as a string: on the /runtime page, and to whoever asks for text. */
export function rawRuntimeValue(value: RuntimeValue): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function compile(values: RuntimeValues): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const [key, value] of Object.entries(values)) {
    const number = typeof value === 'number' ? value : typeof value === 'string' ? parseDouble(value) : undefined;
    entries.set(key, {
      raw: rawRuntimeValue(value),
      number,
      // A whole number is a boolean too; the string "true" is none.
      boolean: typeof value === 'boolean' ? value : Number.isInteger(number) ? number !== 0 : undefined,
      fraction: typeof value === 'object' ? value : undefined,
    });
  }
  return entries;
}

function parseDouble(text: string): number | undefined {
  const trimmed = text.trim();
  return /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(trimmed) ? Number(trimmed) : undefined;
}
