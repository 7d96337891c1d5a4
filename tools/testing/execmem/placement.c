// SPDX-License-Identifier: GPL-2.0
/*
 * Placement of chunks: three policies under the same load.
 *
 * mm/execmem_pool.c places chunks at the lowest address that fits. This
 * compares it with two other policies. It is a simulation that shares no code
 * with the allocator: blocks are numbers without memory.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/rbtree_augmented.h>
#include <linux/sizes.h>

#define BLOCK		SZ_2M
#define UNIT		64UL
#define MAX_BLOCKS	1024

/* The load changes between these numbers of chunks, and stays for a while. */
#define LOW		2000
#define HIGH		20000
#define SWINGS		5
#define STAY		50000

/**
 * struct result - figures of a policy
 * @ops: number of allocations and frees
 * @steps: number of nodes or blocks that were visited in all of them
 * @live: bytes in use
 * @peak_live: largest value of @live
 * @reserved: number of blocks
 * @peak_reserved: largest value of @reserved
 */
struct result {
	unsigned long ops;
	unsigned long steps;
	unsigned long live;
	unsigned long peak_live;
	unsigned int reserved;
	unsigned int peak_reserved;
};

static struct result result;

/* === Random load ========================================================== */

static unsigned long long random_state;

/* Xorshift, with a multiplication to mix the bits that are used */
static unsigned long below(unsigned long ceil)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL >> 33) % ceil;
}

/*
 * Sizes of JITed programs: half are smaller than 500 bytes and three quarters
 * smaller than 2 kB; the tail goes up to 64 kB.
 */
static const struct {
	unsigned int per_mille;
	unsigned int from;
	unsigned int to;
} fleet[] = {
	{ 200, 60, 120 }, { 180, 121, 280 }, { 120, 281, 499 },
	{ 150, 500, 999 }, { 100, 1000, 1999 }, { 133, 2000, 3199 },
	{ 81, 3200, 5999 }, { 26, 6000, 11999 }, { 7, 12000, 25999 },
	{ 3, 32000, 65536 },
};

static size_t random_size(void)
{
	unsigned int n = below(1000), i = 0;

	while (n >= fleet[i].per_mille)
		n -= fleet[i++].per_mille;
	return fleet[i].from + below(fleet[i].to - fleet[i].from + 1);
}

/* === Blocks =============================================================== */

static bool block_used[MAX_BLOCKS];

/* A new block gets the lowest address without one. */
static unsigned int add_block(void)
{
	unsigned int i = 0;

	while (block_used[i])
		if (++i == MAX_BLOCKS)
			abort();
	block_used[i] = true;
	result.reserved++;
	result.peak_reserved = max(result.peak_reserved, result.reserved);
	return i;
}

static void remove_block(unsigned int i)
{
	block_used[i] = false;
	result.reserved--;
}

/* === Free extents in trees ================================================ */

/**
 * struct extent - a free extent
 * @by_addr: entry in the tree by address
 * @by_size: entry in the tree by size
 * @start: first address
 * @size: size in bytes
 * @max_size: size of the largest extent in the subtree of @by_addr
 */
struct extent {
	struct rb_node by_addr;
	struct rb_node by_size;
	unsigned long start;
	size_t size;
	size_t max_size;
};

#define to_extent(n)	rb_entry(n, struct extent, by_addr)
#define to_sized(n)	rb_entry(n, struct extent, by_size)

#define extent_size(extent)	((extent)->size)

RB_DECLARE_CALLBACKS_MAX(static, extent_augment, struct extent, by_addr,
			 size_t, max_size, extent_size)

static struct rb_root addr_tree;
static struct rb_root size_tree;
static bool use_size_tree;

static size_t max_size(struct rb_node *node)
{
	return node ? to_extent(node)->max_size : 0;
}

static void insert_by_size(struct extent *extent)
{
	struct rb_node **link = &size_tree.rb_node, *parent = NULL;

	while (*link) {
		struct extent *other = to_sized(*link);
		bool less = extent->size < other->size ||
			    (extent->size == other->size &&
			     extent->start < other->start);

		result.steps++;
		parent = *link;
		link = less ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&extent->by_size, parent, link);
	rb_insert_color(&extent->by_size, &size_tree);
}

