import { beforeEach, describe, expect, test } from 'vitest';
import type { OriginalDestinationModel } from '../../../src/config/cluster-model.ts';
import type { StreamInfo } from '../../../src/filters/stream-info.ts';
import { RecordingRequest } from '../../support/recording-request.ts';
import { PlainContext } from '../../support/upstream-models.ts';
import { UpstreamRig } from '../../support/upstream-rig.ts';

const STATE = 'envoy.network.transport_socket.original_dst_address';

/** A connection that was going to 10.9.9.9:90. */
class Going extends PlainContext {
  readonly streamInfo: StreamInfo;
  readonly requestHeaders: ReadonlyMap<string, string>;

  constructor(headers: Readonly<Record<string, string>> = {}, restored = true, localIp = '10.9.9.9') {
    super();
    this.requestHeaders = new Map(Object.entries(headers));
    this.streamInfo = {
      connection: { localIp, localPort: 90, localAddressRestored: restored },
      filterState: new Map<string, unknown>(),
      dynamicMetadata: new Map<string, Record<string, unknown>>(),
    } as unknown as StreamInfo;
  }
}

let rig: UpstreamRig;

function setUp(model: Partial<OriginalDestinationModel> = {}): void {
  rig = new UpstreamRig({
    discoveryType: 'ORIGINAL_DST',
    loadBalancer: { policy: 'cluster-provided' },
    originalDestination: {
      headerName: undefined,
      metadataKey: undefined,
      portOverride: undefined,
      cleanupIntervalMs: 5000,
      ...model,
    },
  });
}
beforeEach(() => setUp());

const pick = (context: PlainContext): string | undefined => rig.cluster.pickHost(context)?.address;

describe('an ORIGINAL_DST cluster', () => {
  test('goes where the connection was going, if that is known', () => {
    expect(pick(new Going())).toBe('10.9.9.9:90');
    expect(pick(new Going({}, true, 'fd00::1'))).toBe('[fd00::1]:90');
    expect(pick(new Going({}, false))).toBeUndefined();
    expect(pick(new PlainContext())).toBeUndefined();
    expect(rig.stat('upstream_cx_none_healthy')).toBe(2);
    expect(rig.values('membership_total', 'membership_healthy', 'membership_change')).toEqual({
      membership_total: 2,
      membership_healthy: 2,
      membership_change: 2,
    });
  });

  test('the port can be overridden', () => {
    setUp({ portOverride: 8080 });
    expect(pick(new Going())).toBe('10.9.9.9:8080');
  });

  test('a header comes before, metadata before that, filter state first of all', () => {
    setUp({ headerName: 'x-to', metadataKey: { filter: 'f', path: ['a', 'b'] } });
    const going = new Going({ 'x-to': '10.0.0.3:3' });
    expect(pick(going)).toBe('10.0.0.3:3');
    going.streamInfo.dynamicMetadata.set('f', { a: { b: ['10.0.0.2:2', '10.0.0.9:9'] } });
    expect(pick(going)).toBe('10.0.0.2:2');
    going.streamInfo.filterState.set(STATE, '[fd00::0001]:1');
    expect(pick(going)).toBe('[fd00::1]:1');
  });

  test.each([['a.example:80'], ['10.0.0.1'], ['10.0.0.1:65536'], ['[10.0.0.1]:80'], ['fd00::1:80'], ['']])(
    'a header that is no address (%j) is counted and passed over',
    (value) => {
      setUp({ headerName: 'x-to' });
      expect(pick(new Going({ 'x-to': value }))).toBe('10.9.9.9:90');
      expect(rig.stat('original_dst_host_invalid')).toBe(1);
    },
  );

  test('a host stays as long as it is chosen or connected to', () => {
    const host = rig.cluster.pickHost(new Going())!;
    rig.clock.advance(5001);
    expect(rig.cluster.pickHost(new Going())).toBe(host);
    const request = new RecordingRequest();
    rig.dispatcher.turn(() => void request.start(rig.cluster.pool(host, 'default')));
    rig.connector.last.connect();
    expect(request.log).toEqual(['ready']);
    rig.clock.advance(20_000);
    expect(rig.stat('membership_total')).toBe(1);
    rig.connector.last.disconnect();
    rig.clock.advance(10_000);
    expect(rig.stat('membership_total')).toBe(0);
    expect(rig.cluster.pickHost(new Going())).not.toBe(host);
  });

  test('hosts go with their cluster', () => {
    pick(new Going());
    rig.dispatcher.turn(() => rig.clusters.drain());
    expect(rig.stat('membership_total')).toBe(0);
    expect(rig.clock.pending).toBe(0);
  });
});
