import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { TypeRegistry } from '../../../../src/api/type-registry.ts';
import { loadBootstrap } from '../../../../src/config/bootstrap.ts';
import type { Problem } from '../../../../src/config/problem.ts';
import { buildStaticResources, type StaticResources } from '../../../../src/config/static-resources.ts';
import type {
  DownstreamTlsModel,
  UpstreamTlsModel,
  UpstreamTransportSocketModel,
} from '../../../../src/config/transport-socket-model.ts';
import { builtinFilterRegistries } from '../../../../src/filters/filter-registries.ts';
import { CertificateAuthority } from '../../../support/certificates.ts';

const ca = CertificateAuthority.create();
const leaf = ca.issue({ dns: ['a.test'] });
const dir = mkdtempSync(join(tmpdir(), 'tls-models-'));
afterAll(() => rmSync(dir, { recursive: true }));
writeFileSync(join(dir, 'ca.pem'), ca.certificate);

const registry = new TypeRegistry();
const filters = builtinFilterRegistries();
const SOCKETS = 'type.googleapis.com/envoy.extensions.transport_sockets';
const seed = Buffer.from('seed');
const inline = {
  certificate_chain: { inline_string: leaf.certificate },
  private_key: { inline_string: leaf.key },
};
const fromFile = { trusted_ca: { filename: join(dir, 'ca.pem') } };

async function build(resources: object, ticketSeed: Uint8Array = seed): Promise<StaticResources> {
  const config = { node: { id: 'n', cluster: 'c' }, static_resources: resources };
  return buildStaticResources(await loadBootstrap({ config, registry }), filters, ticketSeed);
}

const errors = (problems: readonly Problem[]): string[] =>
  problems.filter(({ severity }) => severity === 'error').map(({ message }) => message);
const unsupported = (problems: readonly Problem[]): string[] =>
  problems
    .filter(({ severity }) => severity === 'unsupported')
    .map(({ path }) => path.slice(path.lastIndexOf('typed_config')));

const clusterWith = (transport_socket: object, more: object = {}): object => ({
  clusters: [{ name: 'c', transport_socket, ...more }],
});
const typed = (type: string, fields: object): object => ({
  name: 't',
  typed_config: { '@type': `${SOCKETS}.${type}`, ...fields },
});
const tls = (fields: object): object => typed('tls.v3.UpstreamTlsContext', fields);

async function upstream(socket: object, more: object = {}): Promise<UpstreamTransportSocketModel & StaticResources> {
  const resources = await build({ ...clusterWith(socket), ...more });
  expect(errors(resources.problems)).toEqual([]);
  return { ...resources.clusters[0]!.model.transportSocket, ...resources } as UpstreamTransportSocketModel &
    StaticResources;
}

async function downstream(
  fields: object,
  more: object = {},
  ticketSeed: Uint8Array = seed,
): Promise<DownstreamTlsModel & StaticResources> {
  const echo = 'type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo';
  const resources = await build(
    {
      listeners: [
        {
          name: 'l',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            {
              transport_socket: typed('tls.v3.DownstreamTlsContext', fields),
              filters: [{ name: 'e', typed_config: { '@type': echo } }],
            },
          ],
        },
      ],
      ...more,
    },
    ticketSeed,
  );
  expect(errors(resources.problems)).toEqual([]);
  return { ...resources.listeners[0]!.model.filterChains[0]!.transportSocket!, ...resources };
}

describe('defaults', () => {
  test("of clients are Envoy's", async () => {
    expect(await upstream(tls({}))).toMatchObject({
      kind: 'tls',
      common: {
        minVersion: 'auto',
        maxVersion: 'auto',
        ecdhCurves: 'X25519MLKEM768:X25519:P-256',
        signatureAlgorithms: '',
        alpnProtocols: [],
        certificates: [],
        validation: undefined,
      },
      sni: '',
      autoHostSni: false,
      maxSessionKeys: 1,
      enforceRsaKeyUsage: true,
    });
  });

  test("of servers are Envoy's", async () => {
    expect(await downstream({ common_tls_context: { tls_certificates: [inline] } })).toMatchObject({
      kind: 'tls',
      requireClientCertificate: false,
      sessionTimeoutMs: undefined,
      ticketKeys: undefined,
      disableStatelessResumption: false,
      disableStatefulResumption: false,
      ocspStaplePolicy: 'lenient',
      fullScanCertsOnSniMismatch: false,
      preferClientCiphers: false,
    });
  });
});

