import * as fc from 'fast-check';
import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import { CidrList, cidrContains, parseCidr } from '../../src/lib/cidr.ts';
import { isLoopback, parseIpAddress } from '../../src/lib/ip-address.ts';

describe('parseIpAddress', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['1:2:3:4:5:6:7:0', '1:2:3:4:5:6:7:0'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['::ffff:102:304', '::ffff:1.2.3.4'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('reads %s', (text, canonical) => {
    expect(parseIpAddress(text)?.text).toBe(canonical);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.',
    '1..2.3',
    '1.2.3.4 ',
    '1.2.3.4:80',
    ':',
    ':1',
    '1:',
    '1:::2',
    '::1::',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '::1%eth0',
    '[::1]',
    '::1.2.3',
    '1.2.3.4::',
  ])('refuses %j', (text) => {
    expect(parseIpAddress(text)).toBeUndefined();
  });

  test('accepts what the platform accepts, and agrees with the URL parser on the value', () => {
    const noise = fc
      .array(fc.constantFrom('1', '0', 'f', ':', '::', '.', 'ffff', '255', '12.3'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), noise), (text) => {
        const address = parseIpAddress(text);
        expect(address !== undefined).toBe(isIP(text) !== 0);
        if (address === undefined) return;
        const inUrl = (ip: string): string => new URL(address.v4 ? `http://${ip}/` : `http://[${ip}]/`).hostname;
        expect(inUrl(address.text)).toBe(inUrl(text));
        expect(parseIpAddress(address.text)).toEqual({ ...address });
      }),
    );
  });

  test('knows loopback as Envoy does', () => {
    expect(
      ['127.0.0.1', '::1', '127.0.0.2', '::ffff:127.0.0.1', '::2'].map((text) => isLoopback(parseIpAddress(text)!)),
    ).toEqual([true, true, false, false, false]);
  });
});

describe('cidr', () => {
  const contains = (range: string, address: string): boolean =>
    cidrContains(parseCidr(range)!, parseIpAddress(address)!);

  test('compares the leading bits', () => {
    expect(contains('10.0.0.0/8', '10.255.0.1')).toBe(true);
    expect(contains('10.0.0.0/8', '11.0.0.1')).toBe(false);
    expect(contains('10.1.2.3/31', '10.1.2.2')).toBe(true);
    expect(contains('0.0.0.0/0', '1.2.3.4')).toBe(true);
    expect(contains('0.0.0.0/0', '::1')).toBe(false);
    expect(contains('2001:db8::/33', '2001:db8:7fff::')).toBe(true);
    expect(contains('2001:db8::/33', '2001:db8:8000::')).toBe(false);
    expect(contains('1.2.3.4/99', '1.2.3.5')).toBe(false);
  });

  test('refuses what is no range', () => {
    for (const text of ['1.2.3.4', '1.2.3.4/', '1.2.3.4/x', '1.2.3/8', '/8', '1.2.3.4/-1', '1.2.3.4/1.5'])
      expect(parseCidr(text), text).toBeUndefined();
  });

  test('a list has what one of its ranges has', () => {
    const list = new CidrList(['10.0.0.0/8', 'nonsense', '::1/128']);
    expect(['10.1.1.1', '::1', '::2'].map((text) => list.contains(parseIpAddress(text)!))).toEqual([true, true, false]);
  });
});
