import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { clone, mergeFromBinary, toBinary, type DescMessage } from '@bufbuild/protobuf';
import type { CertificateValidationContext } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type {
  CommonTlsContext,
  CommonTlsContext_CombinedCertificateValidationContext as CombinedValidationContext,
  TlsKeyLog,
} from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Problems } from '../../problem.ts';
import type { SecretSource, TlsCertificateModel } from '../../secret-model.ts';
import type { CommonTlsModel, KeyLogModel, TlsValidationModel } from '../../transport-socket-model.ts';
import { buildCidrRanges } from '../cidr-ranges.ts';
import { reportUnsupportedFields } from '../unsupported-fields.ts';
import { isEmptyCertificate } from './tls-certificate.ts';
import type { TlsBuildContext } from './tls-build-context.ts';
import { buildTlsParameters } from './tls-parameters.ts';
import { buildCertificateValidation } from './validation-context.ts';

const FIELDS = [
  'tls_params',
  'tls_certificates',
  'tls_certificate_sds_secret_configs',
  'validation_context',
  'validation_context_sds_secret_config',
  'combined_validation_context',
  'alpn_protocols',
  'custom_handshaker',
  'custom_tls_certificate_selector',
  'key_log',
];
const MAX_ALPN_BYTES = 255;

/** transport_sockets.tls.v3.CommonTlsContext; `problems` stands at it. */
export function buildCommonTls(
  message: CommonTlsContext | undefined,
  problems: Problems,
  context: TlsBuildContext,
): CommonTlsModel {
  if (message !== undefined) {
    reportUnsupportedFields(context.types, message, FIELDS, problems);
    refuseExtensions(message, problems);
  }
  return {
    ...buildTlsParameters(message?.tlsParams, context.types, problems.at('tls_params')),
    alpnProtocols: buildAlpn(message?.alpnProtocols ?? [], problems.at('alpn_protocols')),
    certificates: message === undefined ? [] : buildCertificates(message, problems, context),
    validation: message === undefined ? undefined : buildValidation(message, problems, context),
    keyLog: buildKeyLog(message?.keyLog, problems.at('key_log')),
  };
}

function refuseExtensions(message: CommonTlsContext, problems: Problems): void {
  for (const [field, config] of [
    ['custom_handshaker', message.customHandshaker],
    ['custom_tls_certificate_selector', message.customTlsCertificateSelector],
  ] as const)
    if (config !== undefined) {
      const type = config.typedConfig?.typeUrl.split('/').at(-1) ?? '';
      problems.at(field).error(`Didn't find a registered implementation for '${config.name}' with type URL: '${type}'`);
    }
}

function buildCertificates(
  message: CommonTlsContext,
  problems: Problems,
  { secrets }: TlsBuildContext,
): SecretSource<TlsCertificateModel>[] {
  if (message.tlsCertificates.length > 0) {
    const at = problems.at('tls_certificates');
    return message.tlsCertificates.flatMap((certificate, index) =>
      isEmptyCertificate(certificate) ? [] : [secrets.certificate(certificate, at.at(index))],
    );
  }
  const at = problems.at('tls_certificate_sds_secret_configs');
  return message.tlsCertificateSdsSecretConfigs.flatMap((config, index) => {
    const name = secrets.named('certificate', config, at.at(index));
    return name === undefined ? [] : [{ kind: 'secret' as const, name }];
  });
}

function buildValidation(
  { validationContextType }: CommonTlsContext,
  problems: Problems,
  context: TlsBuildContext,
): TlsValidationModel | undefined {
  const { secrets } = context;
  switch (validationContextType.case) {
    case 'validationContext':
      return secrets.validation(validationContextType.value, problems.at('validation_context'));
    case 'validationContextSdsSecretConfig': {
      const at = problems.at('validation_context_sds_secret_config');
      const secret = secrets.named('validation', validationContextType.value, at);
      return secret === undefined ? undefined : { inline: undefined, secret };
    }
    case 'combinedValidationContext':
      return buildCombined(validationContextType.value, problems.at('combined_validation_context'), context);
    default:
      return undefined;
  }
}

/** Both parts may be incomplete; together they must make sense. */
function buildCombined(
  message: CombinedValidationContext,
  problems: Problems,
  { secrets, types }: TlsBuildContext,
): TlsValidationModel | undefined {
  const { defaultValidationContext: given, validationContextSdsSecretConfig: config } = message;
  reportUnsupportedFields(
    types,
    message,
    ['default_validation_context', 'validation_context_sds_secret_config'],
    problems,
  );
  if (given === undefined || config === undefined) return undefined;
  const at = problems.at('default_validation_context');
  const inline = buildCertificateValidation(given, config.name, types, at, true);
  const secret = secrets.named('validation', config, problems.at('validation_context_sds_secret_config'), true);
  if (secret === undefined) return undefined;
  const other = config.sdsConfig === undefined ? secrets.staticMessage('validation', config.name) : undefined;
  const desc = types.get(given.$typeName) as DescMessage | undefined;
  if (other !== undefined && desc !== undefined) {
    const whole = clone(desc, given) as CertificateValidationContext;
    mergeFromBinary(desc, whole, toBinary(desc, other.message));
    // What is wrong with a part has been told; here it is about the whole.
    const seen = new Set(problems.list.map((problem) => problem.message));
    const before = problems.list.length;
    buildCertificateValidation(whole, config.name, types, problems);
    const fresh = problems.list.splice(before).filter((problem) => !seen.has(problem.message));
    problems.list.push(...fresh.filter(({ severity }) => severity === 'error'));
  }
  return { inline, secret };
}

/** One entry may be a list of its own: Envoy joins and splits them at commas. */
function buildAlpn(list: readonly string[], problems: Problems): string[] {
  const protocols = list.flatMap((entry) => entry.split(',')).filter((protocol) => protocol !== '');
  if (protocols.some((protocol) => Buffer.byteLength(protocol) > MAX_ALPN_BYTES))
    problems.error('Invalid ALPN protocol string');
  return protocols;
}

function buildKeyLog(message: TlsKeyLog | undefined, problems: Problems): KeyLogModel | undefined {
  if (message === undefined) return undefined;
  try {
    accessSync(dirname(message.path), constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'No such file or directory' : code === 'EACCES' ? 'Permission denied' : code;
    problems.at('path').error(`unable to open file '${message.path}': ${reason}`);
  }
  return {
    path: message.path,
    localAddressRanges: buildCidrRanges(message.localAddressRange, problems.at('local_address_range')),
    remoteAddressRanges: buildCidrRanges(message.remoteAddressRange, problems.at('remote_address_range')),
  };
}
