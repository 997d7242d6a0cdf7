import { derChildren, oidText, stringText, type DerElement } from './der-reader.ts';

/** Short names of attribute types as OpenSSL prints them; all others are printed by number, their values in hex. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.13': 'description',
  '2.5.4.14': 'searchGuide',
  '2.5.4.15': 'businessCategory',
  '2.5.4.16': 'postalAddress',
  '2.5.4.17': 'postalCode',
  '2.5.4.18': 'postOfficeBox',
  '2.5.4.19': 'physicalDeliveryOfficeName',
  '2.5.4.20': 'telephoneNumber',
  '2.5.4.31': 'member',
  '2.5.4.32': 'owner',
  '2.5.4.34': 'seeAlso',
  '2.5.4.35': 'userPassword',
  '2.5.4.41': 'name',
  '2.5.4.42': 'GN',
  '2.5.4.43': 'initials',
  '2.5.4.44': 'generationQualifier',
  '2.5.4.45': 'x500UniqueIdentifier',
  '2.5.4.46': 'dnQualifier',
  '2.5.4.65': 'pseudonym',
  '2.5.4.72': 'role',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.3': 'mail',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
  '1.2.840.113549.1.9.2': 'unstructuredName',
  '1.2.840.113549.1.9.8': 'unstructuredAddress',
};

/** A Name as RFC 2253 writes it, most specific attribute first: `CN=a,O=b\, Inc,C=DE`. */
export function nameText(name: DerElement | undefined): string {
  return derChildren(name)
    .map((rdn) => derChildren(rdn).map(attributeText).toReversed().join('+'))
    .toReversed()
    .join(',');
}

/** The values of one attribute type in a Name, in its order. */
export function nameValues(name: DerElement | undefined, oid: string): string[] {
  const values: string[] = [];
  for (const rdn of derChildren(name))
    for (const attribute of derChildren(rdn)) {
      const [type, value] = derChildren(attribute);
      if (type === undefined || value === undefined || oidText(type.content) !== oid) continue;
      const text = stringText(value);
      if (text !== undefined) values.push(text);
    }
  return values;
}

function attributeText(attribute: DerElement): string {
  const [type, value] = derChildren(attribute);
  if (type === undefined || value === undefined) return '';
  const oid = oidText(type.content);
  const name = SHORT_NAMES[oid];
  const text = name === undefined ? undefined : stringText(value);
  return `${name ?? oid}=${text === undefined ? `#${value.whole.toString('hex').toUpperCase()}` : escapeValue(text)}`;
}

/** RFC 2253 section 2.4; beyond it, as OpenSSL does, control characters and all bytes beyond ASCII become `\XX`. */
function escapeValue(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  let escaped = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    const char = String.fromCharCode(byte);
    const edge = (i === 0 && (char === '#' || char === ' ')) || (i === bytes.length - 1 && char === ' ');
    if (byte < 0x20 || byte > 0x7e) escaped += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    else escaped += edge || ',+"\\<>;'.includes(char) ? `\\${char}` : char;
  }
  return escaped;
}
