/** One kind of traffic. */
export interface BenchCase {
  readonly name: string;
  readonly path: string;
  readonly method: 'GET' | 'POST';
  /** Bytes of the request's body. */
  readonly requestBytes: number;
  /** Bytes of the response's body. */
  readonly responseBytes: number;
  readonly connections: number;
  /** Which config the proxies run: `plain`; `routes` has 1,000 of them; `armed` has log, timeouts, retries and filters. */
  readonly config: 'plain' | 'routes' | 'armed';
  /** CPU is reported per MiB instead of per request. */
  readonly perMiB: boolean;
}

const get = (name: string, responseBytes: number, more: Partial<BenchCase> = {}): BenchCase => ({
  name,
  path: `/${responseBytes}`,
  method: 'GET',
  requestBytes: 0,
  responseBytes,
  connections: 64,
  config: 'plain',
  perMiB: false,
  ...more,
});

export const CASES: readonly BenchCase[] = [
  get('GET 128 B', 128),
  get('POST 1 KiB', 128, { method: 'POST', requestBytes: 1024 }),
  get('GET 16 KiB', 16 * 1024),
  get('GET 1 MiB', 1024 * 1024, { connections: 8, perMiB: true }),
  get('GET 100 MiB', 100 * 1024 * 1024, { connections: 2, perMiB: true }),
  get('1,000 routes', 128, { config: 'routes', path: '/service-999/128' }),
  get('everything armed', 128, { config: 'armed' }),
];
