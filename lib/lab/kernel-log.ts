/** What a healthy kernel never says. */
const alarms: RegExp[] = [
  /\bBUG:/,
  /kernel BUG at/,
  /\bWARNING:/,
  /\bOops\b/,
  /\brcu\w*:?.*\bstall/i,
  /Kernel panic/,
  /general protection/i,
  /Call Trace:/,
  /\bKASAN\b/,
  /\bKFENCE:/,
  /\bUBSAN:/,
  /blocked for more than \d+ seconds/,
  /refcount_t:/,
  /unable to handle (kernel|page fault)/i,
];

/**
 * Reports that are no fault, as the line that starts them: everything from its `cut here` to its `end trace` is skipped. A self-test that
 * fails makes the kernel refuse the algorithm (ELIBBAD), with a WARNING; virtio_crypto's RSA does at every boot, since QEMU's has no raw padding.
 */
const harmlessReports: RegExp[] = [/\] alg: self-tests for \S+ using \S+ failed \(rc=/];

const cutHere = /-{4,}\[ cut here \]-{4,}/;
const endTrace = /---\[ end trace/;

/**
 * The lines of a kernel log that tell of a fault, in order.
 * @param log as dmesg or the console gives it; carriage returns are ignored.
 */
export function scanKernelLog(log: string): string[] {
  const lines = log.split(/\r?\n/);
  const hits: string[] = [];
  for (let n = 0; n < lines.length; n++) {
    const line = lines[n]!;
    const next = lines[n + 1] ?? '';
    if (cutHere.test(line) && harmlessReports.some((report) => report.test(next))) {
      const end = lines.findIndex((candidate, index) => index > n && endTrace.test(candidate));
      if (end > 0) n = end;
    } else if (alarms.some((alarm) => alarm.test(line))) hits.push(line.trim());
  }
  return hits;
}
