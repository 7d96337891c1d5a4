// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that execmem_kernel.h and shim.h declare.
 */

#include <stdarg.h>

#include "execmem_kernel.h"

SHIM_LOCAL struct shim shim;
SHIM_LOCAL bool test_failed;

/* Number of messages that are printed for one test */
#define MAX_MESSAGES 10

static SHIM_LOCAL unsigned int nr_messages;

bool expect(bool ok, const char *file, int line, const char *what)
{
	if (ok)
		return true;
	if (!test_failed)
		nr_messages = 0;
	test_failed = true;
	if (nr_messages++ < MAX_MESSAGES)
		printf("  %s:%d: not true: %s\n", file, line, what);
	return false;
}

bool fails(struct fault *fault)
{
	bool fail;

	fault->calls++;
	fail = fault->at && (fault->calls == fault->at ||
			     (fault->from_then_on && fault->calls > fault->at));
	fault->hits += fail;
	return fail;
}

/* Will the next call fail? */
bool fails_next(struct fault *fault)
{
	struct fault copy = *fault;

	return fails(&copy);
}

void run_once(void (**callback)(void))
{
	void (*func)(void) = *callback;

	*callback = NULL;
	if (func)
		func();
}

/* === Random numbers ======================================================= */

static SHIM_LOCAL u64 random_state;

void random_seed(u64 seed)
{
	random_state = seed * 2 + 1;
}

/* A Weyl sequence; each value is mixed by multiplication. */
u64 random_u64(void)
{
	u64 x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ULL;
	x = (x ^ (x >> 29)) * 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

u32 get_random_u32_below(u32 ceil)
{
	if (!EXPECT(ceil))
		return 0;
	return (random_u64() >> 32) * ceil >> 32;
}

/* === Memory =============================================================== */

struct kmem_cache *shim_cache(size_t size, unsigned int flags)
{
	static struct kmem_cache cache;

	cache.size = size;
	return &cache;
}

static void *create(size_t size, int fill)
{
	void *object = malloc(size);

	might_sleep();
	if (!object)
		abort();
	memset(object, fill, size);
	shim.objects++;
	return object;
}

static void *allocate(size_t size, int fill)
{
	return fails(&shim.alloc) ? NULL : create(size, fill);
}

static void release(void *object)
{
	shim.objects--;
	sync_forget(object);
	free(object);
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	/* The contents of freed memory must not be used. */
	return allocate(cache->size, 0x5a);
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	release(object);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return allocate(size, 0);
}

void *kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return allocate(n * size, 0);
}

/* What must not fail is not counted, so that tests choose among the others. */
void *kmalloc(size_t size, gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL)
		return create(size, 0x5a);
	return allocate(size, 0x5a);
}

void kfree(void *object)
{
	if (object)
		release(object);
}

/* === Bitmaps ============================================================== */

unsigned long find_next_bit(const unsigned long *map, unsigned long size,
			    unsigned long offset)
{
	while (offset < size && !test_bit(offset, map)) {
		unsigned long rest = READ_ONCE(map[offset / BITS_PER_LONG]) >>
				     offset % BITS_PER_LONG;

		offset += rest ? __builtin_ctzl(rest) :
				 BITS_PER_LONG - offset % BITS_PER_LONG;
	}
	return min(offset, size);
}

unsigned long bitmap_weight(const unsigned long *map, unsigned long size)
{
	unsigned long weight = 0;

	for (unsigned long i = 0; i < BITS_TO_LONGS(size); i++) {
		unsigned long bits = map[i];

		/* The validator counts often, and nearly all words are zero. */
		if (!bits)
			continue;
		if (size - i * BITS_PER_LONG < BITS_PER_LONG)
			bits &= BIT(size % BITS_PER_LONG) - 1;
		weight += __builtin_popcountl(bits);
	}
	return weight;
}

unsigned long find_last_bit(const unsigned long *map, unsigned long size)
{
	for (unsigned long bit = size; bit; ) {
		unsigned long last = bit - 1;
		unsigned long rest = READ_ONCE(map[last / BITS_PER_LONG]) <<
				     (BITS_PER_LONG - 1 - last % BITS_PER_LONG);

		if (rest)
			return last - __builtin_clzl(rest);
		bit = round_down(last, BITS_PER_LONG);
	}
	return size;
}

/* === Time and work items ================================================== */

void shim_queue_work(struct delayed_work *work, unsigned long delay, bool mod)
{
	EXPECT(!shim.work || shim.work == work);
	shim.work = work;
	if (work->pending && !mod)
		return;
	work->pending = true;
	work->at = jiffies + delay;
}

/* Let time pass. The work item runs at its time, and again if it queues itself. */
void pass_time(unsigned long ticks)
{
	unsigned long end = jiffies + ticks;

	while (shim.work && shim.work->pending &&
	       time_after_eq(end, shim.work->at)) {
		shim.now = max(jiffies, shim.work->at);
		shim.work->pending = false;
		shim.work->work.func(&shim.work->work);
	}
	shim.now = end;
}

/* === Other functions ====================================================== */

int kstrtobool(const char *s, bool *res)
{
	if (strcmp(s, "on") && strcmp(s, "off"))
		return -EINVAL;
	*res = !strcmp(s, "on");
	return 0;
}

bool shim_warn(bool cond)
{
	shim.warnings += cond;
	return cond;
}

void *memchr_inv(const void *start, int c, size_t bytes)
{
	const unsigned char *mem = start;

	/* Nearly always, all bytes are the same. */
	if (!bytes || (*mem == c && !memcmp(mem, mem + 1, bytes - 1)))
		return NULL;
	while (*mem == c)
		mem++;
	return (void *)mem;
}

/* The compiler checks the format. The message is not printed. */
void shim_log(const char *fmt, ...)
{
}

void shim_report(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(shim.report, sizeof(shim.report), fmt, args);
	va_end(args);
	shim.reports++;
}
