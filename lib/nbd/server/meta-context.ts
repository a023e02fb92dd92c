/** The one metadata context there is: which bytes are allocated. Its id is ours to choose. */
export const allocationContext = { id: 1, name: 'base:allocation' } as const;

/** Whether a query of NBD_OPT_LIST_META_CONTEXT (`lists`), which may be a namespace, or of NBD_OPT_SET_META_CONTEXT asks for it. */
export function asksForAllocation(query: string, lists: boolean): boolean {
  return query === allocationContext.name || (lists && query === 'base:');
}
