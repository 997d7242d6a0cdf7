import { readFileSync } from 'node:fs';
import type { DataSource } from '../../../api/generated/envoy/config/core/v3/base_pb.js';
import type { Problems } from '../../problem.ts';

/** The bytes of a core.v3.DataSource that is part of a secret. */
export interface SecretData {
  readonly bytes: Buffer;
  /** As error messages and `/certs` name it: the file, `<inline>`, or '' when there is nothing. */
  readonly path: string;
}

export const INLINE_PATH = '<inline>';

/**
 * Reads a source now. With `optional` a file that is missing counts as empty (Envoy's way with certificates and keys);
 * otherwise it is an error, as an empty one is.
 */
export function readSecretData(message: DataSource | undefined, optional: boolean, problems: Problems): SecretData {
  const source = message?.specifier;
  switch (source?.case) {
    case 'filename':
      return { bytes: readFile(source.value, optional, problems), path: source.value };
    case 'inlineString':
      return inline(Buffer.from(source.value, 'utf8'));
    case 'inlineBytes':
      return inline(Buffer.from(source.value));
    case 'environmentVariable': {
      const value = process.env[source.value];
      if (value === undefined) problems.error(`Environment variable doesn't exist: ${source.value}`);
      return inline(Buffer.from(value ?? '', 'utf8'));
    }
    default:
      return inline(Buffer.alloc(0));
  }
}

const inline = (bytes: Buffer): SecretData => ({ bytes, path: bytes.length === 0 ? '' : INLINE_PATH });

function readFile(path: string, optional: boolean, problems: Problems): Buffer {
  try {
    const bytes = readFileSync(path);
    if (bytes.length === 0 && !optional) problems.error(`file ${path} is empty`);
    return bytes;
  } catch {
    if (!optional) problems.error(`Invalid path: ${path}`);
    return Buffer.alloc(0);
  }
}
