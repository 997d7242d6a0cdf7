import type { ForwardClientCertModel } from '../../config/hcm-model.ts';
import type { TlsInfo } from '../../filters/stream-info.ts';
import type { HeaderMap } from './headers.ts';

const NAME = 'x-forwarded-client-cert';

/** Sanitises or sets x-forwarded-client-cert by the HCM's forward_client_cert_details. */
export function mutateClientCertHeader(
  headers: HeaderMap,
  tls: TlsInfo | undefined,
  model: ForwardClientCertModel,
): void {
  const { mode } = model;
  if (mode === 'always-forward-only') return;
  if (mode === 'sanitize' || tls === undefined || !tls.peerPresented) {
    headers.delete(NAME);
    return;
  }
  if (mode === 'forward-only') return;
  const details = clientCertDetails(tls, model);
  const received = headers.get(NAME);
  headers.set(NAME, mode === 'append-forward' && received ? `${received},${details}` : details);
}

function clientCertDetails(tls: TlsInfo, model: ForwardClientCertModel): string {
  const parts: string[] = tls.localUriSans.map((uri) => `By=${uri}`);
  if (tls.peerFingerprint256 !== '') parts.push(`Hash=${tls.peerFingerprint256}`);
  if (model.cert && tls.peerCertificate !== '') parts.push(`Cert="${tls.peerCertificate}"`);
  if (model.chain && tls.peerCertificateChain !== '') parts.push(`Chain="${tls.peerCertificateChain}"`);
  // The keys of the subject and the URI stand even without a value.
  if (model.subject) parts.push(`Subject="${tls.peerSubject}"`);
  if (model.uri) parts.push(...(tls.peerUriSans.length === 0 ? ['URI='] : tls.peerUriSans.map((uri) => `URI=${uri}`)));
  if (model.dns) parts.push(...tls.peerDnsSans.map((dns) => `DNS=${dns}`));
  return parts.join(';');
}
