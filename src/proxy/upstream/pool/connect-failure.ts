import type { AddressModel } from '../../../config/common-model.ts';
import { errorText } from '../../../lib/posix/error-text.ts';
import { formatAddress } from '../host.ts';

/** Why a connection could not be made. `local`: we could not even try (the source address could not be bound). */
export interface ConnectFailure {
  readonly local: boolean;
  readonly bind: boolean;
  /** For %UPSTREAM_TRANSPORT_FAILURE_REASON%, in Envoy's words. */
  readonly reason: string;
}

/** What connect(2) answers at once for TCP; everything else comes once the handshake has failed. */
const IMMEDIATE = new Set(['EACCES', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL', 'ENETUNREACH', 'EPERM']);

export function describeConnectFailure(error: NodeJS.ErrnoException, address: AddressModel): ConnectFailure {
  const code = error.code ?? '';
  const text = errorText(error);
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
