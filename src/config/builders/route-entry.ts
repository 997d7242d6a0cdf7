import {
  DirectResponseActionSchema,
  RedirectActionSchema,
  RouteSchema,
  type DirectResponseAction,
  type RedirectAction,
  type Route,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { Problems } from '../problem.ts';
import type {
  DirectResponseActionModel,
  PathRewriteModel,
  RedirectActionModel,
  RouteMatchModel,
  RouteModel,
} from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildMetadata, readDataSource } from './common.ts';
import { buildRouteAction } from './route-action.ts';
import type { RouteBuild } from './route-context.ts';
import { buildRouteMatch } from './route-match.ts';
import type { InheritedPolicies } from './route-policies.ts';
import { buildRegexRewrite } from './route-rewrite.ts';
import { buildRouteScope, ROUTE_SCOPE_FIELDS } from './route-scope.ts';

const FIELDS = [
  ...ROUTE_SCOPE_FIELDS,
  'name',
  'match',
  'route',
  'redirect',
  'direct_response',
  'filter_action',
  'non_forwarding_action',
  'metadata',
  'decorator',
  'per_request_buffer_limit_bytes',
  'stat_prefix',
];

/** What a route is built with besides its message. */
export interface RouteEntryContext {
  readonly build: RouteBuild;
  readonly inherited: InheritedPolicies;
  readonly maxDirectResponseBodyBytes: number;
}

/** route.v3.Route. */
export function buildRoute(message: Route, context: RouteEntryContext, problems: Problems): RouteModel {
  reportUnsupported(RouteSchema, message, FIELDS, problems);
  const match = buildRouteMatch(message.match, problems.at('match'));
  return {
    ...buildRouteScope(message, context.build.context, problems),
    name: message.name,
    match,
    action: buildAction(message, match, context, problems),
    metadata: buildMetadata(message.metadata, problems.at('metadata')),
    statPrefix: message.statPrefix,
    decorator: message.decorator && {
      operation: message.decorator.operation,
      propagate: message.decorator.propagate ?? true,
    },
  };
}

function buildAction(
  message: Route,
  match: RouteMatchModel,
  { build, inherited, maxDirectResponseBodyBytes }: RouteEntryContext,
  problems: Problems,
): RouteModel['action'] {
  const { action, name: routeName, perRequestBufferLimitBytes: bufferLimitBytes } = message;
  switch (action.case) {
    case 'route':
      return buildRouteAction(
        action.value,
        { routeName, match, build, inherited, bufferLimitBytes },
        problems.at('route'),
      );
    case 'redirect':
      return buildRedirect(action.value, problems.at('redirect'));
    case 'directResponse':
      return buildDirectResponse(action.value, maxDirectResponseBodyBytes, problems.at('direct_response'));
    case 'filterAction':
      problems.at('filter_action').error('unsupported: filter_action is not implemented');
      break;
    case undefined:
      problems.error('an action is required');
      break;
    case 'nonForwardingAction':
  }
  return { kind: 'non-forwarding' };
}

/** By RedirectResponseCode's numbers. */
const REDIRECT_STATUSES = [301, 302, 303, 307, 308] as const;

function buildRedirect(message: RedirectAction, problems: Problems): RedirectActionModel {
  reportUnsupported(
    RedirectActionSchema,
    message,
    [
      'https_redirect',
      'scheme_redirect',
      'host_redirect',
      'port_redirect',
      'path_redirect',
      'prefix_rewrite',
      'regex_rewrite',
      'response_code',
      'strip_query',
    ],
    problems,
  );
  const scheme = message.schemeRewriteSpecifier;
  const path = message.pathRewriteSpecifier;
  let pathRewrite: PathRewriteModel | undefined;
  if (path.case === 'prefixRewrite' && path.value !== '') pathRewrite = { kind: 'prefix', value: path.value };
  if (path.case === 'regexRewrite')
    pathRewrite = { kind: 'regex', rewrite: buildRegexRewrite(path.value, problems.at('regex_rewrite')) };
  return {
    kind: 'redirect',
    status: REDIRECT_STATUSES[message.responseCode] ?? 301,
    httpsRedirect: scheme.case === 'httpsRedirect' && scheme.value,
    scheme: scheme.case === 'schemeRedirect' ? scheme.value : '',
    host: message.hostRedirect,
    port: message.portRedirect,
    path: path.case === 'pathRedirect' ? path.value : '',
    pathRewrite,
    stripQuery: message.stripQuery,
  };
}

function buildDirectResponse(
  message: DirectResponseAction,
  maxBodyBytes: number,
  problems: Problems,
): DirectResponseActionModel {
  reportUnsupported(DirectResponseActionSchema, message, ['status', 'body'], problems);
  const body = readDataSource(message.body, problems.at('body'));
  if (body.length > maxBodyBytes)
    problems.at('body').error(`response body size is ${body.length} bytes; maximum is ${maxBodyBytes}`);
  return { kind: 'direct-response', status: message.status, body: body.toString('latin1') };
}
