// SPDX-License-Identifier: GPL-2.0
/*
 * The source files of the allocator, and access to their static functions.
 */

#include "backing.h"

#include "../../../mm/execmem_lookup.c"
#include "../../../mm/execmem_check.c"
#include "../../../mm/execmem_perm.c"
#include "../../../mm/execmem_rest.c"
#include "../../../mm/execmem_chunk.c"
#include "../../../mm/execmem_grow.c"
#include "../../../mm/execmem_pool.c"
#include "../../../mm/execmem.c"

/* Tell the model about new memory, which may be the end of a block. */
void shim_grow(unsigned long start, size_t size)
{
	struct execmem_block *block = block_at(start) ?: block_at(start - 1);

	if (EXPECT(block) && shim.mapped)
		shim.mapped(block, size);
}

/*
 * Initialize the allocator with the table that execmem_arch_setup() of tables.c
 * returns. Returns true if the table is valid.
 */
bool kernel_boot(void)
{
	call_execmem_pred_flush = hook_flush;
	execmem_init();
	return execmem_info;
}

/* Return to the state before boot, without boot parameters. */
void kernel_reset(void)
{
	execmem_info = NULL;
	execmem_on = true;
	execmem_guard = false;
	execmem_blocks = (struct latch_tree_root) {};
	execmem_pred_flush_enabled = false;
	atomic64_set(&last_seq, 0);
	atomic64_set(&flushed_seq, 0);
	rest_work.pending = false;
}

bool kernel_has_blocks(void)
{
	return !RB_EMPTY_ROOT(&execmem_blocks.tree[0]);
}
