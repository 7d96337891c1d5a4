// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics of execmem in debugfs.
 */

#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "execmem_internal.h"

static void show_pool(struct seq_file *m, struct execmem_pool *pool)
{
	size_t largest_free = execmem_pool_largest_free(pool);
	struct execmem_stats *stats = &pool->stats;

	/* Under the lock, so that the values add up */
	spin_lock(&pool->lock);
	seq_printf(m, "pool %s: reserved %zu used %zu free %zu largest_free %zu",
		   pool->name, pool->reserved, pool->used,
		   pool->reserved - pool->used, largest_free);
	seq_printf(m, " chunks %lu blocks_huge %lu blocks_4k %lu spare %d",
		   pool->nr_chunks, pool->nr_huge,
		   pool->nr_blocks - pool->nr_huge, !!pool->spare);
	seq_printf(m, " allocs %lu frees %lu fills %lu grown %lu shrunk %lu",
		   stats->allocs, stats->frees, stats->fills, stats->grown,
		   stats->shrunk);
	seq_printf(m, " fallbacks %lu failures %lu pred_flushes %lu\n",
		   stats->fallbacks, stats->failures, stats->pred_flushes);
	spin_unlock(&pool->lock);
}

static int stats_show(struct seq_file *m, void *unused)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_pool_of(type);

		/* Merged types have their numbers in the pool they use. */
		if (pool && pool->name == execmem_type_name(type))
			show_pool(m, pool);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init execmem_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("execmem", NULL);

	debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	return 0;
}
late_initcall(execmem_debugfs_init);
