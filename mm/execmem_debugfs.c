// SPDX-License-Identifier: GPL-2.0
/*
 * Files in debugfs: statistics, a map of each block, a list of chunks, and the
 * validator. Documentation/mm/execmem.rst describes their format.
 */

#include <linux/debugfs.h>
#include <linux/kallsyms.h>
#include <linux/seq_file.h>

#include "execmem_internal.h"

/* The address, or %NULL if the reader must not see kernel addresses */
static void *visible(struct seq_file *m, unsigned long addr)
{
	return kallsyms_show_value(m->file->f_cred) ? (void *)addr : NULL;
}

/* === Statistics =========================================================== */

static void show_blocks(struct seq_file *m, struct execmem_stats *stats)
{
	seq_printf(m, " fallbacks %lu not_huge %lu no_room %lu split %lu",
		   execmem_fallbacks(stats), stats->blocks[EXECMEM_NOT_HUGE],
		   stats->blocks[EXECMEM_NO_ROOM], stats->blocks[EXECMEM_SPLIT]);
	seq_printf(m, " small_start %lu", stats->blocks[EXECMEM_SMALL_START]);
}

/* Entries of the page table that map the blocks */
static unsigned long nr_mappings(struct execmem_pool *pool)
{
	size_t huge = pool->reserved - pool->reserved_base;

	return (pool->reserved_base >> PAGE_SHIFT) +
		(huge ? huge / HUGE_BLOCK : 0);
}

static void show_pool(struct seq_file *m, struct execmem_pool *pool)
{
	struct execmem_stats *stats = &pool->stats;

	/* Under the lock, so that the values are consistent */
	spin_lock(&pool->lock);
	seq_printf(m, "pool %s: reserved %zu used %zu free %zu largest_free %zu",
		   pool->name, pool->reserved, pool->used,
		   pool->reserved - pool->used, execmem_pool_max_free(pool));
	seq_printf(m, " chunks %lu blocks_huge %lu blocks_base %lu spare %d",
		   pool->nr_chunks, pool->nr_huge,
		   pool->nr_blocks - pool->nr_huge, !!pool->spare);
	seq_printf(m, " mappings %lu", nr_mappings(pool));
	seq_printf(m, " allocs %lu frees %lu fills %lu grown %lu enlarged %lu shrunk %lu",
		   stats->allocs, stats->frees, stats->fills, stats->grown,
		   stats->enlarged, stats->shrunk);
	show_blocks(m, stats);
	seq_printf(m, " failures %lu pred_flushes %lu syncs %lu",
		   stats->failures, stats->pred_flushes, stats->syncs);
	seq_printf(m, " attr_changes %lu attr_refusals %lu attr_restores %lu",
		   stats->attr_changes, stats->attr_refusals,
		   stats->attr_restores);
	seq_printf(m, " poisoned %lu leaked %lu", stats->poisoned,
		   stats->leaked);
	seq_printf(m, " resting %zu chunks_resting %lu rests %lu rests_cut %lu rest_writes %lu",
		   pool->resting, pool->nr_rests, stats->rests,
		   stats->rests_cut, stats->rest_writes);
	seq_printf(m, " held %zu chunks_held %lu holds %lu\n", pool->held,
		   pool->nr_holds, stats->holds);
	spin_unlock(&pool->lock);
}

/*
 * A merged type has no counters of its own: they would cost each allocation
 * something. So add up its chunks. The pool's lock is not held in between, since
 * there may be many.
 */
static void show_merged(struct seq_file *m, enum execmem_type type,
			struct execmem_pool *pool)
{
	unsigned long addr = 0, nr = 0;
	struct execmem_chunk chunk;
	size_t used = 0;

	while (execmem_pool_next(pool, addr, &chunk)) {
		if (chunk.type == type) {
			used += chunk.size;
			nr++;
		}
		addr = chunk.start + chunk.size;
		cond_resched();
	}
	seq_printf(m, "merged %s: %s used %zu chunks %lu\n",
		   execmem_type_name(type), pool->name, used, nr);
}

static int stats_show(struct seq_file *m, void *unused)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		/* The pool's line includes all types that are merged into it. */
		if (pool)
			show_pool(m, pool);
		else if (execmem_pool_of(type))
			show_merged(m, type, execmem_pool_of(type));
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/* === Map of the blocks ==================================================== */

/* Show a part of a block: not in use, tenths in use, or full. */
static char part_to_char(struct execmem_map *map, unsigned int part)
{
	unsigned long size = execmem_part_end(map, part) -
			     execmem_part_start(map, part);
	unsigned long used = map->used[part];

	if (!used)
		return '.';
	if (used >= size)
		return '#';
	return '0' + clamp(used * 10 / size, 1UL, 9UL);
}

static void show_map(struct seq_file *m, struct execmem_pool *pool,
		     struct execmem_map *map)
{
	char parts[EXECMEM_MAP_PARTS + 1] = "";

