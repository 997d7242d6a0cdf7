import { hkdfSync } from 'node:crypto';
import { toBinary, type DescMessage } from '@bufbuild/protobuf';
import type { DownstreamTlsContext } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Problems } from '../../problem.ts';
import type { SecretSource, TicketKeysModel, TlsCertificateModel } from '../../secret-model.ts';
import type { CommonTlsModel, DownstreamTlsModel } from '../../transport-socket-model.ts';
import { durationMs } from '../../../api/duration.ts';
import { reportUnsupportedFields } from '../unsupported-fields.ts';
import { checkServerCertificate } from './server-certificates.ts';
import type { TlsBuildContext } from './tls-build-context.ts';
import { buildCommonTls } from './tls-context.ts';

const FIELDS = [
  'common_tls_context',
  'require_client_certificate',
  'session_ticket_keys',
  'session_ticket_keys_sds_secret_config',
  'disable_stateless_session_resumption',
  'disable_stateful_session_resumption',
  'session_timeout',
  'ocsp_staple_policy',
  'full_scan_certs_on_sni_mismatch',
  'prefer_client_ciphers',
];
const STAPLE_POLICIES: readonly DownstreamTlsModel['ocspStaplePolicy'][] = ['lenient', 'strict', 'must-staple'];
/** A name, a key for HMAC and one for AES, 16 bytes each. */
const TICKET_KEYS_LENGTH = 48;

/** transport_sockets.tls.v3.DownstreamTlsContext; `problems` stands at it. */
export function buildDownstreamTls(
  message: DownstreamTlsContext,
  problems: Problems,
  context: TlsBuildContext,
): DownstreamTlsModel {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  const ocspStaplePolicy = STAPLE_POLICIES[message.ocspStaplePolicy] ?? 'lenient';
  const at = problems.at('common_tls_context');
  const before = problems.list.length;
  const common = buildCommonTls(message.commonTlsContext, at, context);
  if (!hasErrorsSince(problems, before)) checkCertificates(message, common, ocspStaplePolicy, at, context);
  const timeoutMs = durationMs(message.sessionTimeout);
  return {
    kind: 'tls',
    common,
    requireClientCertificate: message.requireClientCertificate ?? false,
    requireSni: false,
    // Whole seconds count.
    sessionTimeoutMs: timeoutMs === undefined ? undefined : Math.floor(timeoutMs / 1000) * 1000,
    ticketKeys: buildTicketKeys(message, problems, context),
    ownTicketKeys: ownTicketKeys(message, context),
    disableStatelessResumption:
      message.sessionTicketKeysType.case === 'disableStatelessSessionResumption' && message.sessionTicketKeysType.value,
    disableStatefulResumption: message.disableStatefulSessionResumption,
    ocspStaplePolicy,
    fullScanCertsOnSniMismatch: message.fullScanCertsOnSniMismatch ?? false,
    preferClientCiphers: message.preferClientCiphers,
  };
}

const hasErrorsSince = ({ list }: Problems, index: number): boolean =>
  list.slice(index).some(({ severity }) => severity === 'error');

function checkCertificates(
  { commonTlsContext: message }: DownstreamTlsContext,
  { certificates }: CommonTlsModel,
  policy: DownstreamTlsModel['ocspStaplePolicy'],
  problems: Problems,
  { secrets }: TlsBuildContext,
): void {
  const given = message?.tlsCertificates.length ?? 0;
  const named = message?.tlsCertificateSdsSecretConfigs.length ?? 0;
  if (given + named === 0) return problems.error('No TLS certificates found for server context');
  if (given > 0 && named > 0)
    return problems.error('SDS and non-SDS TLS certificates may not be mixed in server contexts');
  if (certificates.length === 0) return problems.error('Server TlsCertificates must have a certificate specified');
  const at = problems.at(given > 0 ? 'tls_certificates' : 'tls_certificate_sds_secret_configs');
  certificates.forEach((source, index) => {
    const value = valueOf(source, secrets);
    if (value !== undefined) checkServerCertificate(value, policy, at.at(index));
  });
}

function valueOf(
  source: SecretSource<TlsCertificateModel>,
  secrets: TlsBuildContext['secrets'],
): TlsCertificateModel | undefined {
  if (source.kind === 'inline') return source.value;
  const secret = secrets.value(source.name);
  return secret?.kind === 'certificate' ? secret.value : undefined;
}

function buildTicketKeys(
  { sessionTicketKeysType: keys }: DownstreamTlsContext,
  problems: Problems,
  { secrets }: TlsBuildContext,
): SecretSource<TicketKeysModel> | undefined {
  if (keys.case === 'sessionTicketKeys') return secrets.ticketKeys(keys.value, problems.at('session_ticket_keys'));
  if (keys.case !== 'sessionTicketKeysSdsSecretConfig') return undefined;
  const name = secrets.named('ticket-keys', keys.value, problems.at('session_ticket_keys_sds_secret_config'));
  return name === undefined ? undefined : { kind: 'secret', name };
}

/**
 * The same for the same context, so that an update which leaves it alone changes nothing; another for another, so that
 * a session resumes only where its peer would have been verified alike.
 */
function ownTicketKeys(message: DownstreamTlsContext, { types, ticketSeed }: TlsBuildContext): Uint8Array {
  const bytes = toBinary(types.get(message.$typeName) as DescMessage, message);
  return new Uint8Array(hkdfSync('sha256', ticketSeed, bytes, 'session ticket keys', TICKET_KEYS_LENGTH));
}
