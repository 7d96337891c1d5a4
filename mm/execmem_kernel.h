/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that the execmem allocator uses from the rest of the kernel.
 *
 * tools/testing/execmem/ builds the allocator in user space. Its version of
 * this header has the same include guard. No other file of the allocator is
 * replaced there.
 */
#ifndef _MM_EXECMEM_KERNEL_H
#define _MM_EXECMEM_KERNEL_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/execmem.h>
#include <linux/ftrace.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/poison.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/rbtree_augmented.h>
#include <linux/rbtree_latch.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <trace/events/execmem.h>

/* Memory of the machine in bytes */
static inline unsigned long execmem_ram(void)
{
	return totalram_pages() << PAGE_SHIFT;
}

/*
 * Is there a checker that has to know about chunks? Without one, the functions
 * of execmem_debug.c do nothing for each chunk.
 */
#define EXECMEM_CHECKERS						\
	(IS_ENABLED(CONFIG_KASAN) || IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) || \
	 IS_ENABLED(CONFIG_LOCKDEP) || IS_ENABLED(CONFIG_DEBUG_OBJECTS_FREE))

/* In user space, this counts the tree nodes that an operation visits. */
static inline void execmem_count_visit(void) {}

bool execmem_report_expected(void);

/* Report an error of a caller by a warning, once. */
#define execmem_report(fmt, ...)					\
	WARN_ONCE(!execmem_report_expected(), "execmem: " fmt, ##__VA_ARGS__)

/* The same for an error that is reported each time */
#define execmem_report_each(fmt, ...)					\
	WARN(!execmem_report_expected(), "execmem: " fmt, ##__VA_ARGS__)

#endif /* _MM_EXECMEM_KERNEL_H */
