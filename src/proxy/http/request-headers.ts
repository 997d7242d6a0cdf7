import type { HcmModel, OriginalIpDetectionModel } from '../../config/hcm-model.ts';
import { CidrList } from '../../lib/cidr.ts';
import { isLoopback, parseIpAddress, type IpAddress } from '../../lib/ip-address.ts';
import type { NodeInfo } from '../worker-context.ts';
import { mutateClientCertHeader } from './client-cert-header.ts';
import { lastForwardedAddress, lastUntrustedAddress, type ForwardedClient } from './forwarded-for.ts';
import { HeaderClass, requestHeaderClass } from './header-class.ts';
import type { HeaderMap } from './headers.ts';
import { isValidReferer } from './normalize-referer.ts';
import { withTraceReason, type UuidSource } from './request-id.ts';
import { appendVia } from './response-headers.ts';
import type { MutableStreamInfo } from './stream-info.ts';

const bit = (kind: number): number => 1 << kind;
const FORWARDED_FOR = bit(HeaderClass.ForwardedFor);
const FORWARDED_PROTO = bit(HeaderClass.ForwardedProto);
const FORWARDED_PORT = bit(HeaderClass.ForwardedPort);
const REQUEST_ID = bit(HeaderClass.RequestId);
const TE = bit(HeaderClass.Te);
const REFERER = bit(HeaderClass.Referer);
const CLIENT_CERT = bit(HeaderClass.ClientCert);
const EXTERNAL_ONLY = bit(HeaderClass.ExternalOnly);
const EDGE_ONLY = bit(HeaderClass.EdgeOnly);

/** Peers whose parsed address is remembered. */
const MAX_PEERS = 1024;

/** The other end of a connection. */
interface Peer {
  /** Undefined: a Unix socket. */
  readonly address: IpAddress | undefined;
  /** What it adds to x-forwarded-for; '' for a Unix socket. */
  readonly entry: string;
}

/** An original-IP detection extension, compiled. */
interface Detector {
  readonly model: OriginalIpDetectionModel;
  readonly trusted: CidrList | undefined;
}

/**
 * What the HCM does to the headers of every request (Envoy's mutateRequestHeaders): who the client is and whether it is
 * internal, what it may not say about itself, and what is added for the next hop. One for each HCM and worker.
 */
export class RequestHeaders {
  /** Of the last request: it came from the internal networks. */
  internal = false;

  readonly #model: HcmModel;
  readonly #node: NodeInfo;
  readonly #uuids: UuidSource;
  readonly #localAddress: string;
  readonly #internalRanges: CidrList;
  readonly #detectors: readonly Detector[];

  readonly #peers = new Map<string, Peer>();
  #remoteIp: string | undefined = undefined;
  #peer: IpAddress | undefined = undefined;
  #peerEntry = '';

