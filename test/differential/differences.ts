/** Where Outrigger differs from Envoy on purpose, by the case's name, with the reason. Shown in docs/differences.md. */
export const DIFFERENCES: Readonly<Record<string, string>> = {};
