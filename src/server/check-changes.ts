import { create, equals, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { BootstrapSchema, type Bootstrap } from '../api/generated/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { NodeSchema } from '../api/generated/envoy/config/core/v3/base_pb.js';
import { ApiConfigSourceSchema } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { Problems, type Problem } from '../config/problem.ts';

const LATER = 'takes effect when the proxy is started anew';

/** Fields that are read once, at the start. */
const AT_START: readonly (readonly [
  field: string,
  part: (bootstrap: Bootstrap) => MessageInitShape<typeof BootstrapSchema>,
])[] = [
  ['admin', ({ admin }) => (admin && { admin }) ?? {}],
  ['cluster_manager', ({ clusterManager }) => (clusterManager && { clusterManager }) ?? {}],
  ['stats_config', ({ statsConfig }) => (statsConfig && { statsConfig }) ?? {}],
  ['stats_flush_interval', ({ statsFlushInterval }) => (statsFlushInterval && { statsFlushInterval }) ?? {}],
  ['stats_flush', ({ statsFlush }) => ({ statsFlush })],
];

/**
 * What a bootstrap that takes the place of another changes and can't. An error: the server would go on asking another
 * control plane than the one that is configured. `discovers`: it asks some already.
 */
export function checkChanges(former: Bootstrap, next: Bootstrap, discovers: boolean): readonly Problem[] {
  const problems = new Problems();
  if (discovers) {
    const { adsConfig } = next.dynamicResources ?? {};
    if (!same(ApiConfigSourceSchema, former.dynamicResources?.adsConfig, adsConfig))
      problems.at('dynamic_resources').at('ads_config').error("can't be changed while the proxy runs");
    if (!same(BootstrapSchema, authoritiesOf(former), authoritiesOf(next)))
      problems.at('config_sources').error("can't be changed while the proxy runs");
    if (!same(NodeSchema, former.node, next.node)) problems.at('node').error("can't be changed while the proxy runs");
    if (former.nodeContextParams.join() !== next.nodeContextParams.join())
      problems.unsupported('node_context_params', LATER);
    // The certificate authority among them is one of those that are asked.
    if (!same(BootstrapSchema, extensionsOf(former), extensionsOf(next)))
      problems.unsupported('bootstrap_extensions', LATER);
  }
  for (const [field, part] of AT_START)
    if (!same(BootstrapSchema, create(BootstrapSchema, part(former)), create(BootstrapSchema, part(next))))
      problems.unsupported(field, LATER);
  return problems.list;
}

const authoritiesOf = ({ configSources, defaultConfigSource }: Bootstrap): Bootstrap =>
  create(BootstrapSchema, { configSources, ...(defaultConfigSource !== undefined && { defaultConfigSource }) });

const extensionsOf = ({ bootstrapExtensions }: Bootstrap): Bootstrap =>
  create(BootstrapSchema, { bootstrapExtensions });

function same<Desc extends DescMessage>(
  desc: Desc,
  a: MessageShape<Desc> | undefined,
  b: MessageShape<Desc> | undefined,
): boolean {
  return a === undefined || b === undefined ? a === b : equals(desc, a, b);
}
