/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that the allocator uses from the rest of the kernel, for user
 * space.
 *
 * This replaces mm/execmem_kernel.h. It has the same include guard, so it must
 * be included before mm/execmem_internal.h. shim.h is the interface for tests.
 */
#ifndef _MM_EXECMEM_KERNEL_H
#define _MM_EXECMEM_KERNEL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kconfig.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/rbtree_augmented.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "shim.h"
/* One thread, or several: the include path decides. */
#include <sync.h>

#define CONFIG_EXECMEM		1
#define CONFIG_EXECMEM_HUGE	1
#define CONFIG_MMU		1

/* The model expects each call. */
#define EXECMEM_CHECKERS	1

static inline void ftrace_reuse_mem(unsigned long start, unsigned long size) {}

/* The message is not optional in the C of clang 14. */
#undef static_assert
#define static_assert(_cond)	_Static_assert(_cond, #_cond)

/* === Random numbers ======================================================= */

/*
 * 0 is an error here, since the kernel's function returns any 32-bit value
 * then.
 */
u32 get_random_u32_below(u32 ceil);

/* === Bitmaps ============================================================== */

unsigned long find_next_bit(const unsigned long *map, unsigned long size,
			    unsigned long offset);
unsigned long bitmap_weight(const unsigned long *map, unsigned long size);
unsigned long find_last_bit(const unsigned long *map, unsigned long size);

/* === Memory =============================================================== */

struct kmem_cache {
	size_t size;
};

#define SLAB_PANIC		0
#define SLAB_NOLEAKTRACE	0
#define KMEM_CACHE(_struct, _flags)					\
	shim_cache(sizeof(struct _struct), _flags)

struct kmem_cache *shim_cache(size_t size, unsigned int flags);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *object);
void *kzalloc(size_t size, gfp_t gfp);
void *kmalloc(size_t size, gfp_t gfp);
void *kvcalloc(size_t n, size_t size, gfp_t gfp);
void kfree(void *object);
#define kvfree(_object)		kfree(_object)

typedef struct {
	unsigned long pgprot;
} pgprot_t;

#define pgprot_val(_prot)	((_prot).pgprot)
#define PAGE_KERNEL		((pgprot_t) { 1 })
#define PAGE_KERNEL_EXEC	((pgprot_t) { 2 })

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_ALIGN(_addr)	ALIGN(_addr, PAGE_SIZE)
#define PAGE_ALIGNED(_addr)	IS_ALIGNED((unsigned long)(_addr), PAGE_SIZE)

/* The test's address space, see backing.c. */
#define VMALLOC_SIZE		(1UL << 29)
extern unsigned long vmalloc_start;

#define VMALLOC_START		vmalloc_start
#define VMALLOC_END		(vmalloc_start + VMALLOC_SIZE)

#define kasan_reset_tag(_addr)	((void *)(_addr))

static inline unsigned long execmem_ram(void)
{
	return shim.ram;
}

/* === Time and work items: tests let time pass, see shim.h ================= */

#define HZ			100
#define MAX_JIFFY_OFFSET	((LONG_MAX >> 1) - 1)
#define jiffies			(shim.now)
#define jiffies_to_msecs(_j)	((_j) * 1000 / HZ)
#define time_before(_a, _b)	((long)((_a) - (_b)) < 0)
#define time_after_eq(_a, _b)	((long)((_a) - (_b)) >= 0)

struct work_struct {
	void (*func)(struct work_struct *work);
};

/**
 * struct delayed_work - a work item
 * @work: the function to call
 * @pending: true if it will be called
 * @at: when it will be called, in jiffies
 */
struct delayed_work {
	struct work_struct work;
	bool pending;
	unsigned long at;
};

#define DECLARE_DELAYED_WORK(_name, _func)				\
	struct delayed_work _name = { .work = { .func = _func } }
#define queue_delayed_work(_wq, _work, _delay)				\
	shim_queue_work(_work, _delay, false)
#define mod_delayed_work(_wq, _work, _delay)				\
	shim_queue_work(_work, _delay, true)

void shim_queue_work(struct delayed_work *work, unsigned long delay, bool mod);

/* === Other functions ====================================================== */

#undef __ro_after_init
#define __ro_after_init

#define max3(_a, _b, _c)	max(max(_a, _b), _c)

/* The test calls the handlers of boot parameters itself. */
#undef early_param
#define early_param(_name, _func)					\
int param_##_func(char *arg)						\
{									\
	return _func(arg);						\
}									\
struct param_##_func

int kstrtobool(const char *s, bool *res);

/* LeakSanitizer scans all memory and needs no annotations. */
static inline void kmemleak_ignore(const void *ptr)
{
}

static inline void kmemleak_not_leak(const void *ptr)
{
}

#define POISON_FREE		0x6b

void *memchr_inv(const void *start, int c, size_t bytes);

/* That of tools/include has no size. */
#undef strscpy
static inline void strscpy(char *dst, const char *src, size_t size)
{
	snprintf(dst, size, "%s", src);
}

#define in_interrupt()		(shim.in_interrupt)
#define vmalloc_huge_allowed()	(!shim.nohugevmalloc)

#define WARN_ON_ONCE(_cond)	shim_warn(_cond)
bool shim_warn(bool cond);

__printf(1, 2)
void shim_log(const char *fmt, ...);
__printf(1, 2)
void shim_report(const char *fmt, ...);

#define pr_info(_fmt, ...)		shim_log(pr_fmt(_fmt), ##__VA_ARGS__)
#define pr_warn(_fmt, ...)		shim_log(pr_fmt(_fmt), ##__VA_ARGS__)
#define pr_crit(_fmt, ...)		shim_log(pr_fmt(_fmt), ##__VA_ARGS__)
#define pr_warn_ratelimited(_fmt, ...)	shim_log(pr_fmt(_fmt), ##__VA_ARGS__)
#define execmem_report(_fmt, ...)	shim_report(_fmt, ##__VA_ARGS__)
#define execmem_report_each(_fmt, ...)	shim_report(_fmt, ##__VA_ARGS__)

static inline void execmem_count_visit(void)
{
	shim.visits++;
}

#define trace_execmem_alloc(...)	((void)0)
#define trace_execmem_fill(...)		((void)0)
#define trace_execmem_free(...)		((void)0)
/* The model learns of new memory here, before a chunk is taken from it. */
#define trace_execmem_grow(_type, _start, _size, _huge)			\
	shim_grow(_start, _size)
void shim_grow(unsigned long start, size_t size);
#define trace_execmem_shrink(...)	((void)0)

#include "../../../include/linux/execmem.h"
#include "../../../include/linux/rbtree_latch.h"

#endif /* _MM_EXECMEM_KERNEL_H */