  constructor(model: HcmModel, node: NodeInfo, uuids: UuidSource, localAddress: string) {
    this.#model = model;
    this.#node = node;
    this.#uuids = uuids;
    this.#localAddress = localAddress;
    this.#internalRanges = new CidrList(model.internalAddresses.cidrRanges);
    const detection = model.originalIpDetection;
    const byHops: OriginalIpDetectionModel = {
      kind: 'xff',
      numTrustedHops: model.xffNumTrustedHops,
      trustedCidrs: undefined,
      skipXffAppend: true,
    };
    this.#detectors = (detection.length === 0 ? [byHops] : detection).map((one) => ({
      model: one,
      trusted: one.kind === 'xff' && one.trustedCidrs !== undefined ? new CidrList(one.trustedCidrs) : undefined,
    }));
  }

  /** Changes `headers` and the client's address in `info`. Returns a status to refuse the request with, or 0. */
  mutate(headers: HeaderMap, info: MutableStreamInfo, internalOnlyHeaders: readonly string[]): number {
    const model = this.#model;
    const { connection } = info;
    if (connection.remoteIp !== this.#remoteIp) this.#look(connection.remoteIp);
    const seen = clean(headers);
    if ((seen & TE) !== 0) sanitizeTe(headers);
    if ((seen & REFERER) !== 0 && !isValidReferer(headers.get('referer')!)) headers.delete('referer');

    const scheme = connection.tls === undefined ? 'http' : 'https';
    let client: IpAddress | undefined = undefined;
    let checkTrust = false;
    if (model.useRemoteAddress) {
      checkTrust = (seen & FORWARDED_FOR) === 0;
      if (model.xffNumTrustedHops > 0 && !checkTrust)
        client = lastForwardedAddress(headers.get('x-forwarded-for')!, model.xffNumTrustedHops - 1)?.address;
      if (!model.skipXffAppend) this.#appendForwardedFor(headers);
      if (model.xffNumTrustedHops === 0 || (seen & FORWARDED_PROTO) === 0) headers.set('x-forwarded-proto', scheme);
    } else {
      for (const detector of this.#detectors) {
        const found = this.#detect(detector, headers);
        if (typeof found === 'number') return found;
        if (found === undefined) continue;
        client = found.address;
        checkTrust = found.only;
        break;
      }
      if ((seen & FORWARDED_PROTO) === 0) headers.append('x-forwarded-proto', scheme);
    }
    if (model.appendXForwardedPort && connection.localIp !== '') {
      const untrusted = model.useRemoteAddress && model.xffNumTrustedHops === 0;
      if (untrusted || (seen & FORWARDED_PORT) === 0) headers.set('x-forwarded-port', String(connection.localPort));
    }
    if (model.schemeToOverwrite !== '') {
      headers.scheme = model.schemeToOverwrite;
      headers.set('x-forwarded-proto', model.schemeToOverwrite);
    } else if (headers.scheme === '') {
      const forwarded = headers.get('x-forwarded-proto');
      headers.scheme = forwarded === 'http' || forwarded === 'https' ? forwarded : scheme;
    }

    const known = client;
    client ??= model.useRemoteAddress ? this.#peer : undefined;
    const isUnixPeer = model.useRemoteAddress && known === undefined && this.#peer === undefined;
    this.internal =
      checkTrust &&
      (client !== undefined
        ? this.#internalRanges.contains(client)
        : isUnixPeer && model.internalAddresses.unixSockets);
    if (known !== undefined) {
      info.downstreamRemoteIp = known.text;
      info.downstreamRemotePort = 0;
      info.downstreamRemoteAddress = known.v4 ? `${known.text}:0` : `[${known.text}]:0`;
    }
    const edge = model.useRemoteAddress && !this.internal;
    if (this.internal) headers.append('x-envoy-internal', 'true');
    else {
      if ((seen & (EXTERNAL_ONLY | EDGE_ONLY)) !== 0) removeEnvoyHeaders(headers, edge);
      for (const name of internalOnlyHeaders) headers.delete(name);
    }
    if (model.addUserAgent) this.#setUserAgent(headers);
    if (model.via !== '') appendVia(headers, model.via);
    if (edge && client !== undefined) headers.set('x-envoy-external-address', client.text);
    if (model.generateRequestId) this.#setRequestId(headers, edge, (seen & REQUEST_ID) !== 0);
    if ((seen & CLIENT_CERT) !== 0 || connection.tls !== undefined)
      mutateClientCertHeader(headers, connection.tls, model.forwardClientCert);
    return 0;
  }

  /** An id from outside is replaced at the edge; one that may stay must not decide there whether we trace. */
  #setRequestId(headers: HeaderMap, edge: boolean, present: boolean): void {
    const model = this.#model;
    if (!present) headers.append('x-request-id', this.#uuids.next());
    else {
      const received = headers.get('x-request-id')!;
      if (received === '' || (edge && !model.preserveExternalRequestId))
        headers.set('x-request-id', this.#uuids.next());
      else if (edge && model.requestId.packTraceReason)
        headers.set('x-request-id', withTraceReason(received, 'not-traceable'));
    }
  }

  #look(remoteIp: string): void {
    let peer = this.#peers.get(remoteIp);
    if (peer === undefined) {
      const address = parseIpAddress(remoteIp);
      const entry = address === undefined ? '' : isLoopback(address) ? this.#localAddress : address.text;
      peer = { address, entry };
      if (this.#peers.size >= MAX_PEERS) this.#peers.clear();
      this.#peers.set(remoteIp, peer);
    }
    this.#remoteIp = remoteIp;
    this.#peer = peer.address;
    this.#peerEntry = peer.entry;
  }

  #appendForwardedFor(headers: HeaderMap): void {
    const entry = this.#peerEntry;
    if (entry === '') return;
    const received = headers.get('x-forwarded-for');
    headers.set('x-forwarded-for', received === undefined || received === '' ? entry : `${received},${entry}`);
  }

  /** The client by one extension; undefined: it doesn't know; a number: it refuses the request. */
  #detect({ model, trusted }: Detector, headers: HeaderMap): ForwardedClient | number | undefined {
    if (model.kind === 'custom-header') {
      const address = parseIpAddress(headers.get(model.headerName) ?? '');
      if (address !== undefined) return { address, only: model.allowExtensionToSetAddressAsTrusted };
      return model.rejectStatus;
    }
    const header = headers.get('x-forwarded-for');
    if (trusted === undefined) {
      const found = header === undefined ? undefined : lastForwardedAddress(header, model.numTrustedHops);
      if (!model.skipXffAppend) this.#appendForwardedFor(headers);
      return found;
    }
    if (this.#peer === undefined || !trusted.contains(this.#peer)) {
      // Nothing that an untrusted peer says counts, but its own address does.
      this.#appendForwardedFor(headers);
      return undefined;
    }
    const found = header === undefined ? undefined : lastUntrustedAddress(header, trusted);
    if (!model.skipXffAppend) this.#appendForwardedFor(headers);
    return found;
  }

  #setUserAgent(headers: HeaderMap): void {
    const { id, cluster } = this.#node;
    headers.set('x-envoy-downstream-service-cluster', cluster);
    const received = headers.get('user-agent');
    if (received === undefined || received === '') headers.set('user-agent', cluster);
    if (id !== '') headers.set('x-envoy-downstream-service-node', id);
  }
}

