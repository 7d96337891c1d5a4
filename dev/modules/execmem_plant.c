// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mistakes with chunks of executable memory, made on purpose: the checkers must
 * report each of them.
 *
 *	insmod execmem_plant.ko mistake=overflow|uaf|leak|timer|page|none
 *	insmod execmem_plant.ko page=ADDRESS	frees what mistake=page has forgotten
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/execmem.h>
#include <linux/hrtimer.h>
#include <linux/kprobes.h>
#include <linux/module.h>

#include "find_symbol.h"

#define SIZE	100	/* not a multiple of anything */

static char *mistake = "none";
module_param(mistake, charp, 0);
MODULE_PARM_DESC(mistake, "overflow, uaf, leak, timer, page or none");

static ulong page;
module_param(page, ulong, 0400);
MODULE_PARM_DESC(page, "address of the page forgotten, or of the one to free");

static void *(*mem_alloc)(enum execmem_type type, size_t size);
static void (*mem_free)(void *ptr);

static enum hrtimer_restart never(struct hrtimer *timer)
{
	return HRTIMER_NORESTART;
}

/* In the data of the module, so its memory is freed while the timer runs. */
static struct hrtimer forgotten;

static noinline void plant_timer(void)
{
	hrtimer_init(&forgotten, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	forgotten.function = never;
	hrtimer_start(&forgotten, ktime_set(1000, 0), HRTIMER_MODE_REL);
}

/* The tag of this allocation is in the module's data, and is in use until it is freed. */
static noinline void plant_page(void)
{
	page = __get_free_page(GFP_KERNEL);
}

/*
 * The last byte of a chunk is fine, the one behind it is not.
 *
 * KASAN prints what is around, and crashes where that has no shadow: not the
 * first bytes of a block. There is the second chunk of a block, the first one is
 * at a random place.
 */
static noinline void plant_overflow(void)
{
	u8 *chunk = mem_alloc(EXECMEM_BPF, SIZE);
	u8 *keep = mem_alloc(EXECMEM_BPF, SIZE);

	if (!keep || !chunk)
		return;
	pr_info("inside: %02x\n", READ_ONCE(chunk[SIZE - 1]));
	pr_info("behind: %02x\n", READ_ONCE(chunk[SIZE]));
	mem_free(chunk);
	mem_free(keep);
}

/* The other chunk keeps the block from being given back. */
static noinline void plant_uaf(void)
{
	u8 *chunk = mem_alloc(EXECMEM_BPF, SIZE);
	u8 *keep = mem_alloc(EXECMEM_BPF, SIZE);

	if (!keep || !chunk)
		return;
	pr_info("before: %02x\n", READ_ONCE(chunk[0]));
	mem_free(chunk);
	pr_info("after: %02x\n", READ_ONCE(chunk[0]));
	mem_free(keep);
}

static noinline void plant_leak(void)
{
	for (int i = 0; i < 10; i++)
		if (!mem_alloc(EXECMEM_BPF, SIZE))
			return;
}

static noinline void plant_none(void)
{
	mem_free(mem_alloc(EXECMEM_BPF, SIZE));
}

static int __init plant_init(void)
{
	mem_alloc = find_symbol("execmem_alloc");
	mem_free = find_symbol("execmem_free");
	if (!mem_alloc || !mem_free)
		return -ENOENT;

	if (!strcmp(mistake, "overflow"))
		plant_overflow();
	else if (!strcmp(mistake, "uaf"))
		plant_uaf();
	else if (!strcmp(mistake, "leak"))
		plant_leak();
	else if (!strcmp(mistake, "timer"))
		plant_timer();
	else if (!strcmp(mistake, "page"))
		plant_page();
	else if (page)
		free_page(page);
	else
		plant_none();
	return 0;
}

static void __exit plant_exit(void)
{
}

module_init(plant_init);
module_exit(plant_exit);
MODULE_DESCRIPTION("Mistakes with executable memory");
MODULE_LICENSE("GPL");
