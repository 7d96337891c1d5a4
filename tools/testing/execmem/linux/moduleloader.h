/* SPDX-License-Identifier: GPL-2.0 */
/* linux/execmem.h includes this, but uses nothing of it in user space. */
