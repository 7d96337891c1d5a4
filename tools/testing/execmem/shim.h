/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world around the allocator, as the tests control it.
 *
 * Whatever can fail in the kernel can be made to fail here, and whatever must not
 * be done under a lock complains when it is.
 */
#ifndef _EXECMEM_TEST_SHIM_H
#define _EXECMEM_TEST_SHIM_H

#include <stdbool.h>
#include <linux/types.h>

/* === Failures of the test ================================================= */

/* Note that the running test failed, and go on. Returns @ok. */
bool expect(bool ok, const char *file, int line, const char *what);

#define EXPECT(_cond)	expect(_cond, __FILE__, __LINE__, #_cond)

/* Set by a failure; the runner clears it before each test. */
extern bool test_failed;

/* === Failures of the kernel, on demand ==================================== */

/**
 * struct fault - a place that can fail
 * @at: number of the call that fails, counted from 1; 0 for none
 * @from_then_on: later calls fail too
 * @calls: calls so far
 * @hits: calls that failed
 */
struct fault {
	unsigned long at;
	bool from_then_on;
	unsigned long calls;
	unsigned long hits;
};

struct execmem_block;

/**
 * struct shim - the world around the allocator
 * @alloc: every allocation of a structure
 * @map: every attempt to map a block
 * @huge: every attempt to map a block by huge pages
 * @unmap: every time permissions are restored
 * @fill: every call of the fill hook
 * @invalidate: every call of the invalidate hook
 * @seal: every call of the seal hook
 * @in_fill: called once, in the middle of the next fill
 * @in_invalidate: called once, in the middle of the next invalidation
 * @in_flush: called once, in the middle of the next predictor flush
 * @in_lookup: called once, in the middle of the next lookup
 * @before_mutex: called once, when somebody wants the next mutex
 * @mapped: told about each new block
 * @unmapping: told about each block that is given back, before it is
 * @in_interrupt: pretend to be in an interrupt
 * @map_failures: blocks that could not be mapped
 * @leaked_pages: pages of blocks that could not be given back
 * @warnings: warnings, by the kernel about itself
 * @objects: structures that are allocated
 * @reports: mistakes that the allocator reported
 * @visits: tree nodes looked at
 * @flushes: predictor flushes
 */
struct shim {
	struct fault alloc;
	struct fault map;
	struct fault huge;
	struct fault unmap;
	struct fault fill;
	struct fault invalidate;
	struct fault seal;
	void (*in_fill)(void);
	void (*in_invalidate)(void);
	void (*in_flush)(void);
	void (*in_lookup)(void);
	void (*before_mutex)(void);
	void (*mapped)(struct execmem_block *block);
	void (*unmapping)(struct execmem_block *block);
	bool in_interrupt;
	unsigned long map_failures;
	unsigned long leaked_pages;
	unsigned long warnings;
	unsigned long objects;
	unsigned long reports;
	unsigned long visits;
	unsigned long flushes;
};

extern struct shim shim;

bool fails(struct fault *fault);
void run_once(void (**callback)(void));

/* === Random numbers ======================================================= */

void random_seed(u64 seed);
u64 random_u64(void);

#endif /* _EXECMEM_TEST_SHIM_H */