test('everything that is set arrives in the model', async () => {
  const model = await downstream({
    require_client_certificate: true,
    session_timeout: '90.7s',
    disable_stateless_session_resumption: true,
    disable_stateful_session_resumption: true,
    ocsp_staple_policy: 'STRICT_STAPLING',
    full_scan_certs_on_sni_mismatch: true,
    prefer_client_ciphers: true,
    common_tls_context: {
      tls_params: {
        tls_minimum_protocol_version: 'TLSv1_2',
        tls_maximum_protocol_version: 'TLSv1_3',
        cipher_suites: ['ECDHE-RSA-AES128-GCM-SHA256', 'AES128-SHA'],
        ecdh_curves: ['P-384'],
        signature_algorithms: ['ecdsa_secp256r1_sha256'],
      },
      tls_certificates: [inline],
      alpn_protocols: ['h2,http/1.1', 'x'],
      key_log: { path: join(dir, 'keys'), local_address_range: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
      validation_context: {
        trusted_ca: { inline_string: ca.certificate },
        verify_certificate_hash: [Array(32).fill('AB').join(':')],
        match_typed_subject_alt_names: [
          { san_type: 'URI', matcher: { prefix: 'spiffe://' } },
          { san_type: 'OTHER_NAME', oid: '1.2.3', matcher: { exact: 'x' } },
        ],
        crl: { inline_string: ca.crl() },
        only_verify_leaf_cert_crl: true,
        allow_expired_certificate: true,
        trust_chain_verification: 'ACCEPT_UNTRUSTED',
        max_verify_depth: 3,
      },
    },
  });
  expect(model).toMatchObject({
    requireClientCertificate: true,
    sessionTimeoutMs: 90_000,
    disableStatelessResumption: true,
    disableStatefulResumption: true,
    ocspStaplePolicy: 'strict',
    fullScanCertsOnSniMismatch: true,
    preferClientCiphers: true,
    common: {
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      cipherSuites: 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA',
      ecdhCurves: 'P-384',
      signatureAlgorithms: 'ecdsa_secp256r1_sha256',
      alpnProtocols: ['h2', 'http/1.1', 'x'],
      keyLog: { path: join(dir, 'keys'), localAddressRanges: ['10.0.0.0/8'], remoteAddressRanges: [] },
      certificates: [{ kind: 'inline', value: { certificateChain: leaf.certificate, path: '<inline>' } }],
      validation: {
        secret: undefined,
        inline: {
          trustedCa: ca.certificate,
          verifyCertificateHash: ['ab'.repeat(32)],
          subjectAltNames: [
            { type: 'uri', oid: '', matcher: { kind: 'prefix', value: 'spiffe://' } },
            { type: 'other-name', oid: '1.2.3', matcher: { kind: 'exact', value: 'x' } },
          ],
          onlyVerifyLeafCertCrl: true,
          allowExpiredCertificate: true,
          trustChainVerification: 'accept-untrusted',
          maxVerifyDepth: 3,
        },
      },
    },
  });
  expect(model.problems).toEqual([]);
});

test('deprecated names match any type, and count for nothing beside typed ones', async () => {
  const names = { trusted_ca: { inline_string: ca.certificate }, match_subject_alt_names: [{ exact: 'a' }] };
  const namesOf = async (validation: object): Promise<unknown> => {
    const model = (await upstream(tls({ common_tls_context: { validation_context: validation } }))) as UpstreamTlsModel;
    return model.common.validation!.inline!.subjectAltNames.map(({ type }) => type);
  };
  expect(await namesOf(names)).toEqual(['any']);
  const match_typed_subject_alt_names = [{ san_type: 'DNS', matcher: { exact: 'b' } }];
  expect(await namesOf({ ...names, match_typed_subject_alt_names })).toEqual(['dns']);
});

describe('what is in files or has a name', () => {
  test('is declared once, and used by name', async () => {
    const socket = tls({ common_tls_context: { validation_context: fromFile } });
    const { clusters, secrets } = await build({
      clusters: [
        { name: 'a', transport_socket: socket },
        { name: 'b', transport_socket: socket },
      ],
    });
    expect(secrets).toHaveLength(1);
    const [declared] = secrets;
    expect(declared).toMatchObject({
      directories: [dir],
      initial: { kind: 'validation', value: { trustedCa: ca.certificate, path: join(dir, 'ca.pem') } },
    });
    for (const { model } of clusters)
      expect(model.transportSocket).toMatchObject({
        common: { validation: { inline: undefined, secret: declared!.name } },
      });
  });

  test('is watched where it is told to be', async () => {
    const watched = { ...fromFile, watched_directory: { path: '/' } };
    const { secrets } = await upstream(tls({ common_tls_context: { validation_context: watched } }));
    expect(secrets[0]!.directories).toEqual(['/']);
  });

  test('goes by the name of its secret in stats', async () => {
    const named = { common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'pair' }] } };
    const { common, secrets } = await downstream(named, { secrets: [{ name: 'pair', tls_certificate: inline }] });
    expect(common.certificates).toEqual([{ kind: 'secret', name: secrets[0]!.name }]);
    expect(secrets[0]!.initial).toMatchObject({ kind: 'certificate', value: { statName: 'pair' } });
  });

  test('completes a default validation context', async () => {
    const combined_validation_context = {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a' } }] },
      validation_context_sds_secret_config: { name: 'ca' },
    };
    const model = await upstream(tls({ common_tls_context: { combined_validation_context } }), {
      secrets: [{ name: 'ca', validation_context: fromFile }],
    });
    expect(model).toMatchObject({
      common: {
        validation: { inline: { trustedCa: '', subjectAltNames: [{ type: 'dns' }] }, secret: model.secrets[0]!.name },
      },
    });
  });

  test('is loaded later when a file delivers it', async () => {
    const sds_config = { path_config_source: { path: join(dir, 'ca.pem') } };
    const { secrets } = await upstream(
      tls({ common_tls_context: { validation_context_sds_secret_config: { name: 'ca', sds_config } } }),
    );
    expect(secrets).toMatchObject([{ initial: undefined, subscription: { resource: 'ca' }, directories: [dir] }]);
  });

  test('by ADS is refused where there is none', async () => {
    const sds_config = { ads: {} };
    const socket = tls({ common_tls_context: { validation_context_sds_secret_config: { name: 'ca', sds_config } } });
    expect(errors((await build(clusterWith(socket))).problems)).toEqual([
      'ADS must be configured to support an ADS config source',
    ]);
  });
});