static void insert_by_addr(struct extent *extent)
{
	struct rb_node **link = &addr_tree.rb_node, *parent = NULL;

	while (*link) {
		result.steps++;
		parent = *link;
		link = extent->start < to_extent(parent)->start ?
			&parent->rb_left : &parent->rb_right;
	}
	extent->max_size = extent->size;
	rb_link_node(&extent->by_addr, parent, link);
	extent_augment.propagate(parent, NULL);
	rb_insert_augmented(&extent->by_addr, &addr_tree, &extent_augment);
}

static struct extent *add_extent(unsigned long start, size_t size)
{
	struct extent *extent = malloc(sizeof(*extent));

	if (!extent)
		abort();
	extent->start = start;
	extent->size = size;
	insert_by_addr(extent);
	if (use_size_tree)
		insert_by_size(extent);
	return extent;
}

static void remove_extent(struct extent *extent)
{
	rb_erase_augmented(&extent->by_addr, &addr_tree, &extent_augment);
	if (use_size_tree)
		rb_erase(&extent->by_size, &size_tree);
	free(extent);
}

static struct extent *find_lowest(size_t size)
{
	struct rb_node *node = addr_tree.rb_node;

	if (max_size(node) < size)
		return NULL;
	while (node) {
		result.steps++;
		if (max_size(node->rb_left) >= size)
			node = node->rb_left;
		else if (to_extent(node)->size < size)
			node = node->rb_right;
		else
			break;
	}
	return node ? to_extent(node) : NULL;
}

static struct extent *find_smallest(size_t size)
{
	struct rb_node *node = size_tree.rb_node;
	struct extent *best = NULL;

	while (node) {
		result.steps++;
		if (to_sized(node)->size >= size)
			best = to_sized(node);
		node = to_sized(node)->size >= size ? node->rb_left :
						      node->rb_right;
	}
	return best;
}

static unsigned long tree_alloc(size_t size)
{
	struct extent *extent;
	unsigned long start;
	size_t rest;

	size = round_up(size, UNIT);
	extent = use_size_tree ? find_smallest(size) : find_lowest(size);
	if (!extent)
		extent = add_extent(add_block() * (unsigned long)BLOCK, BLOCK);
	start = extent->start;
	rest = extent->size - size;
	remove_extent(extent);
	if (rest)
		add_extent(start + size, rest);
	return start;
}

/* Find the last extent before @addr. */
static struct extent *find_before(unsigned long addr)
{
	struct rb_node *node = addr_tree.rb_node;
	struct extent *before = NULL;

	while (node) {
		result.steps++;
		if (to_extent(node)->start < addr)
			before = to_extent(node);
		node = to_extent(node)->start < addr ? node->rb_right :
						       node->rb_left;
	}
	return before;
}

static struct extent *next_extent(struct extent *extent)
{
	struct rb_node *node = extent ? rb_next(&extent->by_addr) :
					rb_first(&addr_tree);

	return node ? to_extent(node) : NULL;
}

static void tree_free(unsigned long start, size_t size)
{
	unsigned long end = start + round_up(size, UNIT);
	struct extent *before = find_before(start);
	struct extent *after = next_extent(before);

	if (after && after->start == end && end % BLOCK) {
		end += after->size;
		remove_extent(after);
	}
	if (before && before->start + before->size == start && start % BLOCK) {
		start = before->start;
		remove_extent(before);
	}
	if (end - start == BLOCK)
		remove_block(start / BLOCK);
	else
		add_extent(start, end - start);
}

static void start_lowest(void)
{
	use_size_tree = false;
}

static void start_best(void)
{
	use_size_tree = true;
}

/* === Size classes ========================================================= */

/**
 * struct slab - a block for chunks of one size
 * @size: size of each chunk in bytes
 * @nr_used: number of chunks in use
 * @used: for each chunk, true if it is in use
 */
