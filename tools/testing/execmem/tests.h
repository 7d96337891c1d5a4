/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_TESTS_H
#define _EXECMEM_TEST_TESTS_H

#include "world.h"

/**
 * struct options - options on the command line
 * @seed: seed of the random numbers
 * @ops: number of operations of the longest random test
 */
struct options {
	unsigned long seed;
	unsigned long ops;
};

extern struct options options;

/* Run test_NAME(), unless the command line selects another test. */
#define RUN(_name)	run_test(#_name, test_##_name)

void run_test(const char *name, void (*test)(void));

/* Boot with the small table. Returns the pool of module text. */
struct execmem_pool *start_small(void);

/* Allocate and free by the public API, each followed by the validator. */
unsigned long alloc_of(enum execmem_type type, size_t size);
unsigned long alloc_text(size_t size);
void release(unsigned long addr);

void run_basic_tests(void);
void run_boot_tests(void);
void run_clean_tests(void);
void run_block_tests(void);
void run_grow_tests(void);
void run_inspect_tests(void);
void run_guard_tests(void);
void run_perm_tests(void);
void run_flush_tests(void);
void run_race_tests(void);
void run_fault_tests(void);
void run_rest_tests(void);
void run_validator_tests(void);
void run_fragment_tests(void);
void run_random_tests(void);

#endif /* _EXECMEM_TEST_TESTS_H */
