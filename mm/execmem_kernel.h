/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the allocator of dynamic kernel code takes from the rest of the kernel.
 *
 * This is the only header that tools/testing/execmem/ replaces to build the
 * allocator in user space. Its version has the same include guard.
 */
#ifndef _MM_EXECMEM_KERNEL_H
#define _MM_EXECMEM_KERNEL_H

#include <kunit/test-bug.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/rbtree_augmented.h>
#include <linux/rbtree_latch.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <trace/events/execmem.h>

/* The user space build counts the tree nodes that an operation looks at. */
static inline void execmem_count_visit(void) {}

/*
 * Report a caller's mistake. A test that makes one on purpose counts the
 * reports instead, so that a warning on the console of a test run is always a
 * failure.
 */
extern unsigned int execmem_test_reports;
extern bool execmem_test_running;

#define execmem_report(fmt, ...)					\
do {									\
	if (execmem_test_running && kunit_get_current_test())		\
		execmem_test_reports++;					\
	else								\
		WARN_ONCE(1, "execmem: " fmt, ##__VA_ARGS__);		\
} while (0)

#endif /* _MM_EXECMEM_KERNEL_H */
