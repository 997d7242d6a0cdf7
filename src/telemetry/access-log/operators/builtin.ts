import { addressOperators } from './addresses.ts';
import { coalesceOperators } from './coalesce.ts';
import { durationOperators } from './durations.ts';
import { grpcOperators } from './grpc.ts';
import { headerOperators } from './headers.ts';
import { metadataOperators } from './metadata.ts';
import type { OperatorTable } from './operator.ts';
import { processOperators } from './process.ts';
import { streamOperators } from './stream.ts';
import { timeOperators } from './time.ts';
import { tlsOperators } from './tls.ts';

/** Every command operator by name. */
export const builtinOperators: OperatorTable = {
  ...headerOperators,
  ...streamOperators,
  ...durationOperators,
  ...addressOperators,
  ...tlsOperators,
  ...metadataOperators,
  ...timeOperators,
  ...grpcOperators,
  ...processOperators,
  ...coalesceOperators,
};
