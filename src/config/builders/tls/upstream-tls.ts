import type { UpstreamTlsContext } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Problems } from '../../problem.ts';
import type { TlsValidationModel, UpstreamTlsModel } from '../../transport-socket-model.ts';
import { reportUnsupportedFields } from '../unsupported-fields.ts';
import type { TlsBuildContext } from './tls-build-context.ts';
import { buildCommonTls } from './tls-context.ts';

const FIELDS = [
  'common_tls_context',
  'sni',
  'auto_host_sni',
  'auto_sni_san_validation',
  'allow_renegotiation',
  'max_session_keys',
  'enforce_rsa_key_usage',
];

/** transport_sockets.tls.v3.UpstreamTlsContext; `problems` stands at it. */
export function buildUpstreamTls(
  message: UpstreamTlsContext,
  problems: Problems,
  context: TlsBuildContext,
): UpstreamTlsModel {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  const at = problems.at('common_tls_context');
  const common = buildCommonTls(message.commonTlsContext, at, context);
  const given = message.commonTlsContext;
  if ((given?.tlsCertificates.length ?? 0) + (given?.tlsCertificateSdsSecretConfigs.length ?? 0) > 1)
    at.error('Multiple TLS certificates are not supported for client contexts');
  if (message.sni.includes('\0')) problems.at('sni').error('SNI names containing NULL-byte are not allowed');
  if (message.autoSniSanValidation) checkAutoSni(common.validation, problems, context);
  if (message.allowRenegotiation) problems.unsupported('allow_renegotiation');
  return {
    kind: 'tls',
    common,
    sni: message.sni,
    autoHostSni: message.autoHostSni,
    autoSniSanValidation: message.autoSniSanValidation,
    allowRenegotiation: message.allowRenegotiation,
    maxSessionKeys: message.maxSessionKeys ?? 1,
    enforceRsaKeyUsage: message.enforceRsaKeyUsage ?? true,
  };
}

/** A name proves nothing of a certificate that anybody may have signed. */
function checkAutoSni(
  validation: TlsValidationModel | undefined,
  problems: Problems,
  { secrets }: TlsBuildContext,
): void {
  const at = problems.at('auto_sni_san_validation');
  if (validation === undefined) {
    at.error("'auto_sni_san_validation' was configured without a validation context");
    return;
  }
  const secret = validation.secret === undefined ? undefined : secrets.value(validation.secret);
  // What discovery will deliver isn't known yet.
  if (validation.secret !== undefined && secret === undefined) return;
  const parts = [validation.inline, secret?.kind === 'validation' ? secret.value : undefined];
  if (!parts.some((part) => part !== undefined && (part.trustedCa !== '' || part.spiffeTrustDomains !== undefined)))
    at.error("'auto_sni_san_validation' was configured without configuring a trusted CA");
}
