import type { TransformOptions } from 'node:stream';

/** Options of the stream that a hash or cipher is: node:stream's. */
export interface StreamOptions
  extends Pick<
    TransformOptions,
    | 'highWaterMark'
    | 'readableHighWaterMark'
    | 'writableHighWaterMark'
    | 'encoding'
    | 'defaultEncoding'
    | 'emitClose'
    | 'autoDestroy'
    | 'allowHalfOpen'
  > {
  /** Destroys the stream when given. */
  signal?: AbortSignal;
}

const names = [
  'highWaterMark',
  'readableHighWaterMark',
  'writableHighWaterMark',
  'encoding',
  'defaultEncoding',
  'emitClose',
  'autoDestroy',
  'allowHalfOpen',
] as const;

/** Those of the options that are the stream's. */
export function transformOptions(options: StreamOptions): TransformOptions {
  return Object.fromEntries(names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
}
