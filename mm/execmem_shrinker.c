// SPDX-License-Identifier: GPL-2.0
/*
 * Give back the spare blocks of all pools: each some seconds after it became
 * empty, and all of them when memory is short. In the latter case, all rests end,
 * too.
 */

#include <linux/shrinker.h>
#include <linux/workqueue.h>

#include "execmem_internal.h"

/*
 * This runs in a worker, not in the task that reclaims memory. Changing
 * permissions takes locks under which other tasks allocate memory, and waits
 * for work items, so it could deadlock there.
 */
static void drain_pools(struct work_struct *work)
{
	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		if (!pool)
			continue;
		/* In this order, since the block of the chunk may be empty then. */
		execmem_pool_end_holds(pool);
		execmem_pool_end_rests(pool, EXECMEM_REST_ALL);
		execmem_pool_drain(pool);
	}
}

static DECLARE_WORK(drain_work, drain_pools);

static void expire_spares(struct work_struct *work);
static DECLARE_DELAYED_WORK(expire_work, expire_spares);

/* Give back the spares that are due, and run again when the next one is due. */
static void expire_spares(struct work_struct *work)
{
	unsigned long next = 0;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);
		unsigned long left = pool ? execmem_pool_expire(pool) : 0;

		if (left && (!next || left < next))
			next = left;
	}
	if (next)
		queue_delayed_work(system_unbound_wq, &expire_work, next);
}

/**
 * execmem_spare_kept - give back a new spare block later
 *
 * If the work item is queued already, it finds this spare, too, and queues itself
 * again for it.
 *
 * Context: Any. A pool's lock may be held.
 */
void execmem_spare_kept(void)
{
	queue_delayed_work(system_unbound_wq, &expire_work, EXECMEM_SPARE_TIME);
}

/*
 * Base pages in all spare blocks and in all chunks that rest. The latter become
 * free only if nothing else is in their blocks. A spare of sealed pages counts
 * as the smallest one, even if it is larger. The answer may be outdated, which is
 * harmless.
 */
static unsigned long count_pages(void)
{
	unsigned long pages = 0;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		if (!pool)
			continue;
		if (READ_ONCE(pool->spare))
			pages += pool->range->granularity >> PAGE_SHIFT;
		pages += DIV_ROUND_UP(READ_ONCE(pool->resting), PAGE_SIZE);
	}
	return pages;
}

static unsigned long execmem_shrink_count(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	return count_pages() ?: SHRINK_EMPTY;
}

/* Returns the pages that the worker is going to give back. */
static unsigned long execmem_shrink_scan(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	unsigned long pages = count_pages();

	if (!pages || !queue_work(system_unbound_wq, &drain_work))
		return SHRINK_STOP;
	return pages;
}

static int __init execmem_shrinker_init(void)
{
	struct shrinker *shrinker = shrinker_alloc(0, "execmem");

	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = execmem_shrink_count;
	shrinker->scan_objects = execmem_shrink_scan;
	shrinker_register(shrinker);
	return 0;
}
subsys_initcall(execmem_shrinker_init);
