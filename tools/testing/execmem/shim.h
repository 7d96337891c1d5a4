/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Environment of the allocator, controlled by the tests.
 *
 * Everything that can fail in the kernel can be made to fail here. Functions
 * that must not be called under a lock report an error if they are.
 */
#ifndef _EXECMEM_TEST_SHIM_H
#define _EXECMEM_TEST_SHIM_H

#include <stdbool.h>
#include <linux/types.h>

/* If there are several threads, each has an environment of its own. */
#ifndef SHIM_LOCAL
#define SHIM_LOCAL
#endif

/* === Failures of the test ================================================= */

/*
 * Record a failure of the running test if @ok is false, and continue. Returns
 * @ok.
 */
bool expect(bool ok, const char *file, int line, const char *what);

#define EXPECT(_cond)	expect(_cond, __FILE__, __LINE__, #_cond)

/* Set by a failure. The runner clears it before each test. */
extern SHIM_LOCAL bool test_failed;

/* === Failures of the kernel, on demand ==================================== */

/**
 * struct fault - a function that can be made to fail
 * @at: number of the call that fails, counted from 1; 0 for none
 * @from_then_on: later calls fail, too
 * @calls: number of calls so far
 * @hits: number of calls that failed
 */
struct fault {
	unsigned long at;
	bool from_then_on;
	unsigned long calls;
	unsigned long hits;
};

struct execmem_block;
struct execmem_chunk;
struct delayed_work;

/**
 * struct shim - environment of the allocator
 * @alloc: faults of allocations of structures
 * @map: faults of attempts to map a block
 * @huge: faults of attempts to map a block by huge pages
 * @fill: faults of the fill hook
 * @invalidate: faults of the invalidate hook
 * @seal: faults of the seal hook
 * @restore: faults of the restore hook
 * @protect: faults of setting permissions
 * @in_fill: called once, in the middle of the next fill
 * @in_invalidate: called once, in the middle of the next invalidation
 * @in_flush: called once, in the middle of the next predictor flush
 * @in_sync: called once, in the middle of the next synchronization of CPUs
 * @in_lookup: called once, in the middle of the next lookup
 * @in_referenced: called once, before the next question whether somebody refers
 *	to pages of a chunk is answered
 * @before_mutex: called once, before the next mutex is taken
 * @in_populate: called once, in the middle of the next attempt to map memory
 * @mapped: called after memory was added to a pool
 * @unmapping: called before a block is given back
 * @rested: called before a chunk that rested is given back
 * @attributes_differ: the restore hook finds something to restore
 * @split: huge pages were split
 * @poisoned: an address at which memory failed; 0 if there is none
 * @referenced: an address of a page that somebody refers to; 0 if there is none
 * @text_locked: the caller holds the lock that the hooks take
 * @in_interrupt: value of in_interrupt()
 * @nohugevmalloc: the boot parameter of this name was given
 * @ram: memory of the machine in bytes
 * @populates: number of attempts to map memory, successful or not
 * @map_failures: number of attempts to reserve addresses or to map memory that
 *	failed
 * @unmaps: number of blocks that were given back
 * @leaked_pages: number of pages in blocks that could not be given back
 * @warnings: number of WARN_ON() hits
 * @objects: number of structures that are allocated
 * @reports: number of calls of execmem_report()
 * @report: text of the last one
 * @refusals: number of calls of execmem_debug_refusal() and
 *	execmem_debug_user_map()
 * @refused: sizes of the chunks that were reported last; 0 if there was none
 * @visits: number of tree nodes that were visited
 * @flushes: number of predictor flushes
 * @syncs: number of synchronizations of all CPUs
 * @now: the time in jiffies
 * @spares_kept: number of calls of execmem_spare_kept()
 * @work: the delayed work item of the allocator, %NULL if it was never queued
 */
struct shim {
	struct fault alloc;
	struct fault map;
	struct fault huge;
	struct fault fill;
	struct fault invalidate;
	struct fault seal;
	struct fault restore;
	struct fault protect;
	void (*in_fill)(void);
	void (*in_invalidate)(void);
	void (*in_flush)(void);
	void (*in_sync)(void);
	void (*in_lookup)(void);
	void (*in_referenced)(void);
	void (*before_mutex)(void);
	void (*in_populate)(void);
	void (*mapped)(struct execmem_block *block, size_t size);
	void (*unmapping)(struct execmem_block *block);
	void (*rested)(struct execmem_chunk *chunk);
	bool attributes_differ;
	bool split;
	unsigned long poisoned;
	unsigned long referenced;
	bool text_locked;
	bool in_interrupt;
	bool nohugevmalloc;
	unsigned long ram;
	unsigned long populates;
	unsigned long map_failures;
	unsigned long unmaps;
	unsigned long leaked_pages;
	unsigned long warnings;
	unsigned long objects;
	unsigned long reports;
	char report[256];
	unsigned long refusals;
	size_t refused[2];
	unsigned long visits;
	unsigned long flushes;
	unsigned long syncs;
	unsigned long now;
	unsigned long spares_kept;
	struct delayed_work *work;
};

extern SHIM_LOCAL struct shim shim;

bool fails(struct fault *fault);
bool fails_next(struct fault *fault);
void run_once(void (**callback)(void));
void run_elsewhere(void (**callback)(void));

void pass_time(unsigned long ticks);

/* === Random numbers ======================================================= */

void random_seed(u64 seed);
u64 random_u64(void);

#endif /* _EXECMEM_TEST_SHIM_H */
