import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterModel } from '../../../../src/config/cluster-model.ts';
import type { ConnectionInput } from '../../../../src/proxy/codec/connection-io.ts';
import { CLUSTER_GENERATION_CELL } from '../../../../src/proxy/upstream/circuit-breaker.ts';
import { HOST_CELLS, HostHealthFlag } from '../../../../src/proxy/upstream/host-cells.ts';
import type { TcpPool, TcpPoolRequest, UpstreamConnection } from '../../../../src/proxy/upstream/upstream.ts';
import { PlainContext, thresholds } from '../../../support/upstream-models.ts';
import { UpstreamRig } from '../../../support/upstream-rig.ts';

let rig: UpstreamRig;
let pool: TcpPool;

function setUp(model: Partial<ClusterModel> = {}): void {
  rig = new UpstreamRig(model);
  pool = rig.cluster.tcpPool(rig.cluster.pickHost(new PlainContext())!, 'default');
}
beforeEach(() => setUp());

/** Wants a connection, and writes down what comes over it. */
class User implements TcpPoolRequest, ConnectionInput {
  readonly log: string[] = [];
  connection: UpstreamConnection | undefined = undefined;
  allowsHalfClose = false;

  start(): this {
    rig.dispatcher.turn(() => {
      pool.newConnection(this);
      this.log.push('asked');
    });
    return this;
  }

  onPoolReady(connection: UpstreamConnection): void {
    this.log.push('ready');
    this.connection = connection;
    connection.input = this;
  }
  onPoolFailure(reason: string, transportFailure: string): void {
    this.log.push(`failed: ${reason} ${transportFailure}`.trimEnd());
  }
  onData(chunk: Buffer): void {
    this.log.push(`data ${chunk.toString()}`);
  }
  onEnd(): void {
    this.log.push('end');
  }
  onDrain(): void {}
  onClose(): void {
    this.log.push('closed');
  }
  flush(): void {}
}

const allReleased = (): boolean => rig.inFlight().every((count) => count === 0);