	for (int i = 0; i < EXECMEM_MAP_PARTS; i++)
		parts[i] = part_to_char(map, i);
	seq_printf(m, "%-20s 0x%px %8zuK %-4s %3lu%% %6lu [%s]\n", pool->name,
		   visible(m, map->start), map->size / 1024,
		   map->huge ? "huge" : "base",
		   map->nr_used * 100 / map->nr_units, map->nr_chunks, parts);
}

static int map_show(struct seq_file *m, void *unused)
{
	struct execmem_map map;

	seq_puts(m, "# type               block                   size leaf used chunks ");
	seq_puts(m, "[64 parts: . not in use, 1 to 9 tenths in use, # full]\n");
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		if (!pool || !pool->shared)
			continue;
		for (unsigned long addr = 0; execmem_pool_map(pool, addr, &map);
		     addr = map.start + map.size) {
			show_map(m, pool, &map);
			cond_resched();
		}
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(map);

/* === List of the chunks =================================================== */

static const char * const state_names[] = {
	[EXECMEM_FREE]		= "free",
	[EXECMEM_OPEN]		= "open",
	[EXECMEM_SEALED]	= "sealed",
	[EXECMEM_DYING]		= "dying",
	[EXECMEM_HELD]		= "held",
	[EXECMEM_RESTING]	= "resting",
};

/**
 * struct chunk_iter - position of a reader in the list of chunks
 * @type: type of the pool that the chunk is in, EXECMEM_TYPE_MAX at the end
 * @chunk: copy of the chunk to show
 *
 * Belongs to the open file. No lock is held between two reads, so chunks that
 * are allocated or freed in between may or may not be shown.
 */
struct chunk_iter {
	int type;
	struct execmem_chunk chunk;
};

/* Go to the first chunk that ends after @addr, or else to the next pool. */
static void *next_chunk(struct chunk_iter *iter, unsigned long addr)
{
	for (; iter->type < EXECMEM_TYPE_MAX; iter->type++, addr = 0) {
		struct execmem_pool *pool = execmem_own_pool(iter->type);

		if (pool && execmem_pool_next(pool, addr, &iter->chunk))
			return iter;
	}
	return NULL;
}

/* Continue where the previous read ended, except at position 0. */
static void *chunks_start(struct seq_file *m, loff_t *pos)
{
	struct chunk_iter *iter = m->private;

	if (!*pos) {
		iter->type = -1;
		return SEQ_START_TOKEN;
	}
	return iter->type < EXECMEM_TYPE_MAX ? iter : NULL;
}

static void *chunks_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct chunk_iter *iter = m->private;

	++*pos;
	if (v == SEQ_START_TOKEN) {
		iter->type = 0;
		return next_chunk(iter, 0);
	}
	return next_chunk(iter, iter->chunk.start + iter->chunk.size);
}

static void chunks_stop(struct seq_file *m, void *v)
{
}

static int chunks_show(struct seq_file *m, void *v)
{
	struct execmem_chunk *chunk = &((struct chunk_iter *)m->private)->chunk;

	if (v == SEQ_START_TOKEN)
		seq_puts(m, "# address                size type                 state   caller\n");
	else
		seq_printf(m, "0x%px %8zu %-20s %-7s %pS\n",
			   visible(m, chunk->start), chunk->size,
			   execmem_type_name(chunk->type),
			   state_names[chunk->state], chunk->caller);
	return 0;
}

static const struct seq_operations chunks_sops = {
	.start	= chunks_start,
	.next	= chunks_next,
	.stop	= chunks_stop,
	.show	= chunks_show,
};

static int chunks_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &chunks_sops, sizeof(struct chunk_iter));
}

static const struct file_operations chunks_fops = {
	.owner		= THIS_MODULE,
	.open		= chunks_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release_private,
};

/* === Validator ============================================================ */

/*
 * Verify all pools. The data is ignored; the write fails if a pool is damaged.
 */
static ssize_t check_write(struct file *file, const char __user *buf,
			   size_t len, loff_t *pos)
{
	int broken, err = 0;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		broken = pool ? execmem_pool_check(pool) : 0;
		if (!broken)
			continue;
		pr_err("execmem: invariant I%d of pool %s is violated\n", broken,
		       pool->name);
		err = -EUCLEAN;
	}
	return err ?: len;
}

static const struct file_operations check_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= check_write,
	.llseek	= noop_llseek,
};

static int __init execmem_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("execmem", NULL);

	debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	/* These show addresses, so they are for root only. */
	debugfs_create_file("map", 0400, dir, NULL, &map_fops);
	debugfs_create_file("chunks", 0400, dir, NULL, &chunks_fops);
	debugfs_create_file("check", 0200, dir, NULL, &check_fops);
	return 0;
}
late_initcall(execmem_debugfs_init);
