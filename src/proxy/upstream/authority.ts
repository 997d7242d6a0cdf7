/** The host of an authority (without brackets) and its port, or `defaultPort` if it names none. */
export function splitAuthority(authority: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(authority);
  // IPv6 without brackets, or nothing that makes sense: it is all host, and no name that could be resolved.
  if (match === null) return { host: authority, port: defaultPort };
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port > 65_535) return { host: authority, port: defaultPort };
  return { host: match[1] ?? match[2]!, port };
}
