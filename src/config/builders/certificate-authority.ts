import { create } from '@bufbuild/protobuf';
import { unpackAny } from '../../api/any.ts';
import { durationMs } from '../../api/duration.ts';
import type { Bootstrap } from '../../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { DataSourceSchema } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import type { IstioCertificateAuthority } from '../../api/generated/outrigger/certificate_authority/v3/certificate_authority_pb.js';
import type { CertificateAuthorityModel } from '../certificate-authority-model.ts';
import type { Problems } from '../problem.ts';
import { checkGrpcService, type ConfigSourceContext } from './config-source.ts';

/** The message of the bootstrap extension. */
export const CERTIFICATE_AUTHORITY = 'outrigger.certificate_authority.v3.IstioCertificateAuthority';

const DEFAULT_TOKEN = '/var/run/secrets/tokens/istio-token';
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_TTL_MS = 86_400_000;
const DEFAULT_GRACE_PERIOD_RATIO = 0.5;

/** The certificate authority among the bootstrap's extensions, if there is one; `problems` stands at the bootstrap. */
export function buildCertificateAuthority(
  { bootstrapExtensions }: Bootstrap,
  context: ConfigSourceContext,
  problems: Problems,
): CertificateAuthorityModel | undefined {
  let model: CertificateAuthorityModel | undefined;
  for (const [index, { typedConfig }] of bootstrapExtensions.entries()) {
    if (typedConfig === undefined) continue;
    const { typeName, message } = unpackAny(context.types, typedConfig);
    if (typeName !== CERTIFICATE_AUTHORITY || message === undefined) continue;
    const at = problems.at('bootstrap_extensions').at(index).at('typed_config');
    if (model !== undefined) at.error('there can be only one certificate authority');
    model = build(message as IstioCertificateAuthority, context, at);
  }
  return model;
}

function build(
  message: IstioCertificateAuthority,
  { types, isPrimaryCluster }: ConfigSourceContext,
  problems: Problems,
): CertificateAuthorityModel | undefined {
  const { grpcService: service, keyType, token } = message;
  if (service === undefined) return undefined;
  const at = problems.at('grpc_service');
  checkGrpcService(service, types, at);
  const { targetSpecifier: target } = service;
  if (target.case === 'envoyGrpc' && !isPrimaryCluster(target.value.clusterName))
    at.error(`Unknown gRPC client cluster '${target.value.clusterName}'`);
  const trustDomain = message.trustDomain || 'cluster.local';
  const owner = `ns/${message.namespace || 'default'}/sa/${message.serviceAccount || 'default'}`;
  const file = { specifier: { case: 'filename' as const, value: DEFAULT_TOKEN } };
  return {
    service,
    requestTimeoutMs: durationMs(service.timeout) ?? DEFAULT_TIMEOUT_MS,
    spiffeId: message.spiffeId || `spiffe://${trustDomain}/${owner}`,
    clusterId: message.clusterId || 'Kubernetes',
    token: token ?? create(DataSourceSchema, file),
    requestedTtlSeconds: Math.floor((durationMs(message.requestedTtl) ?? DEFAULT_TTL_MS) / 1000),
    keyType: keyType === 1 ? 'rsa2048' : 'p256',
    gracePeriodRatio: message.gracePeriodRatio || DEFAULT_GRACE_PERIOD_RATIO,
    names: {
      certificate: message.certificateName || 'default',
      root: message.rootName || 'ROOTCA',
      sdsCluster: message.sdsClusterName || 'sds-grpc',
    },
  };
}
