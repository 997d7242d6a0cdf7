/** `type.googleapis.com/a.b.C` -> `a.b.C`. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
