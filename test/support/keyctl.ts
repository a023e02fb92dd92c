import { spawnSync } from 'node:child_process';

/** Runs keyctl(1). @throws Error with what it says */
export function keyctl(args: string[], input: string | Uint8Array = ''): string {
  const { status, stdout, stderr, error } = spawnSync('keyctl', args, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`keyctl ${args[0]}: ${error?.message ?? stderr.trim().split('\n')[0]}`);
  return stdout.trim();
}

/** Puts a key into the keyring of the user, which everything he runs without a session keyring of its own looks into. Its serial. */
export function addKey(type: 'user' | 'logon', description: string, payload: Uint8Array): number {
  return Number(keyctl(['padd', type, description, '@u'], payload));
}

export function removeKey(serial: number): void {
  keyctl(['unlink', String(serial), '@u']);
}
