// SPDX-License-Identifier: GPL-2.0
/*
 * Resets the allocator before each test, and checks for leaks after it.
 */

#include "world.h"

void world_start(u64 seed)
{
	/* So much memory that pools take huge pages at once */
	shim = (struct shim) { .ram = 1UL << 40 };
	random_seed(seed);
	backing_start();
	kernel_reset();
}

void world_end(void)
{
	no_lock_held();
	EXPECT(!shim.objects);
	EXPECT(!shim.warnings);
	EXPECT(!kernel_has_blocks());
	EXPECT(backing_pages() == shim.leaked_pages);
}

unsigned long take_reports(void)
{
	unsigned long reports = shim.reports;

	shim.reports = 0;
	return reports;
}
