import type { TlsInfo } from '../../../filters/stream-info.ts';
import { absent, plain, toBytesText, type Operator, type OperatorTable } from './operator.ts';

type Read = (tls: TlsInfo) => string;

/** A fact of the downstream handshake; missing on a plain-text connection and when empty. */
const downstream = (read: Read): Operator =>
  plain(({ info }) => {
    const { tls } = info.connection;
    return (tls && toBytesText(read(tls))) || undefined;
  });

const upstream = (read: Read): Operator =>
  plain(({ info }) => {
    const tls = info.upstreamConnection?.tls;
    return (tls && toBytesText(read(tls))) || undefined;
  });

/** Operators about TLS: missing on plain-text connections. */

export const tlsOperators: OperatorTable = {
  DOWNSTREAM_TLS_VERSION: downstream((tls) => tls.version),
  DOWNSTREAM_TLS_CIPHER: downstream((tls) => tls.cipher),
  DOWNSTREAM_TLS_GROUP: absent(),
  DOWNSTREAM_TLS_SESSION_ID: downstream((tls) => tls.sessionId),
  DOWNSTREAM_PEER_URI_SAN: downstream((tls) => tls.peerUriSans.join(',')),
  DOWNSTREAM_PEER_DNS_SAN: downstream((tls) => tls.peerDnsSans.join(',')),
  DOWNSTREAM_PEER_IP_SAN: absent(),
  DOWNSTREAM_PEER_EMAIL_SAN: absent(),
  DOWNSTREAM_PEER_OTHERNAME_SAN: absent(),
  DOWNSTREAM_PEER_SUBJECT: downstream((tls) => tls.peerSubject),
  DOWNSTREAM_PEER_ISSUER: downstream((tls) => tls.peerIssuer),
  DOWNSTREAM_PEER_ISSUER_SERIAL: absent(),
  DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256: absent(),
  DOWNSTREAM_PEER_SERIAL: downstream((tls) => tls.peerSerial),
  DOWNSTREAM_PEER_FINGERPRINT_256: downstream((tls) => tls.peerFingerprint256),
  DOWNSTREAM_PEER_FINGERPRINT_1: absent(),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256: absent(),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1: absent(),
  DOWNSTREAM_PEER_CHAIN_SERIALS: absent(),
  DOWNSTREAM_PEER_CERT: downstream((tls) => tls.peerCertificate),
  DOWNSTREAM_PEER_CERT_V_START: absent('optional'),
  DOWNSTREAM_PEER_CERT_V_END: absent('optional'),
  DOWNSTREAM_LOCAL_URI_SAN: downstream((tls) => tls.localUriSans.join(',')),
  DOWNSTREAM_LOCAL_DNS_SAN: absent(),
  DOWNSTREAM_LOCAL_IP_SAN: absent(),
  DOWNSTREAM_LOCAL_EMAIL_SAN: absent(),
  DOWNSTREAM_LOCAL_OTHERNAME_SAN: absent(),
  DOWNSTREAM_LOCAL_SUBJECT: downstream((tls) => tls.localSubject),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: plain(
    ({ info }) => info.connection.transportFailureReason?.replaceAll(' ', '_') || undefined,
  ),
  TLS_JA3_FINGERPRINT: plain(({ info }) => info.connection.ja3 || undefined),
  TLS_JA4_FINGERPRINT: plain(({ info }) => info.connection.ja4 || undefined),

  UPSTREAM_TLS_VERSION: upstream((tls) => tls.version),
  UPSTREAM_TLS_CIPHER: upstream((tls) => tls.cipher),
  UPSTREAM_TLS_GROUP: absent(),
  UPSTREAM_TLS_SESSION_ID: upstream((tls) => tls.sessionId),
  UPSTREAM_PEER_ISSUER: upstream((tls) => tls.peerIssuer),
  UPSTREAM_PEER_SUBJECT: upstream((tls) => tls.peerSubject),
  UPSTREAM_PEER_CERT: upstream((tls) => tls.peerCertificate),
  UPSTREAM_PEER_CERT_V_START: absent('optional'),
  UPSTREAM_PEER_CERT_V_END: absent('optional'),
  UPSTREAM_PEER_URI_SAN: upstream((tls) => tls.peerUriSans.join(',')),
  UPSTREAM_PEER_DNS_SAN: upstream((tls) => tls.peerDnsSans.join(',')),
  UPSTREAM_PEER_IP_SAN: absent(),
  UPSTREAM_LOCAL_URI_SAN: upstream((tls) => tls.localUriSans.join(',')),
  UPSTREAM_LOCAL_DNS_SAN: absent(),
  UPSTREAM_LOCAL_IP_SAN: absent(),
};
