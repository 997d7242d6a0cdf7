import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { StatusSchema, type Status } from '../../../api/generated/google/rpc/status_pb.js';
import type { Headers } from '../../headers.ts';
import type { MethodRule } from './method-table.ts';
import type { Transcoding } from './transcoding.ts';

/** The google.api.HttpBody of a response message. Throws on bytes that are no such message. */
export function httpBodyOf(rule: MethodRule, message: Uint8Array): { contentType: string; data: Uint8Array } {
  let inner = reflect(rule.method.output, fromBinary(rule.method.output, message));
  for (const field of rule.responseFields) inner = inner.get(field) as ReturnType<typeof reflect>;
  const valueOf = (name: string): unknown => inner.get(inner.fields.find((field) => field.name === name)!);
  return { contentType: valueOf('content_type') as string, data: valueOf('data') as Uint8Array };
}

/** A gRPC outcome as google.rpc.Status in JSON; undefined: its details can't be shown. */
export function statusJson({ printer }: Transcoding, code: number, headers: Headers): Buffer | undefined {
  const status = detailsIn(headers) ?? create(StatusSchema, { code, message: messageIn(headers) });
  try {
    return Buffer.from(printer!.print(StatusSchema, toBinary(StatusSchema, status)), 'utf8');
  } catch {
    return undefined;
  }
}

function detailsIn(headers: Headers): Status | undefined {
  const text = headers.get('grpc-status-details-bin');
  if (text === undefined || text === '') return undefined;
  try {
    return fromBinary(StatusSchema, Buffer.from(text, 'base64'));
  } catch {
    return undefined;
  }
}

function messageIn(headers: Headers): string {
  const text = headers.get('grpc-message') ?? '';
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
