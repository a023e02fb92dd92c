import type { Command } from './command.js';

/** In the order of the overview. A command's modules are loaded when it is called: each takes milliseconds, and most commands need few. */
export const commands: Record<string, () => Promise<Command>> = {
  info: async () => (await import('./info.js')).info,
  verity: async () => (await import('./verity/verity.js')).verity,
  crypt: async () => (await import('./crypt.js')).crypt,
  luks: async () => (await import('./luks/luks.js')).luks,
  dm: async () => (await import('./dm.js')).dm,
  serve: async () => (await import('./serve/serve.js')).serveCommand,
  hash: async () => (await import('./hash.js')).hash,
  encrypt: async () => (await import('./seal.js')).encrypt,
  decrypt: async () => (await import('./seal.js')).decrypt,
  rng: async () => (await import('./rng.js')).rng,
  compare: async () => (await import('./compare/compare.js')).compare,
  lab: async () => (await import('./lab.js')).lab,
  completion: async () => (await import('./completion.js')).completion,
  man: async () => (await import('./man.js')).man,
};

export function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(commands).map((load) => load()));
}

/** The words that a command may begin with: its verbs, or as its usage line has them: 'read|write ...'. */
export function verbsOf({ usage, verbs }: Command): string[] {
  if (verbs) return Object.keys(verbs);
  const [first = ''] = usage.split(' ');
  return first.split('|').filter((word) => /^[a-z]+$/.test(word));
}
