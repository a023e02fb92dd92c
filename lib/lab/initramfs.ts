import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildOnce } from './cache.js';
import { type CpioEntry, cpio } from './cpio.js';
import type { Kernel } from './kernel.js';
import { loadOrder, parseModulesDep, readModule } from './modules.js';
import { findTool } from './tools.js';

/** Modules by the step of init.sh that loads them. Whatever else is asked for, the kernel loads by itself. */
const steps = {
  /** Before anything can be mounted or said. */
  first: ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay'],
  /** What a booted Debian has loaded already, and what a bare AF_ALG socket needs. */
  second: [
    'aesni_intel',
    'sha1_ssse3',
    'sha256_ssse3',
    'sha512_ssse3',
    'algif_hash',
    'algif_skcipher',
    'algif_aead',
    'algif_rng',
  ],
  /** With the kernel's self-tests on. */
  third: ['virtio_crypto'],
};

const applets =
  'sh awk basename cat chroot cp dmesg head hostname insmod ip kill ln mkdir mkfifo mount poweroff readlink setsid sleep sync uname'.split(
    ' ',
  );

/** The kernel runs this, in the initramfs, when an algorithm or target is asked for; the host's modprobe reads every compression. */
const modprobe = '#!/bin/sh\nexec /bin/chroot /root /sbin/modprobe "$@"\n';

const folders = ['bin', 'sbin', 'dev', 'proc', 'sys', 'modules', 'host', 'upper', 'root'];

const initSource = fileURLToPath(new URL('../../../lib/lab/init.sh', import.meta.url));

/**
 * The initramfs for a kernel: busybox, the modules that the boot needs, and init. About 5 MB, built in a moment and kept beside the kernel; a
 * change of init or of the module lists gives another file.
 * @returns the path of the archive.
 */
export async function obtainInitramfs(kernel: Kernel, signal?: AbortSignal): Promise<string> {
  const init = readFileSync(initSource);
  const busybox = readFileSync(findTool('busybox'));
  const recipe = createHash('sha256').update(init).update(busybox);
  recipe.update(JSON.stringify([steps, applets, modprobe, folders]));
  const name = `initramfs-${recipe.digest('hex').slice(0, 16)}.cpio`;
  return buildOnce(kernel.folder, name, async (temporary) => {
    const dependencies = parseModulesDep(readFileSync(join(kernel.modules, 'modules.dep'), 'utf8'));
    const entries: CpioEntry[] = [
      ...folders.map((path) => ({ path, mode: 0o40755 })),
      { path: 'init', mode: 0o100755, data: init },
      { path: 'bin/busybox', mode: 0o100755, data: busybox },
      ...applets.map((applet) => ({ path: `bin/${applet}`, mode: 0o120777, data: Buffer.from('busybox') })),
      { path: 'sbin/modprobe', mode: 0o100755, data: Buffer.from(modprobe) },
    ];
    const loaded = new Set<string>();
    for (const [step, names] of Object.entries(steps)) {
      const paths = loadOrder(dependencies, names).filter((path) => !loaded.has(path));
      const list = paths.map((path) => `${loadedName(path)}\n`).join('');
      entries.push({ path: `modules/${step}`, mode: 0o100644, data: Buffer.from(list) });
      for (const path of paths) {
        const data = await readModule(kernel.modules, path, signal);
        entries.push({ path: `modules/${loadedName(path)}`, mode: 0o100644, data });
        loaded.add(path);
      }
    }
    writeFileSync(temporary, cpio(entries));
  });
}

function loadedName(path: string): string {
  return basename(path).replace(/\.xz$/, '');
}
