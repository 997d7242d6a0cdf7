/**
 * Cipher suites of TLS 1.2 and before, in the language of Envoy's library (BoringSSL): names, IANA names, aliases that
 * can be combined with `+`, the operators `+`, `-` and `!`, `@STRENGTH`, and `[A|B]` for groups of equal preference.
 * The result is plain names for OpenSSL, most wanted first; OpenSSL has no groups, so their members follow one another.
 */

interface Suite {
  readonly name: string;
  readonly iana: string;
  readonly exchange: 'ECDHE' | 'RSA' | 'PSK';
  readonly auth: 'RSA' | 'ECDSA' | 'PSK';
  readonly cipher: 'AES128' | 'AES256' | 'AES128GCM' | 'AES256GCM' | 'CHACHA20' | '3DES';
  readonly mac: 'AEAD' | 'SHA1' | 'SHA256';
  /** Only by its own name. */
  readonly deprecated?: boolean;
}

const suite = (
  name: string,
  iana: string,
  exchange: Suite['exchange'],
  auth: Suite['auth'],
  cipher: Suite['cipher'],
  mac: Suite['mac'],
  deprecated = false,
): Suite => ({ name, iana: `TLS_${iana}`, exchange, auth, cipher, mac, deprecated });

/** In the order of preference that aliases expand to. */
const SUITES: readonly Suite[] = [
  suite('ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE', 'ECDSA', 'AES128GCM', 'AEAD'),
  suite('ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE', 'RSA', 'AES128GCM', 'AEAD'),
  suite('ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE', 'ECDSA', 'AES256GCM', 'AEAD'),
  suite('ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE', 'RSA', 'AES256GCM', 'AEAD'),
  suite(
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
    'ECDHE',
    'ECDSA',
    'CHACHA20',
    'AEAD',
  ),
  suite('ECDHE-RSA-CHACHA20-POLY1305', 'ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE', 'RSA', 'CHACHA20', 'AEAD'),
  suite('ECDHE-PSK-CHACHA20-POLY1305', 'ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE', 'PSK', 'CHACHA20', 'AEAD'),
  suite('ECDHE-ECDSA-AES128-SHA', 'ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE', 'ECDSA', 'AES128', 'SHA1'),
  suite('ECDHE-RSA-AES128-SHA', 'ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE', 'RSA', 'AES128', 'SHA1'),
  suite('ECDHE-PSK-AES128-CBC-SHA', 'ECDHE_PSK_WITH_AES_128_CBC_SHA', 'ECDHE', 'PSK', 'AES128', 'SHA1'),
  suite('ECDHE-ECDSA-AES256-SHA', 'ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE', 'ECDSA', 'AES256', 'SHA1'),
  suite('ECDHE-RSA-AES256-SHA', 'ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE', 'RSA', 'AES256', 'SHA1'),
  suite('ECDHE-RSA-AES128-SHA256', 'ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'ECDHE', 'RSA', 'AES128', 'SHA256', true),
  suite('ECDHE-PSK-AES256-CBC-SHA', 'ECDHE_PSK_WITH_AES_256_CBC_SHA', 'ECDHE', 'PSK', 'AES256', 'SHA1'),
  suite('AES128-GCM-SHA256', 'RSA_WITH_AES_128_GCM_SHA256', 'RSA', 'RSA', 'AES128GCM', 'AEAD'),
  suite('AES256-GCM-SHA384', 'RSA_WITH_AES_256_GCM_SHA384', 'RSA', 'RSA', 'AES256GCM', 'AEAD'),
  suite('AES128-SHA', 'RSA_WITH_AES_128_CBC_SHA', 'RSA', 'RSA', 'AES128', 'SHA1'),
  suite('PSK-AES128-CBC-SHA', 'PSK_WITH_AES_128_CBC_SHA', 'PSK', 'PSK', 'AES128', 'SHA1'),
  suite('AES256-SHA', 'RSA_WITH_AES_256_CBC_SHA', 'RSA', 'RSA', 'AES256', 'SHA1'),
  suite('PSK-AES256-CBC-SHA', 'PSK_WITH_AES_256_CBC_SHA', 'PSK', 'PSK', 'AES256', 'SHA1'),
  suite('DES-CBC3-SHA', 'RSA_WITH_3DES_EDE_CBC_SHA', 'RSA', 'RSA', '3DES', 'SHA1', true),
];

type Match = (suite: Suite) => boolean;

const ecdhe: Match = ({ exchange }) => exchange === 'ECDHE';
const ecdsa: Match = ({ auth }) => auth === 'ECDSA';
const aes128: Match = ({ cipher }) => cipher.startsWith('AES128');
const aes256: Match = ({ cipher }) => cipher.startsWith('AES256');
const gcm: Match = ({ cipher }) => cipher.endsWith('GCM');
const sha1: Match = ({ mac }) => mac === 'SHA1';
const high: Match = ({ cipher }) => cipher !== '3DES';

const ALIASES: Readonly<Record<string, Match>> = {
  ALL: () => true,
  kRSA: ({ exchange }) => exchange === 'RSA',
  kECDHE: ecdhe,
  kEECDH: ecdhe,
  ECDH: ecdhe,
  ECDHE: ecdhe,
  EECDH: ecdhe,
  kPSK: ({ exchange }) => exchange === 'PSK',
  aRSA: ({ auth }) => auth === 'RSA',
  aECDSA: ecdsa,
  ECDSA: ecdsa,
  aPSK: ({ auth }) => auth === 'PSK',
  RSA: ({ exchange, auth }) => exchange === 'RSA' && auth === 'RSA',
  PSK: ({ exchange, auth }) => exchange === 'PSK' && auth === 'PSK',
  '3DES': ({ cipher }) => cipher === '3DES',
  AES128: aes128,
  AES256: aes256,
  AES: ({ cipher }) => cipher.startsWith('AES'),
  AESGCM: gcm,
  CHACHA20: ({ cipher }) => cipher === 'CHACHA20',
  SHA1: sha1,
  SHA: sha1,
  SSLv3: ({ mac }) => mac === 'SHA1',
  TLSv1: ({ mac }) => mac === 'SHA1',
  'TLSv1.2': ({ mac }) => mac !== 'SHA1',
  HIGH: high,
  FIPS: high,
};

const STRENGTH: Readonly<Record<Suite['cipher'], number>> = {
  AES128: 128,
  AES128GCM: 128,
  AES256: 256,
  AES256GCM: 256,
  CHACHA20: 256,
  '3DES': 112,
};

/** Envoy's default of both sides. */
export const DEFAULT_CIPHER_SUITES =
  '[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:' +
  '[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:' +
  'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384';

/** Suites of Envoy's library that OpenSSL 3 has no more. */
export const UNAVAILABLE_CIPHER_SUITES: ReadonlySet<string> = new Set(['DES-CBC3-SHA']);

/** The names that an expression selects, in order; undefined if it is malformed, names the unknown, or selects nothing. */
export function selectCipherSuites(expression: string): string[] | undefined {
  // Those that are not in use come first, in the order of aliases.
  let list = SUITES.map((each) => ({ suite: each, active: false }));
  for (const term of tokenize(expression) ?? ['']) {
    if (term === '@STRENGTH') {
      const strength = ({ suite: { cipher } }: (typeof list)[number]): number => STRENGTH[cipher];
      list = [
        ...list.filter(({ active }) => !active),
        ...list.filter(({ active }) => active).sort((a, b) => strength(b) - strength(a)),
      ];
      continue;
    }
    const operator = '+-!'.includes(term.charAt(0)) ? term.charAt(0) : '';
    const matches = matcher(term.slice(operator.length));
    if (matches === undefined) return undefined;
    const hit = list.filter((entry) => matches(entry.suite));
    const rest = list.filter((entry) => !matches(entry.suite));
    if (operator === '!') list = rest;
    else if (operator === '-') list = [...hit.map((entry) => ({ ...entry, active: false })), ...rest];
    else {
      // An addition leaves what is in use where it is; `+` moves exactly that to the end.
      const moved = hit.filter(({ active }) => active === (operator === '+'));
      const added = moved.map((entry) => ({ ...entry, active: true }));
      list = [...list.filter((entry) => !moved.includes(entry)), ...added];
    }
  }
  const names = list.filter(({ active }) => active).map((entry) => entry.suite.name);
  return names.length === 0 ? undefined : names;
}

/** The terms of an expression that nothing knows: each one tried alone, as Envoy's error message does. */
export function rejectedCipherSuites(expression: string): string[] {
  return expression
    .split(/[:+![|\]]/)
    .filter((term) => term !== '')
    .map((term) => (term.startsWith('-') ? term.slice(1) : term))
    .filter((term) => selectCipherSuites(term) === undefined);
}

/** Groups are flattened: what stands in one is added like anything else. Undefined: brackets that don't match. */
function tokenize(expression: string): string[] | undefined {
  const terms: string[] = [];
  for (const part of expression.split(/[:\s;,]+/)) {
    if (part === '') continue;
    const group = /^\[([^[\]]*)\]$/.exec(part)?.[1];
    if (group === undefined) {
      if (/[[\]|]/.test(part)) return undefined;
      terms.push(part);
      continue;
    }
    const members = group.split('|');
    // No operators inside.
    if (members.some((member) => !/^[A-Za-z0-9]/.test(member))) return undefined;
    terms.push(...members);
  }
  return terms.length === 0 ? undefined : terms;
}

/** A name, an IANA name, or aliases with `+` between them. */
function matcher(term: string): Match | undefined {
  const exact = SUITES.find(({ name, iana }) => name === term || iana === term);
  if (exact !== undefined) return (each) => each === exact;
  const parts = term.split('+').map((part) => (Object.hasOwn(ALIASES, part) ? ALIASES[part] : undefined));
  if (parts.includes(undefined)) return undefined;
  const explicit = term.split('+').includes('3DES');
  return (each) => (each.deprecated !== true || explicit) && parts.every((part) => part!(each));
}
