import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { rbac } from '../../../src/filters/http/rbac.ts';
import { testFilter, type FilterTestOptions } from '../../../src/filters/test-kit.ts';

const any = [{ any: true }];
const withHeader = (name: string) => ({ permissions: [{ header: { name, presentMatch: true } }], principals: any });
const NAME = 'envoy.filters.http.rbac';

async function ask(options: FilterTestOptions, headers: Record<string, string> = {}) {
  using t = await testFilter(rbac, options);
  const { reply } = await t.request({ headers: { ':path': '/', ...headers } });
  if (reply !== undefined) await t.response({ headers: { ':status': '403' } });
  return { reply, metadata: t.info.dynamicMetadata.get(NAME), hint: t.info.dynamicMetadata.get('envoy.common'), t };
}

describe('rbac', () => {
  test('refuses in the words of Envoy, and says which policy it was', async () => {
    const rules = { action: 'DENY', policies: { 'ns[a] b': withHeader('x-a') } };
    const { reply, metadata, t } = await ask({ config: { rules } }, { 'x-a': '1' });
    expect(reply).toEqual({
      status: 403,
      body: 'RBAC: access denied',
      details: 'rbac_access_denied_matched_policy[ns[a]_b]',
    });
    expect(metadata).toEqual({ enforced_engine_result: 'denied', enforced_effective_policy_id: 'ns[a] b' });
    expect([t.stat('http.test.rbac.allowed'), t.stat('http.test.rbac.denied')]).toEqual([0, 1]);
    expect((await ask({ config: { rules } })).reply).toBeUndefined();
  });

  test('the override of a route replaces the rules, not the counters; an empty one turns them off', async () => {
    const config = { rules: {}, rulesStatPrefix: 'all' };
    const routeConfig = { rbac: { rules: { policies: { p: withHeader('x-a') } }, rulesStatPrefix: 'route_' } };
    const { reply, metadata, t } = await ask({ config, routeConfig }, { 'x-a': '1' });
    expect(reply).toBeUndefined();
    expect(metadata).toEqual({ route_enforced_engine_result: 'allowed', route_enforced_effective_policy_id: 'p' });
    expect(t.stat('http.test.rbac.all.allowed')).toBe(1);
    expect((await ask({ config })).reply?.status).toBe(403);
    expect((await ask({ config, routeConfig: {} })).reply).toBeUndefined();
  });

  test('shadow rules only tell', async () => {
    const config = {
      shadowRules: { action: 'DENY', policies: { p: withHeader('x-a') } },
      shadowRulesStatPrefix: 'dry_',
      trackPerRuleStats: true,
    };
    const { reply, metadata, t } = await ask({ config }, { 'x-a': '1' });
    expect(reply).toBeUndefined();
    expect(metadata).toEqual({ dry_shadow_engine_result: 'denied', dry_shadow_effective_policy_id: 'p' });
    expect(t.stat('http.test.rbac.dry_.shadow_denied')).toBe(1);
    expect(t.stat('http.test.rbac.dry_.policy.p.shadow_denied')).toBe(1);
  });

  test('LOG lets everything through and leaves a hint', async () => {
    const config = { rules: { action: 'LOG', policies: { p: withHeader('x-a') } } };
    expect((await ask({ config }, { 'x-a': '1' })).hint).toEqual({ access_log_hint: true });
    const { reply, hint } = await ask({ config });
    expect([reply, hint]).toEqual([undefined, { access_log_hint: false }]);
  });

  test.each([
    [{ matcher: {} }, 'matcher'],
    [
      { rules: { policies: { p: { permissions: any, principals: any, condition: { constExpr: {} } } } } },
      'rules.policies["p"].condition',
    ],
  ])('what it cannot enforce is refused: %j', async (config, path) => {
    const error: unknown = await testFilter(rbac, { config }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ path });
  });
});
