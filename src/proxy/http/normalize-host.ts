/** How the HCM wants `:authority`; HcmModel has these fields. */
export interface HostOptions {
  readonly stripMatchingHostPort: boolean;
  readonly stripAnyHostPort: boolean;
  readonly stripTrailingHostDot: boolean;
}

/** Applies the HCM's host options in Envoy's order: the trailing dot first (before a port too), then the port. */
export function normalizeHost(authority: string, localPort: number, options: HostOptions): string {
  let host = authority;
  if (options.stripTrailingHostDot) host = stripTrailingDot(host);
  if (options.stripAnyHostPort) return stripPort(host, -1);
  return options.stripMatchingHostPort ? stripPort(host, localPort) : host;
}

function stripTrailingDot(host: string): string {
  const colon = portColon(host);
  const end = colon === -1 ? host.length : colon;
  if (end === 0 || host.charCodeAt(end - 1) !== 0x2e) return host;
  return colon === -1 ? host.slice(0, end - 1) : host.slice(0, end - 1) + host.slice(end);
}

/** Without its port, if that is a number and equals `port` (any for -1). */
function stripPort(host: string, port: number): string {
  const colon = portColon(host);
  if (colon === -1 || colon === host.length - 1) return host;
  let value = 0;
  for (let i = colon + 1; i < host.length; i++) {
    const digit = host.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return host;
    value = value * 10 + digit;
  }
  return port === -1 || value === port ? host.slice(0, colon) : host;
}

/** Where the port's colon is; -1 if there is none outside an IPv6 address's brackets. */
function portColon(host: string): number {
  const colon = host.lastIndexOf(':');
  return colon === -1 || host.indexOf(']', colon) !== -1 ? -1 : colon;
}
