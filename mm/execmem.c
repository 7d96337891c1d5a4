// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2002 Richard Henderson
 * Copyright (C) 2001 Rusty Russell, 2002, 2010 Rusty Russell IBM.
 * Copyright (C) 2023 Luis Chamberlain <mcgrof@kernel.org>
 * Copyright (C) 2024 Mike Rapoport IBM.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include "execmem_internal.h"

/* The architecture's table; %NULL until it is known, and if it is invalid */
static struct execmem_info *execmem_info __ro_after_init;
static struct execmem_info default_execmem_info __ro_after_init;

/* One for each type; those of merged types are not used. */
static struct execmem_pool execmem_pools[EXECMEM_TYPE_MAX];

static const char * const type_names[EXECMEM_TYPE_MAX] = {
	[EXECMEM_MODULE_TEXT]	= "module_text",
	[EXECMEM_KPROBES]	= "kprobes",
	[EXECMEM_FTRACE]	= "ftrace",
	[EXECMEM_BPF]		= "bpf",
	[EXECMEM_MODULE_DATA]	= "module_data",
	[EXECMEM_BPF_CLASSIC]	= "bpf_classic",
	[EXECMEM_MODULE_INIT_TEXT] = "module_init_text",
	[EXECMEM_MODULE_RODATA]	= "module_rodata",
	[EXECMEM_MODULE_INIT_RODATA] = "module_init_rodata",
	[EXECMEM_MODULE_INIT_DATA] = "module_init_data",
	[EXECMEM_MODULE_RO_AFTER_INIT] = "module_ro_after_init",
};

const char *execmem_type_name(enum execmem_type type)
{
	return type_names[type];
}

/**
 * execmem_pool_of - find the pool that serves a type
 * @type: a valid type
 *
 * Context: Any.
 * Return: the pool, or %NULL if the architecture's table is not known yet or
 *	invalid
 */
struct execmem_pool *execmem_pool_of(enum execmem_type type)
{
	if (!execmem_info)
		return NULL;
	if (execmem_info->ranges[type].flags & EXECMEM_MERGE)
		type = execmem_info->ranges[type].mapto;
	return &execmem_pools[type];
}

static void *__execmem_alloc(enum execmem_type type, size_t size, size_t align,
			     void *caller)
{
	struct execmem_pool *pool;
	bool flush;
	void *p;

	if (!execmem_info || (unsigned int)type >= EXECMEM_TYPE_MAX ||
	    !is_power_of_2(align))
		return NULL;
	pool = execmem_pool_of(type);

	flush = execmem_info->ranges[type].flags & EXECMEM_FLUSH_PREDICTORS;
	p = execmem_pool_alloc_caller(pool, type, size, align, flush, caller);
	if (!p && size)
		pr_warn_ratelimited("no memory or no addresses left for %zu bytes of %s\n",
				    size, type_names[type]);
	return p;
}

void *execmem_alloc(enum execmem_type type, size_t size)
{
	return __execmem_alloc(type, size, 1, __builtin_return_address(0));
}

void *execmem_alloc_aligned(enum execmem_type type, size_t size, size_t align)
{
	return __execmem_alloc(type, size, align, __builtin_return_address(0));
}

static unsigned long to_addr(const void *ptr)
{
	return (unsigned long)kasan_reset_tag(ptr);
}

int execmem_fill(void *dst, const void *src, size_t len)
{
	might_sleep();
	return execmem_pool_fill(to_addr(dst), src, len, EXECMEM_FILL);
}

int execmem_fill_locked(void *dst, const void *src, size_t len)
{
	might_sleep();
	return execmem_pool_fill(to_addr(dst), src, len, EXECMEM_FILL_LOCKED);
}

int execmem_publish(void *dst, const void *src, size_t len)
{
	might_sleep();
	return execmem_pool_fill(to_addr(dst), src, len, EXECMEM_PUBLISH);
}

int execmem_seal(void *ptr)
{
	return execmem_pool_seal(to_addr(ptr));
}

size_t execmem_free(void *ptr)
{
	if (!ptr)
		return 0;
	/*
	 * This memory may be RO, and freeing RO memory in an interrupt is not
	 * supported by vmalloc. Overwriting it sleeps, too.
	 */
	if (WARN_ON_ONCE(in_interrupt()))
		return 0;
	might_sleep();
	return execmem_pool_free(to_addr(ptr));
}

/*
 * End the rests that have expired, and the holds of what nobody refers to any
 * more. Returns the time until this has to be done again.
 */
static unsigned long end_expired_rests(void)
{
	unsigned long delay = MAX_JIFFY_OFFSET;

	for (int type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_pool *pool = execmem_own_pool(type);

		if (!pool)
			continue;
		execmem_pool_end_holds(pool);
		execmem_pool_end_rests(pool, EXECMEM_REST_EXPIRED);
		delay = min(delay, execmem_rest_delay(pool));
	}
	return delay;
}

