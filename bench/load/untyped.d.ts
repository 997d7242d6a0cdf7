/** The part of packages without types that the benchmarks use. */
declare module 'autocannon' {
  interface Result {
    readonly errors: number;
    readonly non2xx: number;
    readonly '2xx': number;
    readonly latency: { readonly p50: number; readonly p99: number };
  }
  export default function autocannon(options: {
    url: string;
    method: 'GET' | 'POST';
    body: string | undefined;
    connections: number;
    duration: number;
  }): Promise<Result>;
}

declare module 'http-proxy' {
  import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
  interface Proxy {
    web(request: IncomingMessage, response: ServerResponse): void;
    on(event: 'error', listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void): void;
  }
  const httpProxy: { createProxyServer(options: { target: string; agent: Agent }): Proxy };
  export default httpProxy;
}
