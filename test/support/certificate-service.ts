import { createPublicKey } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
  type IstioCertificateRequest,
  type IstioCertificateResponse,
} from '../../src/api/generated/istio/ca_pb.js';
import { derChildren, readDer } from '../../src/lib/x509/der-reader.ts';
import { readPem } from '../../src/lib/x509/pem.ts';
import { CertificateAuthority } from './certificates.ts';

export interface SeenRequest {
  readonly csr: string;
  readonly authorization: string;
  readonly clusterId: string;
  readonly validitySeconds: number;
}

/** Istio's certificate service on a loopback port: it certifies whatever is asked for. */
export class CertificateService implements AsyncDisposable {
  readonly ca = CertificateAuthority.create();
  readonly requests: SeenRequest[] = [];
  /** How long its certificates live; default: as asked for. */
  lifetimeSeconds: number | undefined = undefined;
  /** Set: it fails, in these words. */
  failure: string | undefined = undefined;
  /** In place of what it would answer. */
  chain: readonly string[] | undefined = undefined;
  readonly #now: () => number;
  readonly #server = new Server();
  #port = 0;

  private constructor(now: () => number) {
    this.#now = now;
  }

  /** `now`: ms since the epoch, of what certificates say. */
  static async start(now: () => number = Date.now): Promise<CertificateService> {
    const service = new CertificateService(now);
    service.#server.addService(
      {
        createCertificate: {
          path: '/istio.v1.auth.IstioCertificateService/CreateCertificate',
          requestStream: false,
          responseStream: false,
          requestSerialize: (message: IstioCertificateRequest) =>
            Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
          requestDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateRequestSchema, bytes),
          responseSerialize: (message: IstioCertificateResponse) =>
            Buffer.from(toBinary(IstioCertificateResponseSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateResponseSchema, bytes),
        },
      },
      {
        createCertificate: (
          call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
          callback: sendUnaryData<IstioCertificateResponse>,
        ) => service.#serve(call, callback),
      },
    );
    service.#port = await new Promise<number>((resolve, reject) =>
      service.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
    return service;
  }

  get port(): number {
    return this.#port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #serve(
    { request, metadata }: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
    callback: sendUnaryData<IstioCertificateResponse>,
  ): void {
    const validitySeconds = Number(request.validityDuration);
    this.requests.push({
      csr: request.csr,
      authorization: String(metadata.get('authorization')[0] ?? ''),
      clusterId: String(metadata.get('clusterid')[0] ?? ''),
      validitySeconds,
    });
    if (this.failure !== undefined) return callback({ code: status.UNAVAILABLE, details: this.failure });
    const certChain = [...(this.chain ?? [this.#certify(request.csr, validitySeconds), this.ca.certificate])];
    callback(null, create(IstioCertificateResponseSchema, { certChain }));
  }

  #certify(csr: string, validitySeconds: number): string {
    const [info] = derChildren(readDer(readPem(csr)![0]!.der));
    const key = createPublicKey({ key: derChildren(info)[2]!.whole, format: 'der', type: 'spki' });
    // The only name, and the end of the request.
    const uri = /spiffe:\/\/[\x21-\x7e]+$/.exec(info!.whole.toString('latin1'))![0];
    const now = this.#now();
    return this.ca.certify(key, {
      commonName: '',
      uri: [uri],
      extendedKeyUsage: ['server', 'client'],
      notBefore: new Date(now - 1000),
      notAfter: new Date(now + (this.lifetimeSeconds ?? validitySeconds) * 1000),
    });
  }
}
