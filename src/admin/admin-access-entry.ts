/** One request to the admin server, for its access log. */
export interface AdminAccessEntry {
  readonly startEpochMs: number;
  readonly durationMs: number;
  readonly method: string;
  /** As it was sent. */
  readonly path: string;
  readonly protocol: string;
  readonly status: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly remoteAddress: string;
  readonly authority: string;
  readonly userAgent: string;
}

/** The line that Envoy's default format gives for it. */
export function formatAdminAccess(entry: AdminAccessEntry): string {
  const { startEpochMs, method, path, protocol, status, bytesReceived, bytesSent, durationMs } = entry;
  const quote = (value: string): string => `"${value === '' ? '-' : value}"`;
  return (
    `[${new Date(startEpochMs).toISOString()}] "${method} ${path} ${protocol}" ${status} - ${bytesReceived} ` +
    `${bytesSent} ${Math.round(durationMs)} - ${quote(entry.remoteAddress)} ${quote(entry.userAgent)} "-" ` +
    `${quote(entry.authority)} "-"\n`
  );
}
