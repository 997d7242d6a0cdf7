import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  proxyProtocolV1,
  proxyProtocolV2,
  type ProxyProtocolAddresses,
} from '../../../src/proxy/transport-socket/proxy-protocol-header.ts';

const addresses = (sourceIp: string, destinationIp: string): ProxyProtocolAddresses => ({
  sourceIp,
  sourcePort: 1234,
  destinationIp,
  destinationPort: 443,
});

describe('version 1', () => {
  test.each([
    ['1.2.3.4', '5.6.7.8', 'PROXY TCP4 1.2.3.4 5.6.7.8 1234 443\r\n'],
    ['::1', '2001:db8::2', 'PROXY TCP6 ::1 2001:db8::2 1234 443\r\n'],
    ['/run/a.sock', '1.2.3.4', 'PROXY UNKNOWN\r\n'],
  ])('%s to %s', (source, destination, expected) => {
    expect(proxyProtocolV1(addresses(source, destination)).toString()).toBe(expected);
  });

  test('families that differ become IPv6', () => {
    expect(proxyProtocolV1(addresses('1.2.3.4', '::1')).toString()).toMatch(/^PROXY TCP6 ::ffff:\S+ ::1 1234 443\r\n$/);
  });
});

describe('version 2', () => {
  const SIGNATURE = '0d0a0d0a000d0a515549540a';

  test('IPv4 and TLVs', () => {
    const tlvs = [
      { type: 0x05, value: Buffer.from('ab') },
      { type: 0xe0, value: Buffer.alloc(0) },
    ];
    expect(proxyProtocolV2(addresses('1.2.3.4', '5.6.7.8'), tlvs).toString('hex')).toBe(
      `${SIGNATURE}21110014010203040506070804d201bb0500026162e00000`,
    );
  });

  test('IPv6', () => {
    const header = proxyProtocolV2(addresses('::1', '::2'), []).toString('hex');
    expect(header).toBe(`${SIGNATURE}21210024${'0'.repeat(31)}1${'0'.repeat(31)}204d201bb`);
  });

  test('a connection of our own', () => {
    expect(proxyProtocolV2(undefined, [{ type: 1, value: Buffer.from('x') }]).toString('hex')).toBe(
      `${SIGNATURE}20000000`,
    );
  });

  test('says its length whatever the TLVs, and leaves out what does not fit', () => {
    const tlv = fc.record({
      type: fc.integer({ min: 0, max: 255 }),
      value: fc.integer({ min: 0, max: 40_000 }).map((size) => Buffer.alloc(size)),
    });
    fc.assert(
      fc.property(fc.array(tlv, { maxLength: 4 }), (tlvs) => {
        const header = proxyProtocolV2(addresses('1.2.3.4', '5.6.7.8'), tlvs);
        expect(header.readUInt16BE(14)).toBe(header.length - 16);
      }),
      { numRuns: 30 },
    );
  });
});
