/* SPDX-License-Identifier: GPL-2.0 */
/* Included by linux/execmem.h, which needs nothing of it here. */
