/** Decodes `%hh`, a character a byte, as Envoy does: what is no escape stays as it is, and so does `+`. */
export function percentDecode(text: string): string {
  return text.includes('%')
    ? text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text;
}