/** Takes out the fields of the connection and joins those that Envoy keeps one value of. Returns the classes seen. */
function clean(headers: HeaderMap): number {
  const { names, values, originalNames } = headers;
  let upgrade = headers.protocol !== '';
  if (upgrade && headers.protocol.toLowerCase() === 'h2c') {
    // An h2c upgrade is an offer that we decline (RFC 9113 section 3.1 deprecates it).
    headers.protocol = '';
    headers.delete('http2-settings');
    upgrade = false;
  }
  let seen = 0;
  let kept = 0;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const kind = requestHeaderClass(name);
    if (kind !== HeaderClass.Other) {
      if (kind === HeaderClass.HopByHop) continue;
      if ((kind === HeaderClass.Connection || kind === HeaderClass.Upgrade) && !upgrade) continue;
      seen |= 1 << kind;
      const first = names.indexOf(name);
      if (first < kept) {
        values[first] = `${values[first]!},${values[i]!}`;
        continue;
      }
    }
    if (kept !== i) {
      names[kept] = name;
      values[kept] = values[i]!;
      if (originalNames !== undefined) originalNames[kept] = originalNames[i]!;
    }
    kept++;
  }
  headers.truncate(kept);
  return seen;
}

/** `te` is a hop's own business, but for `trailers`, which gRPC needs end to end. */
function sanitizeTe(headers: HeaderMap): void {
  const te = headers.get('te')!;
  if (te === 'trailers' || te === '') return;
  if (te.split(',').some((value) => value.trim() === 'trailers')) headers.set('te', 'trailers');
  else headers.delete('te');
}

/** Takes out what only an internal peer may say (`edge`: also what a peer behind us may not). */
function removeEnvoyHeaders(headers: HeaderMap, edge: boolean): void {
  for (let i = headers.names.length - 1; i >= 0; i--) {
    const kind = requestHeaderClass(headers.names[i]!);
    if (kind === HeaderClass.ExternalOnly || (edge && kind === HeaderClass.EdgeOnly)) headers.removeAt(i);
  }
}
