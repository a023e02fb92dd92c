import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { runTool, ToolError } from './run-tool.js';

/**
 * Whether this host's own kernel has AF_ALG, without the addon: among the protocols it has now, or as a module that it would load.
 * @returns undefined when it has, else one line: cause and remedy.
 */
export async function hostLacksAfAlg(): Promise<string | undefined> {
  const remedy = "leave out --no-lab to run in the lab's kernel";
  if (!existsSync('/proc/crypto')) return `this host's kernel (${release()}) has no crypto API; ${remedy}`;
  if (/^ALG\b/m.test(readFileSync('/proc/net/protocols', 'latin1'))) return undefined;
  try {
    await runTool('modprobe', ['--dry-run', '--quiet', 'af_alg']);
    return undefined;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return `this host's kernel (${release()}) has no AF_ALG, nor a module for it; ${remedy}`;
  }
}
