import type { OpenFiles } from '../open-files.js';
import { type ImageOptions, openImage, openImageTree } from '../open-image.js';
import type { Tree } from '../parameters.js';
import { checkFecArea, type FecArea, type FecFiles, FecImage, fecLayout } from './fec-image.js';
import type { FecLayout } from './fec-layout.js';

export interface FecImageOptions extends ImageOptions {
  fec: FecArea & { path: string };
}

export interface OpenedImage {
  /** Its hasher is to be closed. */
  tree: Tree;
  layout: FecLayout;
  area: Required<FecArea>;
  sources: FecFiles;
}

/** Opens an image that has FEC data, and looks whether it can be one. @throws VerityError in veritysetup's words */
export async function openFecImage(
  files: OpenFiles,
  dataPath: string,
  hashPath: string,
  options: FecImageOptions,
  mode: 'r' | 'r+',
): Promise<OpenedImage> {
  const { parameters, dataFile, hashFile } = await openImage(files, dataPath, hashPath, options, mode);
  const area = checkFecArea(options.fec, parameters);
  const sources = { dataFile, hashFile, fecFile: await files.open(options.fec.path, mode) };
  const tree = openImageTree(parameters, options);
  try {
    const layout = fecLayout(tree, area, sources, hashFile.size);
    new FecImage(tree, layout, sources, area.offset).checkSize();
    return { tree, layout, area, sources };
  } catch (error) {
    tree.hasher.close();
    throw error;
  }
}
