import type { Permission } from '../../api/generated/envoy/config/rbac/v3/rbac_pb.js';
import { ConfigError } from '../config-type.ts';
import {
  allOf,
  anyOf,
  headerRule,
  ipRule,
  metadataRule,
  not,
  pathRule,
  stringTest,
  type RbacRule,
} from './rbac-rule.ts';

/** Compiles a config.rbac.v3.Permission: what is asked for. Throws ConfigError, also on what we lack: it guards something. */
export function compilePermission({ rule }: Permission): RbacRule {
  switch (rule.case) {
    case 'andRules':
      return allOf(rule.value.rules.map(compilePermission));
    case 'orRules':
      return anyOf(rule.value.rules.map(compilePermission));
    case 'notRule':
      return not(compilePermission(rule.value));
    case 'any':
      return () => true;
    case 'header':
      return headerRule(rule.value);
    case 'urlPath':
      return pathRule(rule.value);
    case 'destinationIp':
      return ipRule(rule.value, ({ connection }) => connection.localIp);
    case 'destinationPort': {
      const port = rule.value;
      return ({ connection }) => connection.localPort === port;
    }
    case 'destinationPortRange': {
      const { start, end } = rule.value;
      return ({ connection }) => connection.localPort >= start && connection.localPort < end;
    }
    case 'metadata':
      return metadataRule(rule.value);
    case 'requestedServerName': {
      const test = stringTest(rule.value);
      return ({ connection }) => test(connection.requestedServerName);
    }
    case 'matcher':
      throw new ConfigError(`unsupported: the RBAC matcher '${rule.value.name}' is not implemented`, 'matcher');
    case 'uriTemplate':
      throw new ConfigError('unsupported: URI templates are not implemented in RBAC', 'uri_template');
    case undefined:
      throw new ConfigError('a permission needs a rule');
  }
}