static void rest_worker(struct work_struct *work);
static DECLARE_DELAYED_WORK(rest_work, rest_worker);

/*
 * Queued when a chunk begins to rest or to be held. It queues itself until it
 * finds none. It does not see a chunk that another task is looking at, but that
 * task queues this work item itself, unless it gives the chunk back.
 */
static void rest_worker(struct work_struct *work)
{
	unsigned long delay = end_expired_rests();

	if (delay != MAX_JIFFY_OFFSET)
		mod_delayed_work(system_unbound_wq, &rest_work, delay);
}

/**
 * execmem_rest_kept - see to a chunk that rests or is held from now on
 *
 * Context: Any. A pool's lock may be held.
 */
void execmem_rest_kept(void)
{
	queue_delayed_work(system_unbound_wq, &rest_work, EXECMEM_REST_MAX);
}

void execmem_retire(void *ptr, const char *owner)
{
	if (!ptr || WARN_ON_ONCE(in_interrupt()))
		return;
	might_sleep();
	execmem_pool_retire(to_addr(ptr), owner);
}

bool execmem_is_shared(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool && pool->shared;
}

bool execmem_exceeds(const void *ptr, size_t size, size_t *offset)
{
	unsigned long addr = to_addr(ptr);
	struct execmem_area area;

	if (!execmem_lookup(addr, &area) || !execmem_is_shared(area.type))
		return false;
	*offset = addr - area.start;
	return size > area.size - *offset;
}

bool execmem_is_readonly(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool && pool->shared && pool->range->flags & EXECMEM_READONLY;
}

size_t execmem_unit_size(enum execmem_type type)
{
	struct execmem_pool *pool = execmem_pool_of(type);

	return pool ? execmem_unit(pool) : 0;
}

static bool execmem_on __initdata = true;
/* execmem=guard: each chunk of a shared pool gets a block of its own. */
static bool execmem_guard __initdata;

static int __init parse_execmem(char *arg)
{
	if (arg && !strcmp(arg, "guard")) {
		execmem_guard = true;
		return 0;
	}
	if (!arg || kstrtobool(arg, &execmem_on)) {
		pr_warn("execmem= takes on, off or guard\n");
		return -EINVAL;
	}
	return 0;
}
early_param("execmem", parse_execmem);

/* Why huge pages are not used, for the kernel log; %NULL if they are */
static const char *__init no_huge_reason(struct execmem_info *info)
{
	if (!IS_ENABLED(CONFIG_EXECMEM_HUGE))
		return "not configured";
	if (!execmem_on)
		return "execmem=off";
	if (!vmalloc_huge_allowed())
		return "nohugevmalloc";
	if (execmem_guard)
		return "execmem=guard";
	return info->no_huge;
}

/*
 * Change the description of a type for a kernel that does not use huge pages. A
 * merged type that has addresses of its own is not merged in this case.
 */
static void __init disable_huge(struct execmem_range *r)
{
	r->flags &= ~(EXECMEM_HUGE | EXECMEM_RANDOMIZE);
	if (r->start)
		r->flags &= ~EXECMEM_MERGE;
	if (r->flags & EXECMEM_HUGE_ONLY) {
		r->flags &= EXECMEM_KASAN_SHADOW;
		r->seal = NULL;
		r->prepare_seal = NULL;
		r->alignment = MODULE_ALIGN;
		r->granularity = 0;
	}
}

static void __init execmem_decide_on_huge(struct execmem_info *info)
{
	const char *reason = no_huge_reason(info);
	bool wanted = false;

	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		wanted |= info->ranges[i].flags & EXECMEM_HUGE;
		if (reason)
			disable_huge(&info->ranges[i]);
		if (execmem_guard)
			info->ranges[i].flags |= EXECMEM_GUARD;
	}
	if (!IS_ENABLED(CONFIG_EXECMEM_HUGE))
		return;
	if (wanted && reason)
		pr_info("no huge pages: %s\n", reason);
	else if (wanted)
		pr_info("using huge pages\n");
}

/* Check what mm/execmem_pool.c requires of a shared type. */
static bool __init shared_is_valid(struct execmem_range *r)
{
	if (!is_power_of_2(r->granularity))
		return false;
	if (r->flags & EXECMEM_HUGE && r->granularity < HUGE_BLOCK)
		return false;
	/* Without hooks, memcpy() and memset() would write to it, and fault. */
	if (r->flags & EXECMEM_READONLY && (!r->fill || !r->invalidate))
		return false;
	/* Sealing changes single pages, which would split a huge page. */
	if (r->seal && (r->flags & EXECMEM_HUGE || !r->invalidate ||
			!PAGE_ALIGNED(r->alignment)))
		return false;
	return true;
}

