import { describe, expect, test } from 'vitest';
import type { Random } from '../../../src/lib/random.ts';
import { Drain } from '../../../src/proxy/listener/drain.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setUp(strategy: 'gradual' | 'immediate' = 'gradual', drainTimeMs = 10_000) {
  const clock = new FakeClock();
  const random = { draw: 0, below: () => random.draw, unit: () => 0 };
  const server = new Drain(clock, random satisfies Random, { drainTimeMs, strategy });
  return { clock, random, server };
}

describe('Drain', () => {
  test('lets connections be before it starts', () => {
    expect(setUp('immediate').server.shouldDrain()).toBe(false);
  });

  test('closes all at once with the immediate strategy', () => {
    const { server } = setUp('immediate');
    server.start();
    expect(server.shouldDrain()).toBe(true);
  });

  test('closes more and more as time goes, and all in the end', () => {
    const { clock, random, server } = setUp();
    server.start();
    // Of the draws 0 to 9, as many close as seconds have begun.
    const closing = (): number => {
      let count = 0;
      for (random.draw = 0; random.draw < 10; random.draw++) if (server.shouldDrain()) count++;
      return count;
    };
    expect(closing()).toBe(0);
    clock.advance(1);
    expect(closing()).toBe(1);
    clock.advance(4999);
    expect(closing()).toBe(5);
    clock.advance(4999);
    expect(closing()).toBe(10);
    clock.advance(1);
    expect(closing()).toBe(10);
  });

  test('a second start does not begin anew', () => {
    const { clock, random, server } = setUp();
    random.draw = 9;
    server.start();
    clock.advance(10_000);
    server.start();
    expect(server.shouldDrain()).toBe(true);
  });

  test('a listener drains with the server, the server not with a listener', () => {
    const { server } = setUp('immediate');
    const [one, other] = [server.child(), server.child()];
    one.start();
    expect([one, other, server].map((drain) => drain.shouldDrain())).toEqual([true, false, false]);
    server.start();
    expect([other.shouldDrain(), other.isDraining, other.hasStarted]).toEqual([true, true, false]);
  });

  test('a failed health check drains all but listeners that only drain when they are modified', () => {
    const { server } = setUp();
    const chain = server.child().child();
    const modifyOnly = server.child('modify-only').child();
    server.healthCheckFailed = true;
    expect([chain.shouldDrain(), modifyOnly.shouldDrain()]).toEqual([true, false]);
    server.healthCheckFailed = false;
    expect(chain.shouldDrain()).toBe(false);
  });

  test('with no drain time everything closes', () => {
    const { server } = setUp('gradual', 0);
    server.start();
    expect(server.shouldDrain()).toBe(true);
  });
});
