/**
 * The longest request, in bytes, that a driver can take, where that is less than a socket takes. Longer ones do not fail:
 * they stop the driver for good.
 *
 * virtio_crypto: a request takes a descriptor for each page of source and result and three more, all in a ring of 64 without
 * indirect descriptors (QEMU's builtin backend). One that does not fit is put back by crypto_engine and tried again for
 * ever. Measured: 120 KiB pass, 124 KiB never come back. A multiple of every block size, so that chunks may be this long.
 */
export function driverLimit(driver: string | undefined): number | undefined {
  return driver?.startsWith('virtio_crypto') ? 120 * 1024 : undefined;
}
