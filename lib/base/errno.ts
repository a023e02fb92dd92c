/** Linux's numbers (include/uapi/asm-generic/errno*.h): native results are these, negative. node:os does not name all of them. */
export const ENOENT = 2;
export const ENXIO = 6;
export const EBADF = 9;
export const ENOMEM = 12;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const ENOSYS = 38;
export const EBADMSG = 74;
export const ELIBBAD = 80;
export const EOPNOTSUPP = 95;
export const ECANCELED = 125;
export const ENOKEY = 126;
