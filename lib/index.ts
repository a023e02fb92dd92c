export { Batch, type BatchFields } from './alg/batch.js';
export { type Answer, type Engine, type EngineName, openAio, openLanes } from './alg/engine.js';
export { AlgError } from './alg/error.js';
export { Request } from './alg/request.js';
export { Tfm, type TfmInfo, type TfmOptions } from './alg/tfm.js';
