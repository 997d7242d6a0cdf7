import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type {
  NetworkConnection,
  NetworkDataVerdict,
  NetworkFilter,
  NetworkVerdict,
} from '../../../src/filters/network/filter.ts';
import type { ConnectionInput } from '../../../src/proxy/codec/connection-io.ts';
import type { DownstreamConnection } from '../../../src/proxy/connection/downstream-connection.ts';
import { NetworkChain } from '../../../src/proxy/connection/network-chain.ts';
import type { FilterChain } from '../../../src/proxy/listener/listener.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeDownstream } from '../../support/fake-downstream.ts';
import { TestWorker } from '../../support/worker.ts';

/** The end of a chain: records what reaches it. */
class End implements FilterChain, ConnectionInput {
  readonly delayedCloseTimeoutMs = 7;
  readonly events: string[] = [];
  output: DownstreamConnection | undefined = undefined;
  allowsHalfClose = true;

  onConnection(connection: DownstreamConnection): ConnectionInput {
    this.output = connection;
    return this;
  }
  onDelayedCloseTimeout(): void {}
  drain(): void {}
  onData(chunk: Buffer): void {
    this.events.push(chunk.toString('latin1'));
  }
  onEnd(): void {
    this.events.push('[end]');
  }
  onDrain(): void {}
  onHandshakeDone(): void {
    this.events.push('[handshake]');
  }
  onClose(): void {
    this.events.push('[close]');
  }
  flush(): void {}
}

let worker: TestWorker;
let downstream: FakeDownstream;
let end: End;
let connections: NetworkConnection[];

beforeEach(() => {
  worker = new TestWorker(new FakeClock());
  downstream = new FakeDownstream(worker.context.dispatcher);
  end = new End();
  connections = [];
});

/** A connection through these filters. */
function accept(filters: readonly NetworkFilter[], terminal: FilterChain | 'none' = end): void {
  const creators = filters.map((filter) => (connection: NetworkConnection) => {
    connections.push(connection);
    return filter;
  });
  const chain = new NetworkChain(creators, terminal === 'none' ? undefined : terminal, worker.context.log);
  worker.context.dispatcher.turn(() => (downstream.input = chain.onConnection(downstream)));
}

/** Stops whatever comes as long as it is told to, and records what it sees. */
class Gate implements NetworkFilter {
  verdict: NetworkVerdict = 'continue';
  atStart: NetworkVerdict = 'continue';
  readonly seen: string[] = [];

  onConnection(): NetworkVerdict {
    this.seen.push('start');
    return this.atStart;
  }
  onData(chunk: Buffer, endStream: boolean): NetworkVerdict {
    this.seen.push(`${chunk.toString('latin1')}${endStream ? '[end]' : ''}`);
    return this.verdict;
  }
  onDestroy(): void {
    this.seen.push('destroy');
  }
}

describe('reading', () => {
  test('filters see everything in their order, and then the end of the chain', () => {
    const [first, second] = [new Gate(), new Gate()];
    accept([first, second]);
    downstream.data('a');
    downstream.end();
    downstream.gone();
    expect(first.seen).toEqual(['start', 'a', '[end]', 'destroy']);
    expect(second.seen).toEqual(first.seen);
    expect(end.events).toEqual(['a', '[end]', '[close]']);
  });

  test('a filter that stops holds its bytes and those behind, and the socket is not read', () => {
    const [first, second] = [new Gate(), new Gate()];
    first.verdict = 'stop';
    accept([first, second]);
    downstream.data('a');
    expect([downstream.pauses, second.seen]).toEqual([1, ['start']]);
    downstream.data('b');
    first.verdict = 'continue';
    connections[0]!.continueReading();
    expect([first.seen, second.seen]).toEqual([
      ['start', 'a', 'b'],
      ['start', 'a', 'b'],
    ]);
    expect([downstream.pauses, end.events]).toEqual([0, ['a', 'b']]);
  });

  test('a filter that stops the start of a connection holds it up for those after it', () => {
    const [first, second] = [new Gate(), new Gate()];
    first.atStart = 'stop';
    accept([first, second]);
    expect(second.seen).toEqual([]);
    downstream.data('a');
    expect([downstream.pauses, first.seen]).toEqual([1, ['start']]);
    second.atStart = 'stop';
    connections[0]!.continueReading();
    expect([first.seen, second.seen]).toEqual([['start'], ['start']]);
    connections[1]!.continueReading();
    expect([first.seen, second.seen, end.events, downstream.pauses]).toEqual([
      ['start', 'a'],
      ['start', 'a'],
      ['a'],
      0,
    ]);
  });

  test('a filter may put other bytes in place of a chunk, or swallow it, but not the end', () => {
    const verdicts: NetworkDataVerdict[] = [Buffer.alloc(0), Buffer.from('B'), Buffer.alloc(0)];
    const last = new Gate();
    accept([{ onData: () => verdicts.shift()! }, last]);
    downstream.data('a');
    downstream.data('b');
    downstream.end();
    expect(last.seen).toEqual(['start', 'B', '[end]']);
    expect(end.events).toEqual(['B', '[end]']);
  });

  test('a filter that detaches sees nothing more of that direction', () => {
    const seen: string[] = [];
    const see = (what: string) => (chunk: Buffer) => {
      seen.push(`${what} ${chunk.toString('latin1')}`);
      return 'detach' as const;
    };
    accept([{ onData: see('read'), onWrite: see('write') }]);
    for (const text of ['a', 'b']) {
      downstream.data(text);
      end.output!.write(text);
    }
    expect(seen).toEqual(['read a', 'write a']);
    expect(end.events).toEqual(['a', 'b']);
    expect(downstream.written).toBe('ab');
  });

  test('going on without having stopped is harmless, and so is going on after the end', () => {
    const gate = new Gate();
    accept([gate]);
    connections[0]!.continueReading();
    gate.verdict = 'stop';
    downstream.data('a');
    downstream.gone();
    connections[0]!.continueReading();
    expect(end.events).toEqual(['[close]']);
  });

  test('a filter may keep itself off a connection', () => {
    const chain = new NetworkChain([() => undefined], end, worker.context.log);
    downstream.input = chain.onConnection(downstream);
    downstream.data('a');
    expect([end.events, chain.delayedCloseTimeoutMs]).toEqual([['a'], 7]);
  });

  test('a filter at the end of the chain stops nothing', () => {
    const last = new Gate();
    last.verdict = 'stop';
    last.atStart = 'stop';
    accept([last], 'none');
    downstream.data('a');
    downstream.data('b');
    expect([last.seen, downstream.pauses]).toEqual([['start', 'a', 'b'], 0]);
  });

  test('nothing reaches a filter behind one that has closed', () => {
    const second = new Gate();
    accept([{ onData: () => (connections[0]!.close('abort', 'denied'), 'stop') }, second]);
    downstream.data('a');
    expect([downstream.closed, downstream.details, second.seen, end.events]).toEqual([
      'abort',
      'denied',
      ['start'],
      [],
    ]);
  });

  test('what throws out of turn closes its connection, and no other', () => {
    const gate = new Gate();
    gate.verdict = 'stop';
    accept([
      gate,
      {
        onData: () => {
          throw new Error('a bug');
        },
      },
    ]);
    downstream.data('a');
    connections[0]!.continueReading();
    expect([downstream.closed, worker.errors.length]).toEqual(['abort', 1]);
  });

  test('half-closes are the business of the end of the chain', () => {
    accept([new Gate()]);
    expect(downstream.input!.allowsHalfClose).toBe(true);
    end.allowsHalfClose = false;
    expect(downstream.input!.allowsHalfClose).toBe(false);
  });
});

