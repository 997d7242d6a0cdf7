import type { AddressModel } from '../../../config/common-model.ts';
import { formatAddress } from '../host.ts';

/** Why a connection could not be made. `local`: we could not even try (the source address could not be bound). */
export interface ConnectFailure {
  readonly local: boolean;
  readonly bind: boolean;
  /** For %UPSTREAM_TRANSPORT_FAILURE_REASON%, in Envoy's words. */
  readonly reason: string;
}

/** What strerror(3) says. */
const TEXTS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EAFNOSUPPORT: 'Address family not supported by protocol',
  EAGAIN: 'Resource temporarily unavailable',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTDOWN: 'Host is down',
  EHOSTUNREACH: 'No route to host',
  EINVAL: 'Invalid argument',
  EMFILE: 'Too many open files',
  ENETDOWN: 'Network is down',
  ENETUNREACH: 'Network is unreachable',
  ENFILE: 'Too many open files in system',
  ENOBUFS: 'No buffer space available',
  ENOENT: 'No such file or directory',
  ENOTSOCK: 'Socket operation on non-socket',
  EPERM: 'Operation not permitted',
  EPIPE: 'Broken pipe',
  ETIMEDOUT: 'Connection timed out',
};

/** What connect(2) answers at once for TCP; everything else comes once the handshake has failed. */
const IMMEDIATE = new Set(['EACCES', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL', 'ENETUNREACH', 'EPERM']);

export function describeConnectFailure(error: NodeJS.ErrnoException, address: AddressModel): ConnectFailure {
  const code = error.code ?? '';
  const text = TEXTS[code] ?? (code === '' ? error.message : code);
  if (error.syscall === 'bind') {
    const { address: ip, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
    const source = formatAddress({ kind: 'socket', host: ip ?? '', port: port ?? 0, ipv4Compat: false });
    return { local: true, bind: true, reason: `failed to bind to ${source}: ${text}` };
  }
  if (code === 'EMFILE' || code === 'ENFILE') return { local: true, bind: false, reason: text };
  if (address.kind === 'pipe' || IMMEDIATE.has(code))
    return {
      local: false,
      bind: false,
      reason: `immediate connect error: ${text}|remote address:${formatAddress(address)}`,
    };
  return { local: false, bind: false, reason: `delayed connect error: ${text}` };
}
