/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_BACKING_H
#define _EXECMEM_TEST_BACKING_H

#include "kernel.h"

/* Contents of free text, and of free memory without an invalidate hook */
#define TRAP_BYTE	0xcc
#define SEAL_BYTE	0x5e
#define ZERO_BYTE	0x00

/* Contents of newly mapped pages; nothing may depend on it. */
#define STALE_BYTE	0xa5

void backing_start(void);
unsigned long backing_pages(void);
bool backing_is(unsigned long start, size_t size, int byte);

int hook_fill(void *dst, const void *src, size_t len);
int hook_fill_locked(void *dst, const void *src, size_t len);
int hook_invalidate(void *dst, size_t len);
int hook_seal(void *start, size_t len);
int hook_restore(void *start, size_t len, enum execmem_range_flags flags);
void hook_trap(void *dst, size_t len);
void hook_flush(void);
void hook_sync(void);

#endif /* _EXECMEM_TEST_BACKING_H */
