const nonAscii = /[^\0-\x7f]/;

/**
 * Text from a config as it stands in header values and paths: its UTF-8 bytes, one character each (latin1). ASCII comes
 * back as it is.
 */
export function wireText(text: string): string {
  return nonAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** The reverse: what the bytes mean as UTF-8. */
export function fromWireText(text: string): string {
  return nonAscii.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text;
}
