import { OUTRIGGER, ProxyProcess } from './proxy-process.ts';
import { findTool } from './tools.ts';

/**
 * The proxy that a conformance suite examines: Outrigger, or with OUTRIGGER_SUBJECT=envoy a real Envoy, to see what it
 * scores with the same configuration.
 */
export const subjectName = process.env['OUTRIGGER_SUBJECT'] === 'envoy' ? 'envoy' : 'outrigger';

/** Starts it with a bootstrap that has an admin server on port 0; see ProxyProcess. */
export function startSubject(config: object, args: readonly string[] = []): Promise<ProxyProcess> {
  const binary = subjectName === 'envoy' ? findTool('envoy') : OUTRIGGER;
  if (binary === undefined) throw new Error('envoy is not installed');
  return ProxyProcess.start(subjectName, binary, JSON.stringify(config), args);
}
