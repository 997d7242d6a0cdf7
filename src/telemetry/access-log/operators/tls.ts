import type { ConnectionInfo, StreamInfo, TlsInfo } from '../../../filters/stream-info.ts';
import { compileTime } from '../time-format.ts';
import { plain, toBytesText, type Operator, type OperatorTable } from './operator.ts';

/** Lists are joined with commas; what is empty is missing. */
type Read = (tls: TlsInfo) => string | readonly string[] | undefined;
type Side = (info: StreamInfo) => ConnectionInfo | undefined;

const DOWNSTREAM: Side = (info) => info.connection;
const UPSTREAM: Side = (info) => info.upstreamConnection;

/** A fact of a handshake; missing on a plain-text connection. */
const fact = (side: Side, read: Read): Operator =>
  plain(({ info }) => {
    const tls = side(info)?.tls;
    const value = tls && read(tls);
    return value === undefined
      ? undefined
      : toBytesText(typeof value === 'string' ? value : value.join(',')) || undefined;
  });

const downstream = (read: Read): Operator => fact(DOWNSTREAM, read);
const upstream = (read: Read): Operator => fact(UPSTREAM, read);

/** A point in a certificate's validity; the argument is a format as that of %START_TIME%. */
function validity(side: Side, read: (tls: TlsInfo) => number | undefined): Operator {
  return {
    params: 'optional',
    length: false,
    compile(args) {
      const format = compileTime(toBytesText(args), false);
      return ({ info }) => {
        const tls = side(info)?.tls;
        const ms = tls?.peerPresented === true ? read(tls) : undefined;
        return ms === undefined || Number.isNaN(ms) ? undefined : format(ms);
      };
    },
  };
}

/** Operators about TLS: missing on plain-text connections. */

export const tlsOperators: OperatorTable = {
  DOWNSTREAM_TLS_VERSION: downstream((tls) => tls.version),
  DOWNSTREAM_TLS_CIPHER: downstream((tls) => tls.cipher),
  DOWNSTREAM_TLS_GROUP: downstream((tls) => tls.group),
  DOWNSTREAM_TLS_SESSION_ID: downstream((tls) => tls.sessionId),
  DOWNSTREAM_PEER_URI_SAN: downstream((tls) => tls.peerUriSans),
  DOWNSTREAM_PEER_DNS_SAN: downstream((tls) => tls.peerDnsSans),
  DOWNSTREAM_PEER_IP_SAN: downstream((tls) => tls.peerIpSans),
  DOWNSTREAM_PEER_EMAIL_SAN: downstream((tls) => tls.peerEmailSans),
  DOWNSTREAM_PEER_OTHERNAME_SAN: downstream((tls) => tls.peerOtherNameSans),
  DOWNSTREAM_PEER_SUBJECT: downstream((tls) => tls.peerSubject),
  DOWNSTREAM_PEER_ISSUER: downstream((tls) => tls.peerIssuer),
  DOWNSTREAM_PEER_ISSUER_SERIAL: downstream((tls) => tls.peerIssuerSerial),
  DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256: downstream((tls) => tls.peerIssuerFingerprint256),
  DOWNSTREAM_PEER_SERIAL: downstream((tls) => tls.peerSerial),
  DOWNSTREAM_PEER_FINGERPRINT_256: downstream((tls) => tls.peerFingerprint256),
  DOWNSTREAM_PEER_FINGERPRINT_1: downstream((tls) => tls.peerFingerprint1),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256: downstream((tls) => tls.peerChainFingerprints256),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1: downstream((tls) => tls.peerChainFingerprints1),
  DOWNSTREAM_PEER_CHAIN_SERIALS: downstream((tls) => tls.peerChainSerials),
  DOWNSTREAM_PEER_CERT: downstream((tls) => tls.peerCertificate),
  DOWNSTREAM_PEER_CERT_V_START: validity(DOWNSTREAM, (tls) => tls.peerValidFromMs),
  DOWNSTREAM_PEER_CERT_V_END: validity(DOWNSTREAM, (tls) => tls.peerValidToMs),
  DOWNSTREAM_LOCAL_URI_SAN: downstream((tls) => tls.localUriSans),
  DOWNSTREAM_LOCAL_DNS_SAN: downstream((tls) => tls.localDnsSans),
  DOWNSTREAM_LOCAL_IP_SAN: downstream((tls) => tls.localIpSans),
  DOWNSTREAM_LOCAL_EMAIL_SAN: downstream((tls) => tls.localEmailSans),
  DOWNSTREAM_LOCAL_OTHERNAME_SAN: downstream((tls) => tls.localOtherNameSans),
  DOWNSTREAM_LOCAL_SUBJECT: downstream((tls) => tls.localSubject),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: plain(
    ({ info }) => info.connection.transportFailureReason?.replaceAll(' ', '_') || undefined,
  ),
  TLS_JA3_FINGERPRINT: plain(({ info }) => info.connection.ja3 || undefined),
  TLS_JA4_FINGERPRINT: plain(({ info }) => info.connection.ja4 || undefined),

  UPSTREAM_TLS_VERSION: upstream((tls) => tls.version),
  UPSTREAM_TLS_CIPHER: upstream((tls) => tls.cipher),
  UPSTREAM_TLS_GROUP: upstream((tls) => tls.group),
  UPSTREAM_TLS_SESSION_ID: upstream((tls) => tls.sessionId),
  UPSTREAM_PEER_ISSUER: upstream((tls) => tls.peerIssuer),
  UPSTREAM_PEER_SUBJECT: upstream((tls) => tls.peerSubject),
  UPSTREAM_PEER_CERT: upstream((tls) => tls.peerCertificate),
  UPSTREAM_PEER_CERT_V_START: validity(UPSTREAM, (tls) => tls.peerValidFromMs),
  UPSTREAM_PEER_CERT_V_END: validity(UPSTREAM, (tls) => tls.peerValidToMs),
  UPSTREAM_PEER_URI_SAN: upstream((tls) => tls.peerUriSans),
  UPSTREAM_PEER_DNS_SAN: upstream((tls) => tls.peerDnsSans),
  UPSTREAM_PEER_IP_SAN: upstream((tls) => tls.peerIpSans),
  UPSTREAM_LOCAL_URI_SAN: upstream((tls) => tls.localUriSans),
  UPSTREAM_LOCAL_DNS_SAN: upstream((tls) => tls.localDnsSans),
  UPSTREAM_LOCAL_IP_SAN: upstream((tls) => tls.localIpSans),
};
