import { readSecretText } from '../base/secret.js';

/** The table that an option gives: itself, or the file behind @. @throws the file's error */
export function tableText(value: string): string {
  return value.startsWith('@') ? readSecretText(value.slice(1)) : value;
}
