import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientStream } from '../../examples/xds-server/client-stream.ts';
import { readDelta, writeDelta } from '../../examples/xds-server/delta.ts';
import type { Resource } from '../../examples/xds-server/resource.ts';
import { readSotw, writeSotw } from '../../examples/xds-server/sotw.ts';
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  type DiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { resourceName } from '../../src/xds/resource-name.ts';
import { kindOf, RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import { resourceBytes } from '../support/fake-control-plane.ts';

const { cds, eds, lds } = RESOURCE_TYPES;
const NAMES = ['a', 'b', 'c'];

/** What there is: type -> name -> content. */
type State = Record<string, Record<string, string>>;

function resourcesOf(state: State): Map<string, Map<string, Resource>> {
  return new Map(
    Object.entries(state).map(([typeUrl, items]) => {
      const resources = Object.entries(items).map(([name, version]): [string, Resource] => {
        const any = create(AnySchema, { typeUrl, value: resourceBytes(name, version) });
        return [name, { typeUrl, name, version, any }];
      });
      return [typeUrl, new Map(resources)];
    }),
  );
}

/** A proxy: wants all clusters, and endpoints by name. Answers a response when it is told to. */
interface Client {
  /** Opens a stream, the first or the next one. */
  connect(): void;
  want(names: readonly string[]): void;
  /** Takes the oldest response; false: there is none. */
  answer(accept: boolean): boolean;
  readonly held: Record<string, Record<string, string>>;
}

const versionOf = (value: Uint8Array): string =>
  resourcesVersions.get(Buffer.from(value).toString('latin1')) ?? 'unknown';
const resourcesVersions = new Map(
  NAMES.flatMap((name) =>
    ['1', '2', '3'].map((version) => [Buffer.from(resourceBytes(name, version)).toString('latin1'), version]),
  ),
);

class DeltaProxy implements Client {
  readonly held: Record<string, Record<string, string>> = { [cds]: {}, [eds]: {} };
  readonly #open: (send: (response: DeltaDiscoveryResponse) => void) => ClientStream;
  #stream!: ClientStream;
  #inbox: DeltaDiscoveryResponse[] = [];
  #wanted: readonly string[] = [];

  constructor(open: (send: (response: DeltaDiscoveryResponse) => void) => ClientStream) {
    this.#open = open;
  }

  connect(): void {
    const inbox: DeltaDiscoveryResponse[] = [];
    this.#inbox = inbox;
    this.#stream = this.#open((response) => void inbox.push(response));
    this.#send({ typeUrl: cds, initialResourceVersions: this.held[cds]! });
    if (this.#wanted.length > 0)
      this.#send({ typeUrl: eds, resourceNamesSubscribe: [...this.#wanted], initialResourceVersions: this.held[eds]! });
  }

  want(names: readonly string[]): void {
    const subscribe = names.filter((name) => !this.#wanted.includes(name));
    const unsubscribe = this.#wanted.filter((name) => !names.includes(name));
    this.#wanted = names;
    for (const name of unsubscribe) delete this.held[eds]![name];
    if (subscribe.length + unsubscribe.length > 0)
      this.#send({ typeUrl: eds, resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe });
  }

  answer(accept: boolean): boolean {
    const response = this.#inbox.shift();
    if (response === undefined) return false;
    const { typeUrl, nonce, resources, removedResources } = response;
    const held = this.held[typeUrl]!;
    // A refused one counts as held all the same: only a change makes the server send it again.
    for (const { name, resource } of resources)
      if (typeUrl === cds || this.#wanted.includes(name)) held[name] = versionOf(resource!.value);
    for (const name of removedResources) delete held[name];
    this.#send({ typeUrl, responseNonce: nonce, ...(!accept && { errorDetail: { message: 'no' } }) });
    return true;
  }

  #send(init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]): void {
    this.#stream.onRequest(readDelta(create(DeltaDiscoveryRequestSchema, init), this.#stream));
  }
}

class SotwProxy implements Client {
  readonly held: Record<string, Record<string, string>> = { [cds]: {}, [eds]: {} };
  readonly #open: (send: (response: DiscoveryResponse) => void) => ClientStream;
  #stream!: ClientStream;
  #inbox: DiscoveryResponse[] = [];
  #wanted: readonly string[] = [];
  #asked = false;
  #nonces: Record<string, string> = {};

  constructor(open: (send: (response: DiscoveryResponse) => void) => ClientStream) {
    this.#open = open;
  }

  connect(): void {
    const inbox: DiscoveryResponse[] = [];
    this.#inbox = inbox;
    this.#nonces = {};
    this.#stream = this.#open((response) => void inbox.push(response));
    this.#send(cds);
    this.#asked = this.#wanted.length > 0;
    if (this.#asked) this.#send(eds);
  }

  want(names: readonly string[]): void {
    this.#wanted = names;
    for (const name of Object.keys(this.held[eds]!)) if (!names.includes(name)) delete this.held[eds]![name];
    if (names.length === 0 && !this.#asked) return;
    this.#asked = true;
    this.#send(eds);
  }

  answer(accept: boolean): boolean {
    const response = this.#inbox.shift();
    if (response === undefined) return false;
    const { typeUrl, nonce, resources } = response;
    const items = resources.map(({ value }) => [resourceName(value), versionOf(value)] as const);
    const wanted = items.filter(([name]) => typeUrl === cds || this.#wanted.includes(name));
    // Of clusters a response is the whole state; of endpoints what it leaves out is as it was.
    this.held[typeUrl] = { ...(typeUrl !== cds && this.held[typeUrl]), ...Object.fromEntries(wanted) };
    this.#nonces[typeUrl] = nonce;
    this.#send(typeUrl, accept ? undefined : 'no');
    return true;
  }

  #send(typeUrl: string, error?: string): void {
    const request = create(DiscoveryRequestSchema, {
      typeUrl,
      responseNonce: this.#nonces[typeUrl] ?? '',
      resourceNames: typeUrl === eds ? [...this.#wanted] : [],
      ...(error !== undefined && { errorDetail: { message: error } }),
    });
    this.#stream.onRequest(readSotw(request, this.#stream));
  }
}

type Step =
  | { readonly kind: 'set'; readonly type: string; readonly name: string; readonly version: string }
  | { readonly kind: 'remove'; readonly type: string; readonly name: string }
  | { readonly kind: 'want'; readonly names: string[] }
  | { readonly kind: 'answer'; readonly accept: boolean }
  | { readonly kind: 'connect' };

const type = fc.constantFrom(cds, eds);
const name = fc.constantFrom(...NAMES);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), type, name, version: fc.constantFrom('1', '2', '3') }),
  fc.record({ kind: fc.constant('remove' as const), type, name }),
  fc.record({ kind: fc.constant('want' as const), names: fc.subarray(NAMES) }),
  fc.record({ kind: fc.constant('answer' as const), accept: fc.boolean() }),
  fc.record({ kind: fc.constant('connect' as const) }),
);

describe.each(['delta', 'state of the world'])('%s', (variant) => {
  test('however things come about, the proxy ends with what there is', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const state: State = { [cds]: { a: '1' }, [eds]: { a: '1' } };
        let stream: ClientStream;
        const open = (send: ConstructorParameters<typeof ClientStream>[1]): ClientStream =>
          (stream = new ClientStream(
            () => resourcesOf(state),
            send,
            () => {},
          ));
        const client =
          variant === 'delta'
            ? new DeltaProxy((send) => open((response) => send(writeDelta(response))))
            : new SotwProxy((send) => open((response) => send(writeSotw(response))));
        client.connect();
        let wanted: readonly string[] = [];
        for (const item of steps)
          switch (item.kind) {
            case 'set':
              state[item.type]![item.name] = item.version;
              stream!.push();
              break;
            case 'remove':
              delete state[item.type]![item.name];
              stream!.push();
              break;
            case 'want':
              wanted = item.names;
              client.want(item.names);
              break;
            case 'answer':
              client.answer(item.accept);
              break;
            case 'connect':
              client.connect();
          }
        let left = 50;
        while (client.answer(true)) expect(left--).toBeGreaterThan(0);
        expect(client.held[cds]).toEqual(state[cds]);
        for (const item of wanted) {
          // State of the world has no way to say that endpoints are gone.
          if (state[eds]![item] !== undefined || variant === 'delta')
            expect(client.held[eds]![item]).toBe(state[eds]![item]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('a cluster that is new or changed gets its endpoints before it is accepted, and nothing else does', () => {
  const state: State = { [cds]: { a: '1' }, [eds]: { a: '1' }, [lds]: { l: '1' } };
  const sent: string[] = [];
  const stream = new ClientStream(
    () => resourcesOf(state),
    ({ typeUrl, changed, nonce }) => sent.push(`${kindOf(typeUrl)} ${changed.map(({ name }) => name).join()} ${nonce}`),
    () => {},
  );
  const request = { node: undefined, nonce: '', error: undefined, subscribe: [], unsubscribe: [], has: {} };
  stream.onRequest({ ...request, typeUrl: cds, subscribe: ['*'] });
  stream.onRequest({ ...request, typeUrl: lds, subscribe: ['*'] });
  stream.onRequest({ ...request, typeUrl: eds, subscribe: ['a'] });
  expect(sent.splice(0)).toEqual(['cds a 1', 'eds a 2']);
  stream.onRequest({ ...request, typeUrl: eds, nonce: '2' });
  expect(sent.splice(0)).toEqual([]);
  stream.onRequest({ ...request, typeUrl: cds, nonce: '1' });
  expect(sent.splice(0)).toEqual(['lds l 3']);
  stream.onRequest({ ...request, typeUrl: lds, nonce: '3' });
  state[cds]!['a'] = '2';
  stream.push();
  expect(sent.splice(0)).toEqual(['cds a 4', 'eds a 5']);
});
