/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of the allocator for the tests.
 */
#ifndef _EXECMEM_TEST_KERNEL_H
#define _EXECMEM_TEST_KERNEL_H

#include "execmem_kernel.h"
#include "../../../mm/execmem_internal.h"

extern static_call_t *call_execmem_pred_flush;

/* Handler of the boot parameter execmem= */
int param_parse_execmem(char *arg);

bool kernel_boot(void);
void kernel_reset(void);
bool kernel_has_blocks(void);

#endif /* _EXECMEM_TEST_KERNEL_H */
