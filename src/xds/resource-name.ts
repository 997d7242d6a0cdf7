const decoder = new TextDecoder();

/**
 * The name of a serialised resource. Every resource type that can be discovered has it as its field 1, so no schema is
 * needed, and a resource that can't be decoded still has a name for the error. '' if there is none.
 */
export function resourceName(bytes: Uint8Array): string {
  let at = 0;
  let name = '';
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= bytes.length) return NaN;
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === 2) {
      const length = varint();
      const end = at + length;
      if (!(end <= bytes.length)) return name;
      // The last one counts, as protobuf has it.
      if (Math.floor(tag / 8) === 1) name = decoder.decode(bytes.subarray(at, end));
      at = end;
    } else if (wireType === 0) {
      if (Number.isNaN(varint())) return name;
    } else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else return name;
  }
  return name;
}