struct slab {
	size_t size;
	unsigned int nr_used;
	bool used[BLOCK / UNIT];
};

static struct slab slabs[MAX_BLOCKS];

static size_t class_of(size_t size)
{
	return max(roundup_pow_of_two(size), UNIT);
}

static struct slab *find_slab(size_t class)
{
	for (int i = 0; i < MAX_BLOCKS; i++)
		if (block_used[i] && slabs[i].size == class &&
		    slabs[i].nr_used < BLOCK / class)
			return &slabs[i];
	return NULL;
}

static unsigned long class_alloc(size_t size)
{
	size_t class = class_of(size);
	struct slab *slab = find_slab(class);
	unsigned int i = 0;

	if (!slab) {
		slab = &slabs[add_block()];
		*slab = (struct slab) { .size = class };
	}
	while (slab->used[i])
		i++;
	slab->used[i] = true;
	slab->nr_used++;
	return (slab - slabs) * (unsigned long)BLOCK + i * class;
}

static void class_free(unsigned long start, size_t size)
{
	struct slab *slab = &slabs[start / BLOCK];

	slab->used[start % BLOCK / slab->size] = false;
	if (!--slab->nr_used)
		remove_block(slab - slabs);
}

/* === Load ================================================================= */

struct policy {
	const char *name;
	void (*start)(void);
	unsigned long (*alloc)(size_t size);
	void (*free)(unsigned long start, size_t size);
};

static const struct policy policies[] = {
	{ "lowest address", start_lowest, tree_alloc, tree_free },
	{ "best fit", start_best, tree_alloc, tree_free },
	{ "size classes", NULL, class_alloc, class_free },
};

static const struct policy *policy;

static struct {
	unsigned long start;
	size_t size;
} live[HIGH + 1];

static unsigned int nr_live;

static void take(void)
{
	size_t size = random_size();

	live[nr_live].start = policy->alloc(size);
	live[nr_live++].size = size;
	result.live += size;
	result.peak_live = max(result.peak_live, result.live);
	result.ops++;
}

static void give(void)
{
	unsigned int i = below(nr_live);

	policy->free(live[i].start, live[i].size);
	result.live -= live[i].size;
	live[i] = live[--nr_live];
	result.ops++;
}

/* Change the number of chunks, and then replace chunks for a while. */
static void swing_to(unsigned int nr)
{
	while (nr_live < nr)
		take();
	while (nr_live > nr)
		give();
	for (int i = 0; i < STAY; i++) {
		take();
		give();
	}
}

static void run(const struct policy *which, unsigned long seed)
{
	policy = which;
	result = (struct result) {};
	random_state = seed * 2 + 1;
	if (policy->start)
		policy->start();
	for (int i = 0; i < SWINGS; i++) {
		swing_to(HIGH);
		swing_to(LOW);
	}
}

static void print_row(void)
{
	unsigned int least = DIV_ROUND_UP(result.live, BLOCK);

	printf("%-16s %8.1f %8u %8.1f %8u %8u ", policy->name,
	       result.peak_live / 1e6, result.peak_reserved,
	       result.live / 1e6, result.reserved, least);
	if (result.steps)
		printf("%8.1f\n", (double)result.steps / result.ops);
	else
		printf("%8s\n", "-");
}

static void finish(void)
{
	while (nr_live)
		give();
	if (result.reserved || result.live) {
		printf("%s: not everything was given back\n", policy->name);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;

	printf("seed %lu, %d swings between %d and %d chunks, 2 MB blocks\n",
	       seed, SWINGS, LOW, HIGH);
	printf("%-16s %8s %8s %8s %8s %8s %8s\n", "", "MB at", "blocks",
	       "MB at", "blocks", "blocks", "nodes");
	printf("%-16s %8s %8s %8s %8s %8s %8s\n", "", "peak", "at peak",
	       "the end", "then", "needed", "per op");
	for (int i = 0; i < (int)ARRAY_SIZE(policies); i++) {
		run(&policies[i], seed);
		print_row();
		finish();
	}
	return 0;
}