test('session ticket keys of our own depend on the context and the process, and on nothing else', async () => {
  const keys = async (fields: object, ticketSeed?: Uint8Array): Promise<string> => {
    const { ownTicketKeys } = await downstream(
      { common_tls_context: { tls_certificates: [inline] }, ...fields },
      {},
      ticketSeed,
    );
    return Buffer.from(ownTicketKeys).toString('hex');
  };
  const first = await keys({});
  expect(first).toHaveLength(96);
  expect(await keys({})).toBe(first);
  expect(await keys({ require_client_certificate: true })).not.toBe(first);
  expect(await keys({}, Buffer.from('other'))).not.toBe(first);
});

describe('other transport sockets', () => {
  const rawBuffer = typed('raw_buffer.v3.RawBuffer', {});

  test('a PROXY protocol header goes before what it wraps', async () => {
    const config = {
      version: 'V2',
      pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [1, 234] },
      added_tlvs: [{ type: 240, value: Buffer.from('a').toString('base64') }],
    };
    const socket = typed('proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
      config,
      transport_socket: tls({ sni: 'a' }),
    });
    const { problems, ...model } = await upstream(socket);
    expect(model).toMatchObject({
      kind: 'proxy-protocol',
      version: 'v2',
      passThroughTlvs: [1, 234],
      addedTlvs: [{ type: 240, value: Uint8Array.of(0x61) }],
      inner: { kind: 'tls', sni: 'a' },
    });
    expect(problems).toEqual([]);
  });

  test('without a config it is version 1, and nothing is passed through', async () => {
    const socket = typed('proxy_protocol.v3.ProxyProtocolUpstreamTransport', { transport_socket: rawBuffer });
    expect(await upstream(socket)).toMatchObject({ version: 'v1', passThroughTlvs: [], inner: { kind: 'raw-buffer' } });
  });

  test("the kernel's statistics are left out, and that is said", async () => {
    const { kind, problems } = await upstream(typed('tcp_stats.v3.Config', { transport_socket: rawBuffer }));
    expect(kind).toBe('raw-buffer');
    expect(unsupported(problems)).toEqual(['typed_config.update_period']);
  });

  test('STARTTLS is refused by name', async () => {
    const socket = typed('starttls.v3.UpstreamStartTlsConfig', {
      cleartext_socket_config: {},
      tls_socket_config: {},
    });
    expect(errors((await build(clusterWith(socket))).problems)).toEqual([
      "unsupported: the transport socket 't' (envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig) is not implemented",
    ]);
  });
});
