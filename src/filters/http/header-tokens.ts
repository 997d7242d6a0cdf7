/** Whether a comma-separated list has this token (lower-case), whatever the case it is written in. */
export function hasToken(list: string | undefined, token: string): boolean {
  return list?.split(',').some((item) => item.trim().toLowerCase() === token) === true;
}
