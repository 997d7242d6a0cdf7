// What npm's scripts need before they run TypeScript: a Node.js that does, and the generated API. Says in one line what
// is missing. Plain JavaScript, for a Node.js of any age.
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
const generated = new URL('../src/api/generated/message-index.json', import.meta.url);
let missing;
if (major < 22 || (major === 22 && minor < 19))
  missing = `this is Node.js ${process.versions.node}, and 22.19 or newer is needed: run npm ci without --ignore-scripts, which brings one, or install one`;
else if (!existsSync(generated)) missing = 'the API is not generated yet: run npm run generate';
if (missing !== undefined) {
  console.error(`outrigger: ${missing}`);
  process.exit(1);
}
