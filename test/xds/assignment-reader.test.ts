import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ClusterLoadAssignmentSchema } from '../../src/api/generated/envoy/config/endpoint/v3/endpoint_pb.js';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { MessageValidator } from '../../src/api/validate.ts';
import { AssignmentReader } from '../../src/xds/assignment-reader.ts';
import { splitAssignment } from '../../src/xds/split-assignment.ts';

const types = new TypeRegistry();
const validator = new MessageValidator(types);

beforeAll(() => types.load([ClusterLoadAssignmentSchema.typeName]));

const endpoint = fc
  .record({
    host: fc.constantFrom('10.0.0.1', '10.0.0.2', '::1'),
    port: fc.constantFrom(80, 81, 65_535),
    weight: fc.option(fc.constantFrom(1, 7), { nil: undefined }),
    status: fc.constantFrom(0, 1, 3),
  })
  .map(({ host, port, weight, status }) => ({
    hostIdentifier: {
      case: 'endpoint' as const,
      value: {
        address: {
          address: {
            case: 'socketAddress' as const,
            value: { address: host, portSpecifier: { case: 'portValue' as const, value: port } },
          },
        },
      },
    },
    healthStatus: status,
    ...(weight !== undefined && { loadBalancingWeight: weight }),
  }));
const assignment: fc.Arbitrary<MessageInitShape<typeof ClusterLoadAssignmentSchema>> = fc.record({
  clusterName: fc.constant('c'),
  endpoints: fc.array(
    fc.record({
      locality: fc.record({ zone: fc.constantFrom('', 'a', 'b'.repeat(200)) }),
      priority: fc.nat(2),
      lbEndpoints: fc.array(endpoint, { maxLength: 6 }),
    }),
    { maxLength: 3 },
  ),
  policy: fc.record({ weightedPriorityHealth: fc.boolean() }),
});
const serialised = (init: MessageInitShape<typeof ClusterLoadAssignmentSchema>): Uint8Array =>
  toBinary(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, init));

describe('AssignmentReader', () => {
  test('reads the same, whatever it remembers', () => {
    fc.assert(
      fc.property(fc.array(assignment, { minLength: 1, maxLength: 5 }), (inits) => {
        const reader = new AssignmentReader('c', { types, validator, largeBytes: 0 });
        for (const init of inits) {
          const bytes = serialised(init);
          expect(reader.read(bytes)).toEqual(new AssignmentReader('c', { types, validator }).read(bytes));
        }
      }),
      { numRuns: 200 },
    );
  });

  const one = (address: string, more: object = {}) => ({
    hostIdentifier: {
      case: 'endpoint' as const,
      value: {
        address: {
          address: {
            case: 'socketAddress' as const,
            value: { address, portSpecifier: { case: 'portValue' as const, value: 80 } },
          },
        },
      },
    },
    ...more,
  });
  const list = (...lbEndpoints: ReturnType<typeof one>[]) =>
    serialised({ clusterName: 'c', endpoints: [{ lbEndpoints }] });

  test('an endpoint that stays is the same object', () => {
    const reader = new AssignmentReader('c', { types, validator, largeBytes: 0 });
    const read = (bytes: Uint8Array) => {
      const result = reader.read(bytes);
      if (typeof result === 'string') throw new Error(result);
      return result.assignment.endpoints;
    };
    const [first, second] = read(list(one('10.0.0.1'), one('10.0.0.2')));
    const [moved, added] = read(list(one('10.0.0.2'), one('10.0.0.3')));
    expect(moved).toBe(second);
    expect(added).not.toBe(first);
    // What was refused changes nothing of what is known.
    expect(reader.read(list(one('10.0.0.2'), one('nowhere')))).toMatch(/malformed IP address: nowhere/);
    expect(read(list(one('10.0.0.2')))[0]).toBe(second);
  });

  test.each([
    ['by its rules', list(one('10.0.0.1'), one('10.0.0.2', { loadBalancingWeight: 0 })), /load_balancing_weight/],
    ['of another cluster', serialised({ clusterName: 'd' }), /Unexpected EDS cluster \(expecting c\): d/],
    ['cut short', list(one('10.0.0.1')).slice(0, -1), /Unable to parse the ClusterLoadAssignment c/],
  ])('says the same of what is bad %s', (_, bytes, text) => {
    const careful = new AssignmentReader('c', { types, validator, largeBytes: 0 }).read(bytes);
    expect(careful).toMatch(text);
    expect(careful).toBe(new AssignmentReader('c', { types, validator }).read(bytes));
  });
});

describe('splitAssignment', () => {
  test('parts what decodes to the same message', () => {
    fc.assert(
      fc.property(assignment, (init) => {
        const bytes = serialised(init);
        const { rest, endpoints } = splitAssignment(bytes)!;
        const message = fromBinary(ClusterLoadAssignmentSchema, bytes);
        expect(endpoints.map(({ length }) => length)).toEqual(message.endpoints.map((each) => each.lbEndpoints.length));
        for (const group of message.endpoints) group.lbEndpoints = [];
        expect(fromBinary(ClusterLoadAssignmentSchema, rest)).toEqual(message);
      }),
    );
  });

  test('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        splitAssignment(bytes);
      }),
    );
    expect(splitAssignment(Uint8Array.of(0x12, 0x05, 0x12))).toBeUndefined();
    expect(splitAssignment(Uint8Array.of(0x12, 0x02, 0x12, 0x05))).toBeUndefined();
    expect(splitAssignment(Uint8Array.of(0x80))).toBeUndefined();
  });
});
