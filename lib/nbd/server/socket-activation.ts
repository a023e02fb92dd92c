/** The first descriptor that is passed (SD_LISTEN_FDS_START). */
const first = 3;

/**
 * Listening sockets that the service manager has opened for this process (sd_listen_fds(3)): LISTEN_PID says for whom, LISTEN_FDS how many.
 * None where there is nothing for it.
 */
export function activatedSockets(env: NodeJS.ProcessEnv, pid: number): number[] {
  const { LISTEN_PID: forPid, LISTEN_FDS: count } = env;
  if (forPid !== String(pid) || !/^\d{1,3}$/.test(count ?? '')) return [];
  return Array.from({ length: Number(count) }, (_, index) => first + index);
}