static bool __init range_is_valid(struct execmem_info *info, int type)
{
	struct execmem_range *r = &info->ranges[type];

	if (r->flags & EXECMEM_MERGE)
		return (unsigned int)r->mapto < EXECMEM_TYPE_MAX &&
			!(info->ranges[r->mapto].flags & EXECMEM_MERGE);
	if ((r->flags & EXECMEM_ROX) == EXECMEM_EXEC)
		return false;
	if (!r->start || !r->end || !pgprot_val(r->pgprot) ||
	    !is_power_of_2(r->alignment) || !PAGE_ALIGNED(r->granularity))
		return false;
	/* Without shared blocks, nothing would undo the seal. */
	if (r->granularity <= r->alignment)
		return !r->seal;
	return shared_is_valid(r);
}

static bool __init execmem_validate(struct execmem_info *info)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++) {
		if (range_is_valid(info, i))
			continue;
		pr_crit("invalid parameters for %s, module loading will fail\n",
			type_names[i]);
		return false;
	}

	return true;
}

/* The type that a missing type is merged into */
static const enum execmem_type relatives[EXECMEM_TYPE_MAX] __initconst = {
	/* Code like other BPF programs, but predictors are flushed for it */
	[EXECMEM_BPF_CLASSIC]		= EXECMEM_BPF,
	[EXECMEM_MODULE_INIT_TEXT]	= EXECMEM_MODULE_TEXT,
	[EXECMEM_MODULE_RODATA]		= EXECMEM_MODULE_DATA,
	[EXECMEM_MODULE_INIT_RODATA]	= EXECMEM_MODULE_DATA,
	[EXECMEM_MODULE_INIT_DATA]	= EXECMEM_MODULE_DATA,
	[EXECMEM_MODULE_RO_AFTER_INIT]	= EXECMEM_MODULE_DATA,
};

/* EXECMEM_MODULE_TEXT is 0, which also stands for no entry in relatives[]. */
static bool __init has_relative(int type)
{
	return type == EXECMEM_MODULE_INIT_TEXT || relatives[type];
}

static void __init merge_missing(struct execmem_info *info, int type)
{
	struct execmem_range *to = &info->ranges[relatives[type]];
	struct execmem_range *r = &info->ranges[type];

	r->flags = EXECMEM_MERGE;
	r->mapto = to->flags & EXECMEM_MERGE ? to->mapto : relatives[type];
	if (type == EXECMEM_BPF_CLASSIC)
		r->flags |= EXECMEM_FLUSH_PREDICTORS;
}

/*
 * Describe the types that the architecture's table omits. A type has a higher
 * number than the one it is merged into, which is therefore complete already.
 */
static void __init execmem_init_missing(struct execmem_info *info)
{
	struct execmem_range *default_range = &info->ranges[EXECMEM_DEFAULT];

	for (int i = EXECMEM_DEFAULT + 1; i < EXECMEM_TYPE_MAX; i++) {
		struct execmem_range *r = &info->ranges[i];

		if (r->start || r->flags & EXECMEM_MERGE)
			continue;
		if (has_relative(i)) {
			if (!WARN_ON_ONCE(relatives[i] >= i))
				merge_missing(info, i);
			continue;
		}
		*r = *default_range;
		if (i == EXECMEM_MODULE_DATA) {
			r->pgprot = PAGE_KERNEL;
			r->granularity = 0;
		}
	}
}

struct execmem_info * __weak execmem_arch_setup(void)
{
	return NULL;
}

static void __init __execmem_init(void)
{
	struct execmem_info *info = execmem_arch_setup();

	if (!info) {
		info = &default_execmem_info;
		info->ranges[EXECMEM_DEFAULT].start = VMALLOC_START;
		info->ranges[EXECMEM_DEFAULT].end = VMALLOC_END;
		info->ranges[EXECMEM_DEFAULT].pgprot = PAGE_KERNEL_EXEC;
		info->ranges[EXECMEM_DEFAULT].alignment = 1;
	}

	/*
	 * This must come first: execmem_init_missing() copies flags that it
	 * changes.
	 */
	execmem_decide_on_huge(info);
	execmem_init_missing(info);

	/*
	 * Without an MMU, the table's addresses and protections are not used.
	 */
	if (IS_ENABLED(CONFIG_MMU) && !execmem_validate(info))
		return;

	execmem_chunks_init();
	execmem_grow_init(execmem_pools, EXECMEM_TYPE_MAX);
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		execmem_pool_init(&execmem_pools[i], type_names[i], i,
				  &info->ranges[i]);

	execmem_info = info;
}

#ifdef CONFIG_ARCH_WANTS_EXECMEM_LATE
static int __init execmem_late_init(void)
{
	__execmem_init();
	return 0;
}
core_initcall(execmem_late_init);
#else
void __init execmem_init(void)
{
	__execmem_init();
}
#endif
