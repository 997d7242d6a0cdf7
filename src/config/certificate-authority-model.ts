import type { DataSource } from '../api/generated/envoy/config/core/v3/base_pb.js';
import type { GrpcService } from '../api/generated/envoy/config/core/v3/grpc_service_pb.js';

/** What a builder makes of outrigger.certificate_authority.v3.IstioCertificateAuthority. */
export interface CertificateAuthorityModel {
  readonly service: GrpcService;
  readonly requestTimeoutMs: number;
  readonly spiffeId: string;
  readonly clusterId: string;
  /** Read anew for each request. */
  readonly token: DataSource;
  readonly requestedTtlSeconds: number;
  readonly keyType: 'p256' | 'rsa2048';
  /** The part of its lifetime that a certificate has left when it is renewed. */
  readonly gracePeriodRatio: number;
  readonly names: IssuedSecretNames;
}

/** By what names TLS contexts ask for what the certificate authority issues. */
export interface IssuedSecretNames {
  readonly certificate: string;
  readonly root: string;
  /** Contexts that ask for these names at this cluster mean them too. */
  readonly sdsCluster: string;
}
