/** Exit statuses; 1 to 5 are veritysetup's. */
export const Exit = {
  done: 0,
  usage: 1,
  verification: 2,
  memory: 3,
  device: 4,
  busy: 5,
  unsupported: 6,
} as const;

/** What they say: the README and the manual page have this line. */
export const exitStatuses = [
  `${Exit.done} done`,
  `${Exit.usage} usage`,
  `${Exit.verification} verification or authentication failed`,
  `${Exit.memory} out of memory`,
  `${Exit.device} cannot open, wrong device, or the lab failed`,
  `${Exit.busy} busy or exists`,
  `${Exit.unsupported} the kernel lacks what was asked for`,
].join('; ');
