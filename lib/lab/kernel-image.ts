import { readFileSync, writeFileSync } from 'node:fs';
import { runTool } from './run-tool.js';

const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

/** Where the compressed kernel lies in a bzImage, from its setup header (Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length). */
export function payload(image: Buffer): Buffer | undefined {
  if (image.length < 0x250 || image.toString('latin1', 0x202, 0x206) !== 'HdrS') return undefined;
  const start = ((image[0x1f1] || 4) + 1) * 512 + image.readUInt32LE(0x248);
  // The last four bytes are the uncompressed size, which the decompressor would take for garbage.
  return image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
}

/**
 * Replaces a compressed kernel by the ELF image inside, which QEMU can start as well: unpacking xz takes an emulated processor three
 * seconds, at every boot. Other compressions are quick there, and stay.
 */
export async function uncompressKernel(file: string, signal?: AbortSignal): Promise<void> {
  const compressed = payload(readFileSync(file));
  if (!compressed?.subarray(0, XZ.length).equals(XZ)) return;
  const kernel = await runTool('xz', ['-dc'], { signal, input: compressed });
  if (kernel.subarray(0, ELF.length).equals(ELF)) writeFileSync(file, kernel);
}
