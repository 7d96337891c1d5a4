// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the tests of the allocator (mm/execmem.c and other files) in user space.
 */

#include <sanitizer/lsan_interface.h>
#include <time.h>
#include <unistd.h>

#include "tests.h"

struct options options;

static const char *only;
static bool stop_early;
static unsigned int nr_run;
static unsigned int nr_failed;

/* LeakSanitizer runs only when main() calls it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "leak_check_at_exit=0:quarantine_size_mb=16";
}

/* === Functions that several tests use ===================================== */

struct execmem_pool *start_small(void)
{
	arch_table = mixed_table(SMALL);
	EXPECT(kernel_boot());
	return execmem_pool_of(EXECMEM_MODULE_TEXT);
}

static void validate(void)
{
	for (int i = 0; i < EXECMEM_TYPE_MAX; i++)
		EXPECT(!execmem_pool_check(execmem_pool_of(i)));
}

unsigned long alloc_of(enum execmem_type type, size_t size)
{
	void *ptr = execmem_alloc(type, size);

	validate();
	return (unsigned long)ptr;
}

unsigned long alloc_text(size_t size)
{
	return alloc_of(EXECMEM_MODULE_TEXT, size);
}

void release(unsigned long addr)
{
	execmem_free((void *)addr);
	validate();
}

/* === The runner =========================================================== */

/* CPU time, which does not depend on other processes */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void run_test(const char *name, void (*test)(void))
{
	double start = seconds();

	if ((only && strcmp(only, name)) || (stop_early && nr_failed))
		return;
	test_failed = false;
	world_start(options.seed);
	test();
	world_end();
	nr_run++;
	nr_failed += test_failed;
	printf("%s %s (%.2f s)\n", test_failed ? "FAIL" : "ok  ", name,
	       seconds() - start);
	fflush(stdout);
}

static void usage(const char *name)
{
	fprintf(stderr,
		"Usage: %s [-s SEED] [-o OPS] [-t TEST] [-x]\n"
		"  -s  seed of the random numbers, the time by default\n"
		"  -o  operations of the longest test, 10000000 by default\n"
		"  -t  run only this test\n"
		"  -x  run nothing more after a test that failed\n", name);
	exit(2);
}

static unsigned long to_number(const char *arg, const char *name)
{
	char *end;
	unsigned long number = strtoul(arg, &end, 0);

	if (!*arg || *end)
		usage(name);
	return number;
}

static void parse_options(int argc, char **argv)
{
	int opt;

	options.seed = time(NULL);
	options.ops = 10000000;
	while ((opt = getopt(argc, argv, "s:o:t:x")) != -1) {
		if (opt == 's')
			options.seed = to_number(optarg, argv[0]);
		else if (opt == 'o')
			options.ops = to_number(optarg, argv[0]);
		else if (opt == 't')
			only = optarg;
		else if (opt == 'x')
			stop_early = true;
		else
			usage(argv[0]);
	}
	if (optind != argc)
		usage(argv[0]);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	printf("seed %lu, %lu operations\n", options.seed, options.ops);

	run_boot_tests();
	run_basic_tests();
	run_block_tests();
	run_grow_tests();
	run_inspect_tests();
	run_guard_tests();
	run_perm_tests();
	run_race_tests();
	run_flush_tests();
	run_clean_tests();
	run_fault_tests();
	run_rest_tests();
	run_validator_tests();
	run_fragment_tests();
	run_random_tests();

	printf("%u tests run, %u passed, %u failed\n", nr_run,
	       nr_run - nr_failed, nr_failed);
	/* Leaks of a failed test would only hide its message. */
	return nr_failed || !nr_run || __lsan_do_recoverable_leak_check();
}
