import { grpcStatusOf } from '../../../filters/grpc-status.ts';
import type { FormatContext } from '../access-log.ts';
import { plain, type Operator, type OperatorTable } from './operator.ts';

/** gRPC status names by code, as %GRPC_STATUS% prints them, and in SNAKE_STRING form. */
const names: readonly (readonly [camel: string, snake: string])[] = [
  ['OK', 'OK'],
  ['Canceled', 'CANCELLED'],
  ['Unknown', 'UNKNOWN'],
  ['InvalidArgument', 'INVALID_ARGUMENT'],
  ['DeadlineExceeded', 'DEADLINE_EXCEEDED'],
  ['NotFound', 'NOT_FOUND'],
  ['AlreadyExists', 'ALREADY_EXISTS'],
  ['PermissionDenied', 'PERMISSION_DENIED'],
  ['ResourceExhausted', 'RESOURCE_EXHAUSTED'],
  ['FailedPrecondition', 'FAILED_PRECONDITION'],
  ['Aborted', 'ABORTED'],
  ['OutOfRange', 'OUT_OF_RANGE'],
  ['Unimplemented', 'UNIMPLEMENTED'],
  ['Internal', 'INTERNAL'],
  ['Unavailable', 'UNAVAILABLE'],
  ['DataLoss', 'DATA_LOSS'],
  ['Unauthenticated', 'UNAUTHENTICATED'],
];

/** True for `application/grpc` and `application/grpc+...`. */
export function isGrpcRequest(context: FormatContext): boolean {
  const type = context.requestHeaders?.get('content-type');
  return type !== undefined && type.startsWith('application/grpc') && (type.length === 16 || type[16] === '+');
}

/** The status of a gRPC response: trailers, else headers, else by its HTTP status; -1 when it is not a number. */
export function grpcStatus(context: FormatContext): number | undefined {
  const text = context.responseTrailers?.get('grpc-status') ?? context.responseHeaders?.get('grpc-status');
  if (text !== undefined && text !== '') return /^[0-9]+$/.test(text) ? Number(text) : -1;
  return context.info.responseCode === 0 ? undefined : grpcStatusOf(context.info.responseCode);
}

const status: Operator = {
  params: 'optional',
  length: false,
  compile(args) {
    if (!['', 'CAMEL_STRING', 'SNAKE_STRING', 'NUMBER'].includes(args))
      throw new Error('GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: ' + args);
    const form = args === 'SNAKE_STRING' ? 1 : 0;
    return (context) => {
      const code = isGrpcRequest(context) ? grpcStatus(context) : undefined;
      if (code === undefined || args === 'NUMBER') return code;
      return names[code]?.[form] ?? String(code);
    };
  },
};

/** Operators about gRPC; missing unless the request was one. */
export const grpcOperators: OperatorTable = {
  GRPC_STATUS: status,
  GRPC_STATUS_NUMBER: plain((context) => (isGrpcRequest(context) ? grpcStatus(context) : undefined)),
};