describe('a TCP pool', () => {
  test('each user has a connection of its own, which is gone after it', () => {
    const [a, b] = [new User().start(), new User().start()];
    expect(rig.connector.sockets.length).toBe(2);
    for (const socket of rig.connector.sockets) socket.connect();
    const [first, second] = rig.connector.sockets;
    first!.receive('to a');
    a.connection!.write('from a');
    expect(first!.written).toBe('from a');
    expect(a.connection!.host.address).toBe('10.0.0.1:80');
    expect(a.connection!.info.remotePort).toBe(80);
    expect(rig.stat('upstream_rq_active')).toBe(2);
    second!.disconnect();
    a.connection!.close('flush');
    expect(first!.closed).toBe('flush');
    first!.settle();
    expect(a.log).toEqual(['asked', 'ready', 'data to a', 'closed']);
    expect(b.log).toEqual(['asked', 'ready', 'end', 'closed']);
    expect(
      rig.values(
        'upstream_cx_total',
        'upstream_rq_total',
        'upstream_rq_pending_total',
        'upstream_cx_http1_total',
        'upstream_cx_destroy_remote',
        'upstream_cx_destroy_local',
        'upstream_cx_destroy_with_active_rq',
      ),
    ).toEqual({
      upstream_cx_total: 2,
      upstream_rq_total: 2,
      upstream_rq_pending_total: 2,
      upstream_cx_http1_total: 0,
      upstream_cx_destroy_remote: 1,
      upstream_cx_destroy_local: 1,
      upstream_cx_destroy_with_active_rq: 2,
    });
    expect(allReleased()).toBe(true);
  });

  test('a half-close reaches either side', () => {
    const user = new User().start();
    user.allowsHalfClose = true;
    rig.connector.last.connect();
    user.connection!.endWrite();
    expect(rig.connector.last.writeEnded).toBe(true);
    rig.connector.last.disconnect();
    expect(user.log).toEqual(['asked', 'ready', 'end']);
    user.connection!.close('abort');
    rig.connector.settle();
    expect(allReleased()).toBe(true);
  });

  test('no connection, in time or at all', () => {
    const user = new User().start();
    rig.connector.last.refuse();
    expect(user.log).toEqual(['asked', 'failed: remote connection failure delayed connect error: Connection refused']);
    setUp({ connectTimeoutMs: 50 });
    const late = new User().start();
    rig.clock.advance(51);
    rig.connector.settle();
    expect(late.log).toEqual(['asked', 'failed: connection timeout']);
    expect(rig.values('upstream_cx_connect_timeout', 'upstream_cx_connect_fail')).toEqual({
      upstream_cx_connect_timeout: 1,
      upstream_cx_connect_fail: 1,
    });
    expect(allReleased()).toBe(true);
  });

  test('the connection of a user who left waits, silently, for the next one', () => {
    const gone = new User().start();
    rig.dispatcher.turn(() => pool.cancel(gone));
    rig.connector.last.connect();
    expect(rig.connector.last.pauses).toBe(1);
    const next = new User().start();
    expect(rig.connector.sockets.length).toBe(1);
    expect(next.log).toEqual(['asked', 'ready']);
    expect(rig.connector.last.pauses).toBe(0);
    expect(gone.log).toEqual(['asked']);
    next.connection!.close('abort');
    rig.connector.settle();
    expect(allReleased()).toBe(true);
  });

  test('... but not for ever', () => {
    setUp({ tcpIdleTimeoutMs: 100 });
    const gone = new User().start();
    rig.dispatcher.turn(() => pool.cancel(gone));
    rig.connector.last.connect();
    rig.clock.advance(101);
    expect(rig.connector.last.closed).toBe('abort');
    expect(rig.stat('upstream_cx_idle_timeout')).toBe(1);
  });

  test('a user may leave between having got a connection and hearing of it', () => {
    const gone = new User().start();
    rig.dispatcher.turn(() => pool.cancel(gone));
    rig.connector.last.connect();
    const undecided = new User();
    rig.dispatcher.turn(() => {
      pool.newConnection(undecided);
      pool.cancel(undecided);
    });
    expect(undecided.log).toEqual([]);
    expect(rig.connector.last.closed).toBe('abort');
    rig.connector.settle();
    expect(allReleased()).toBe(true);
  });

  test('a host that goes leaves connections alone, one that fails does not, if so configured', () => {
    setUp({ closeConnectionsOnHostHealthFailure: true });
    const user = new User().start();
    rig.connector.last.connect();
    const host = rig.cluster.hosts[0]!;
    rig.dispatcher.turn(() => host.drain());
    expect(rig.connector.last.closed).toBeUndefined();
    expect(user.log).toEqual(['asked', 'ready']);

    setUp({ closeConnectionsOnHostHealthFailure: true });
    const other = new User().start();
    rig.connector.last.connect();
    rig.shared.store(rig.cluster.hosts[0]!.sharedSlot + HOST_CELLS.health, HostHealthFlag.failedEdsHealth);
    rig.shared.add(rig.cluster.model.sharedSlot + CLUSTER_GENERATION_CELL, 1);
    rig.dispatcher.turn(() => void rig.cluster.pickHost(new PlainContext()));
    expect(rig.connector.last.closed).toBe('abort');
    rig.connector.settle();
    expect(other.log.at(-1)).toBe('closed');
    expect(allReleased()).toBe(true);
  });

  test('the circuit breaker of connections', () => {
    setUp({ thresholds: { default: thresholds({ maxConnections: 1, maxPendingRequests: 1 }), high: thresholds() } });
    new User().start();
    rig.connector.last.connect();
    const waiting = new User().start();
    const over = new User().start();
    expect(rig.connector.sockets.length).toBe(1);
    expect(waiting.log).toEqual(['asked']);
    expect(over.log).toEqual(['asked', 'failed: overflow']);
    expect(rig.values('upstream_cx_overflow', 'upstream_rq_pending_overflow')).toEqual({
      upstream_cx_overflow: 1,
      upstream_rq_pending_overflow: 1,
    });
  });
});
