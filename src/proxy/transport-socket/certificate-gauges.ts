import { X509Certificate } from 'node:crypto';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import type { TlsMaterial } from './tls-material.ts';

/** `ssl.certificate.<name>.expiration_unix_time_seconds` of the first certificate of each chain and of the trusted CAs. */
export function setExpirationGauges({ certificates, validation }: TlsMaterial, scope: StatsScope): void {
  for (const { statName, certificateChain } of certificates) setGauge(scope, statName, certificateChain);
  if (validation !== undefined) setGauge(scope, validation.statName, validation.trustedCa);
}

function setGauge(scope: StatsScope, name: string, pem: string): void {
  if (pem === '') return;
  try {
    const seconds = new X509Certificate(pem).validToDate.getTime() / 1000;
    scope.gauge(`ssl.certificate.${name}.expiration_unix_time_seconds`).set(seconds);
  } catch {
    // No certificate that the library reads: the context can't be made of it either, and that is told.
  }
}
