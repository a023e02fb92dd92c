/** Of how many bytes of data so many are done. */
export type OnProgress = (done: number, total: number) => void;
