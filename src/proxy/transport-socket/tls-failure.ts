import type { HandshakeFailureStat } from './tls-counters.ts';

/** Why a handshake failed, as logs tell it and stats count it. */
export interface TlsFailure {
  /** In Envoy's words, which are BoringSSL's; '' = the peer just left. */
  readonly reason: string;
  /** Undefined: counted elsewhere (the connection was reset or closed). */
  readonly stat: HandshakeFailureStat | undefined;
}

/** The library (16: SSL) in the upper eight bits of BoringSSL's packed error. */
const SSL = 16 * 2 ** 24;
const SYSTEM = 2 * 2 ** 24;
const CERTIFICATE_VERIFY_FAILED = 125;
const PEER_DID_NOT_RETURN_A_CERTIFICATE = 192;

/** OpenSSL's reason -> BoringSSL's, and its number. */
const REASONS: Readonly<Record<string, readonly [string, number]>> = {
  BAD_SIGNATURE: ['BAD_SIGNATURE', 114],
  CERTIFICATE_VERIFY_FAILED: ['CERTIFICATE_VERIFY_FAILED', CERTIFICATE_VERIFY_FAILED],
  DECODE_ERROR: ['DECODE_ERROR', 137],
  DECRYPTION_FAILED_OR_BAD_RECORD_MAC: ['DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 139],
  EXCESSIVE_MESSAGE_SIZE: ['EXCESSIVE_MESSAGE_SIZE', 150],
  HTTPS_PROXY_REQUEST: ['HTTPS_PROXY_REQUEST', 155],
  HTTP_REQUEST: ['HTTP_REQUEST', 156],
  LENGTH_MISMATCH: ['LENGTH_MISMATCH', 162],
  MISSING_EXTENSION: ['MISSING_EXTENSION', 164],
  NO_PROTOCOLS_AVAILABLE: ['UNSUPPORTED_PROTOCOL', 240],
  NO_SHARED_CIPHER: ['NO_SHARED_CIPHER', 184],
  NO_SHARED_GROUP: ['NO_SHARED_GROUP', 266],
  NO_SUITABLE_GROUPS: ['NO_SHARED_GROUP', 266],
  NO_SUITABLE_KEY_SHARE: ['NO_SHARED_GROUP', 266],
  NO_SUITABLE_SIGNATURE_ALGORITHM: ['NO_COMMON_SIGNATURE_ALGORITHMS', 253],
  PACKET_LENGTH_TOO_LONG: ['EXCESSIVE_MESSAGE_SIZE', 150],
  PEER_DID_NOT_RETURN_A_CERTIFICATE: ['PEER_DID_NOT_RETURN_A_CERTIFICATE', PEER_DID_NOT_RETURN_A_CERTIFICATE],
  RECORD_LENGTH_MISMATCH: ['LENGTH_MISMATCH', 162],
  UNEXPECTED_MESSAGE: ['UNEXPECTED_RECORD', 225],
  UNKNOWN_PROTOCOL: ['UNSUPPORTED_PROTOCOL', 240],
  UNSUPPORTED_PROTOCOL: ['UNSUPPORTED_PROTOCOL', 240],
  VERSION_TOO_HIGH: ['UNSUPPORTED_PROTOCOL', 240],
  VERSION_TOO_LOW: ['UNSUPPORTED_PROTOCOL', 240],
  WRONG_CURVE: ['WRONG_CURVE', 243],
  WRONG_SSL_VERSION: ['WRONG_VERSION_NUMBER', 247],
  WRONG_VERSION_NUMBER: ['WRONG_VERSION_NUMBER', 247],
};

/** The alerts of RFC 8446 section 6 -> BoringSSL's prefix for them and their number; the reason's is 1000 more. */
const ALERTS: Readonly<Record<string, readonly [string, number]>> = {
  UNEXPECTED_MESSAGE: ['SSLV3', 10],
  BAD_RECORD_MAC: ['SSLV3', 20],
  DECRYPTION_FAILED: ['TLSV1', 21],
  RECORD_OVERFLOW: ['TLSV1', 22],
  DECOMPRESSION_FAILURE: ['SSLV3', 30],
  HANDSHAKE_FAILURE: ['SSLV3', 40],
  NO_CERTIFICATE: ['SSLV3', 41],
  BAD_CERTIFICATE: ['SSLV3', 42],
  UNSUPPORTED_CERTIFICATE: ['SSLV3', 43],
  CERTIFICATE_REVOKED: ['SSLV3', 44],
  CERTIFICATE_EXPIRED: ['SSLV3', 45],
  CERTIFICATE_UNKNOWN: ['SSLV3', 46],
  ILLEGAL_PARAMETER: ['SSLV3', 47],
  UNKNOWN_CA: ['TLSV1', 48],
  ACCESS_DENIED: ['TLSV1', 49],
  DECODE_ERROR: ['TLSV1', 50],
  DECRYPT_ERROR: ['TLSV1', 51],
  EXPORT_RESTRICTION: ['TLSV1', 60],
  PROTOCOL_VERSION: ['TLSV1', 70],
  INSUFFICIENT_SECURITY: ['TLSV1', 71],
  INTERNAL_ERROR: ['TLSV1', 80],
  INAPPROPRIATE_FALLBACK: ['TLSV1', 86],
  USER_CANCELLED: ['TLSV1', 90],
  NO_RENEGOTIATION: ['TLSV1', 100],
  UNSUPPORTED_EXTENSION: ['TLSV1', 110],
  CERTIFICATE_UNOBTAINABLE: ['TLSV1', 111],
  UNRECOGNIZED_NAME: ['TLSV1', 112],
  BAD_CERTIFICATE_STATUS_RESPONSE: ['TLSV1', 113],
  BAD_CERTIFICATE_HASH_VALUE: ['TLSV1', 114],
  UNKNOWN_PSK_IDENTITY: ['TLSV1', 115],
  CERTIFICATE_REQUIRED: ['TLSV1', 116],
  NO_APPLICATION_PROTOCOL: ['TLSV1', 120],
};
/** How OpenSSL marks a reason that is an alert from the peer; not all of them say so. */
const ALERT_PREFIX = /^(?:(?:SSL\/TLS|SSLV3|TLSV1|TLSV13)_ALERT|TLSV1|TLSV13)_/;

const SYSTEM_ERRORS: Readonly<Record<string, readonly [string, number]>> = {
  ECONNRESET: ['Connection reset by peer', 104],
  EPIPE: ['Broken pipe', 32],
  ETIMEDOUT: ['Connection timed out', 110],
};

const describe = (number: number, name: string): string => `${SSL + number}:SSL routines:OPENSSL_internal:${name}`;
const wrap = (errors: string, detail = ''): string =>
  `TLS_error:|${errors}${detail === '' ? '' : `:${detail}`}:TLS_error_end`;

/** The failure of a handshake that ended with `error`. `beforeServerHello`: nothing was agreed on yet. */
export function handshakeFailure(error: NodeJS.ErrnoException, beforeServerHello: boolean): TlsFailure {
  const code = error.code ?? '';
  if (!code.startsWith('ERR_SSL_')) {
    const system = error.syscall === undefined ? undefined : SYSTEM_ERRORS[code];
    if (system === undefined) return { reason: '', stat: undefined };
    const [text, number] = system;
    return { reason: wrap(`${SYSTEM + number}:system library:OPENSSL_internal:${text}`), stat: undefined };
  }
  const reason = code.slice('ERR_SSL_'.length);
  if (reason === 'PEER_DID_NOT_RETURN_A_CERTIFICATE') return MISSING_CERTIFICATE;
  const alert = ALERT_PREFIX.test(reason) ? ALERTS[reason.replace(ALERT_PREFIX, '')] : undefined;
  if (alert !== undefined) {
    const [prefix, number] = alert;
    let text = describe(1000 + number, `${prefix}_ALERT_${reason.replace(ALERT_PREFIX, '')}`);
    if (number === 40 && beforeServerHello) text += `|${describe(154, 'HANDSHAKE_FAILURE_ON_CLIENT_HELLO')}`;
    return { reason: wrap(text), stat: 'connection_error' };
  }
  const [name, number] = REASONS[reason] ?? [reason, 0];
  return { reason: wrap(describe(number, name)), stat: 'connection_error' };
}

/** A client that was asked for a certificate, and had to, sent none. */
export const MISSING_CERTIFICATE: TlsFailure = {
  reason: wrap(
    describe(PEER_DID_NOT_RETURN_A_CERTIFICATE, 'PEER_DID_NOT_RETURN_A_CERTIFICATE'),
    'peer did not provide required client certificate',
  ),
  stat: 'fail_verify_no_cert',
};

/** The peer's certificate was refused. `detail` as Envoy puts it behind `verify cert failed: `. */
export function verificationFailure(stat: HandshakeFailureStat, detail: string): TlsFailure {
  return {
    reason: wrap(describe(CERTIFICATE_VERIFY_FAILED, 'CERTIFICATE_VERIFY_FAILED'), `verify cert failed: ${detail}`),
    stat,
  };
}

/** X509_V_ERR_... as Node names them -> BoringSSL's text and, where the code tells, the depth at which it is met. */
const CHAIN_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  UNABLE_TO_GET_ISSUER_CERT: [1, 'unable to get issuer certificate'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [1, 'unable to get local issuer certificate'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [0, 'unable to get local issuer certificate'],
  DEPTH_ZERO_SELF_SIGNED_CERT: [0, 'self signed certificate'],
  SELF_SIGNED_CERT_IN_CHAIN: [1, 'self signed certificate in certificate chain'],
  CERT_SIGNATURE_FAILURE: [0, 'certificate signature failure'],
  CERT_NOT_YET_VALID: [0, 'certificate is not yet valid'],
  CERT_HAS_EXPIRED: [0, 'certificate has expired'],
  CERT_REVOKED: [0, 'certificate revocation check against provided CRLs failed: certificate revoked'],
  UNABLE_TO_GET_CRL: [0, 'certificate revocation check against provided CRLs failed: unable to get certificate CRL'],
  CRL_HAS_EXPIRED: [0, 'CRL has expired'],
  CRL_NOT_YET_VALID: [0, 'CRL is not yet valid'],
  CRL_SIGNATURE_FAILURE: [0, 'CRL signature failure'],
  INVALID_CA: [1, 'invalid CA certificate'],
  PATH_LENGTH_EXCEEDED: [1, 'path length constraint exceeded'],
  INVALID_PURPOSE: [0, 'unsupported certificate purpose'],
  CERT_CHAIN_TOO_LONG: [1, 'certificate chain too long'],
  CERT_UNTRUSTED: [0, 'certificate not trusted'],
  CERT_REJECTED: [0, 'certificate rejected'],
};

/** OpenSSL's verdict on the chain (`authorizationError`). `end`: the depth of the last certificate that was sent. */
export function chainFailure(code: string, end?: number): TlsFailure {
  const [usual, text] = CHAIN_ERRORS[code] ?? [0, code.toLowerCase().replaceAll('_', ' ')];
  const depth = end !== undefined && code.startsWith('UNABLE_TO_GET_ISSUER_CERT') ? end : usual;
  return verificationFailure(
    'fail_verify_error',
    `X509_verify_cert: certificate verification error at depth ${depth}: ${text}`,
  );
}

/** %UPSTREAM_TRANSPORT_FAILURE_REASON% of a cluster whose secrets haven't come. */
export const SECRET_NOT_SUPPLIED = 'TLS error: Secret is not supplied by SDS';