describe('the handshake', () => {
  test('is done at once where there is none', () => {
    const seen: string[] = [];
    accept([{ onConnection: () => (seen.push('start'), 'continue'), onHandshakeDone: () => void seen.push('done') }]);
    expect(seen).toEqual(['start', 'done']);
  });

  test('is told to filters that have started, and to the others when they do', () => {
    downstream.isEstablished = false;
    const seen: string[] = [];
    accept([
      { onConnection: () => 'stop', onHandshakeDone: () => void seen.push('first') },
      { onHandshakeDone: () => void seen.push('second') },
    ]);
    downstream.input!.onHandshakeDone!();
    expect(seen).toEqual(['first']);
    connections[0]!.continueReading();
    expect(seen).toEqual(['first', 'second']);
  });
});

describe('writing', () => {
  test('goes through the filters backwards, and stops at the first that says so', () => {
    const seen: string[] = [];
    const record = (name: string) => ({
      onWrite: (chunk: Buffer, endStream: boolean): NetworkVerdict => {
        seen.push(`${name} ${chunk.toString('latin1')}${endStream ? '[end]' : ''}`);
        return chunk.toString('latin1') === 'stop' && name === 'b' ? 'stop' : 'continue';
      },
    });
    accept([record('a'), record('b')]);
    end.output!.write('text');
    end.output!.write(Buffer.from('stop'));
    end.output!.endWrite();
    expect(seen).toEqual(['b text', 'a text', 'b stop', 'b [end]', 'a [end]']);
    expect([downstream.written, downstream.writeEnded]).toEqual(['text', true]);
  });

  test('is direct where no filter looks', () => {
    accept([new Gate()]);
    expect(end.output).toBe(downstream);
  });

  test('what a filter sends goes through those before it', () => {
    const seen: string[] = [];
    accept([{ onWrite: (chunk) => (seen.push(chunk.toString()), 'continue') }, {}]);
    connections[1]!.write(Buffer.from('x'), true);
    expect([seen, downstream.written, downstream.writeEnded]).toEqual([['x'], 'x', true]);
  });
});

test('whatever filters stop, and whenever they go on, all bytes arrive once and in order', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('data' as const), text: fc.string({ minLength: 1, maxLength: 4 }) }),
    fc.record({ kind: fc.constant('end' as const) }),
    fc.record({ kind: fc.constant('stop' as const), filter: fc.nat(2) }),
    fc.record({ kind: fc.constant('continue' as const), filter: fc.nat(2) }),
  );
  fc.assert(
    fc.property(
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      fc.array(action, { maxLength: 40 }),
      (starts, actions) => {
        downstream = new FakeDownstream(worker.context.dispatcher);
        end = new End();
        connections = [];
        const gates = starts.map((stops) => {
          const gate = new Gate();
          gate.atStart = stops ? 'stop' : 'continue';
          return gate;
        });
        accept(gates);
        let sent = '';
        let ended = false;
        for (const each of actions) {
          if (each.kind === 'stop') gates[each.filter]!.verdict = 'stop';
          else if (each.kind === 'continue') {
            gates[each.filter]!.verdict = 'continue';
            connections[each.filter]!.continueReading();
          } else if (ended || downstream.pauses > 0) continue;
          else if (each.kind === 'data') {
            sent += each.text;
            downstream.data(each.text);
          } else {
            ended = true;
            downstream.end();
          }
        }
        for (let round = 0; round < 4; round++)
          for (const [i, gate] of gates.entries()) {
            gate.verdict = 'continue';
            connections[i]!.continueReading();
          }
        const latin1 = Buffer.from(sent, 'latin1').toString('latin1');
        expect(end.events.join('')).toBe(latin1 + (ended ? '[end]' : ''));
        expect(downstream.pauses).toBe(0);
      },
    ),
  );
});
