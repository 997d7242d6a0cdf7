/** What a slice of load came to. Latencies in microseconds; NaN where the generator tells none. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly p50us: number;
  readonly p99us: number;
}

/** Where the load goes to. */
export interface LoadTarget {
  readonly port: number;
  readonly seconds: number;
  /** The core that the generator runs on. */
  readonly cpu: number;
  /** For files. */
  readonly dir: string;
  /** Certificate and key that a client presents, PEM files. */
  readonly cert: string;
  readonly key: string;
}
