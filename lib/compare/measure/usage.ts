/** What this process has used: its threads' time, not that of the kernel's own threads. */
export interface Usage {
  cpuSeconds: number;
  /** The process waited. */
  voluntarySwitches: number;
  /** The scheduler took the processor away. */
  involuntarySwitches: number;
}

export const noUsage: Usage = { cpuSeconds: 0, voluntarySwitches: 0, involuntarySwitches: 0 };

export function readUsage(): Usage {
  const { userCPUTime, systemCPUTime, voluntaryContextSwitches, involuntaryContextSwitches } = process.resourceUsage();
  return {
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    voluntarySwitches: voluntaryContextSwitches,
    involuntarySwitches: involuntaryContextSwitches,
  };
}

/** a + sign * b. */
export function addUsage(a: Usage, b: Usage, sign = 1): Usage {
  return {
    cpuSeconds: a.cpuSeconds + sign * b.cpuSeconds,
    voluntarySwitches: a.voluntarySwitches + sign * b.voluntarySwitches,
    involuntarySwitches: a.involuntarySwitches + sign * b.involuntarySwitches,
  };
}
