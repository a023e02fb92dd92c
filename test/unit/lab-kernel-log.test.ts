import { expect } from 'chai';
import { scanKernelLog } from '../../lib/lab/kernel-log.js';

const healthy = `[    0.000000] Linux version 6.1.0-56-amd64
[    1.341581] PCI: Using host bridge windows from ACPI; if necessary, use "pci=nocrs" and report a bug
[    1.810723] AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.
[    0.051000] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
[    1.735341] alg: self-tests disabled
[    2.1] debug: installing stall detector`;

const selfTest = `[    3.318645] alg: self-tests for rsa using virtio-crypto-rsa failed (rc=-22)
[    3.318705] ------------[ cut here ]------------
[    3.318718] alg: self-tests for rsa using virtio-crypto-rsa failed (rc=-22)
[    3.319015] WARNING: CPU: 0 PID: 109 at crypto/testmgr.c:5907 alg_test.cold+0x7c/0xf5
[    3.320159] Call Trace:
[    3.320566]  <TASK>
[    3.320904] ---[ end trace 0000000000000000 ]---`;

const warning = `[    4.0] ------------[ cut here ]------------
[    4.1] WARNING: CPU: 1 PID: 300 at crypto/algif_skcipher.c:100 skcipher_recvmsg+0x1/0x2
[    4.2] ---[ end trace 0000000000000000 ]---`;

describe('lab: kernel log', () => {
  it('finds nothing in the log of a healthy boot', () => {
    expect(scanKernelLog(healthy)).to.deep.equal([]);
  });

  for (const line of [
    'BUG: kernel NULL pointer dereference, address: 0000000000000008',
    'kernel BUG at crypto/af_alg.c:1!',
    'WARNING: possible circular locking dependency detected',
    'Oops: 0000 [#1] PREEMPT SMP NOPTI',
    'rcu: INFO: rcu_sched self-detected stall on CPU',
    'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
    'watchdog: BUG: soft lockup - CPU#0 stuck for 22s!',
    'Kernel panic - not syncing: Fatal exception',
    'general protection fault, probably for non-canonical address 0x1: 0000 [#1]',
    'INFO: task node:300 blocked for more than 120 seconds.',
    'refcount_t: underflow; use-after-free.',
  ])
    it(`finds: ${line}`, () => {
      expect(scanKernelLog(`${healthy}\r\n[    9.0] ${line}\r\n`)).to.deep.equal([`[    9.0] ${line}`]);
    });

  it('skips the report of a self-test that failed, and nothing after it', () => {
    expect(scanKernelLog(`${selfTest}\n${warning}`))
      .to.have.lengthOf(1)
      .and.to.match(/algif_skcipher/);
    expect(scanKernelLog(`${warning}\n${selfTest}`)).to.have.lengthOf(1);
  });

  it('reports a self-test report that is cut short, since what follows cannot be told apart', () => {
    expect(scanKernelLog(selfTest.split('\n').slice(0, -1).join('\n'))).to.have.lengthOf(2);
  });
});
