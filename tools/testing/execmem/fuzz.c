// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that libFuzzer generates, compared with the model.
 *
 * The first byte of the input selects the boot parameters. Each operation is
 * one byte for its kind and some bytes for its arguments. After the end of the
 * input, arguments are 0. The effect of an input does not depend on earlier
 * inputs.
 */

#include "world.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const u8 *input, *input_end;

static unsigned int next_byte(void)
{
	return input < input_end ? *input++ : 0;
}

static unsigned int next_word(void)
{
	unsigned int low = next_byte();

	return low | next_byte() << 8;
}

/* === Arguments ============================================================ */

static enum execmem_type next_type(void)
{
	return next_byte() % EXECMEM_TYPE_MAX;
}

static size_t too_large_size(unsigned int n)
{
	static const size_t sizes[] = {
		0, SZ_4M, SZ_4M + 1, VMALLOC_SIZE, VMALLOC_SIZE + 1,
		LONG_MAX, -SZ_64K, -PAGE_SIZE, -64UL, -63UL, -1UL,
	};

	return sizes[n % ARRAY_SIZE(sizes)];
}

/* A size from one unit to several blocks, or an invalid one */
static size_t next_size(void)
{
	unsigned int kind = next_byte(), n = next_word();

	switch (kind % 8) {
	case 0:
		return too_large_size(n);
	case 1:
		return SZ_64K * (1 + n % 4) - 64 + kind / 8 * 4;
	case 2:
		return 1 + n * 3;
	case 3:
		return 1 + n % SZ_8K;
	default:
		return 1 + n % 512;
	}
}

/* 0 for the public API, or a power of two up to twice the size of a block */
static size_t next_align(void)
{
	unsigned int n = next_byte() % 32;

	return n < 18 ? 0 : 1UL << (n - 14);
}

static struct model_chunk *next_chunk(struct model_pool **mpool)
{
	*mpool = model_pool_of(next_type());
	if (!(*mpool)->nr_live)
		return NULL;
	return model_chunk(*mpool, next_word() % (*mpool)->nr_live);
}

/* An address in a chunk, at its start or end, in a pool or anywhere */
static unsigned long next_address(void)
{
	unsigned int kind = next_byte(), n = next_word();
	struct model_pool *mpool;
	struct model_chunk *chunk = next_chunk(&mpool);

	switch (kind % 8) {
	case 0:
		return too_large_size(n);
	case 1:
		return model.last_freed + kind / 8;
	case 2:
		return VMALLOC_START + n * 64UL * 64;
	case 3:
		return (unsigned long)&model + n;
	default:
		return chunk ? chunk->start - 1 + n % (chunk->size + 2) : 0;
	}
}

/* === Operations =========================================================== */

static void op_alloc(void)
{
	enum execmem_type type = next_type();
	size_t size = next_size();

	model_alloc(type, size, next_align());
}

static void op_alloc_unknown_type(void)
{
	unsigned int n = next_byte();

	EXPECT(!execmem_alloc(EXECMEM_TYPE_MAX + n, next_size()));
	EXPECT(!execmem_alloc(-1 - (int)n, next_size()));
}

static void op_free(void)
{
	struct model_pool *mpool;
	struct model_chunk *chunk = next_chunk(&mpool);

	if (chunk)
		model_free(chunk->start);
}

static void op_free_anything(void)
{
	model_free(next_address());
}

/* The model cannot describe a gap between two filled parts. */
static void op_fill(void)
{
	struct model_pool *mpool;
	struct model_chunk *chunk = next_chunk(&mpool);
	size_t offset;

	if (!chunk)
		return;
	offset = next_word() % (chunk->filled + 1);
	(next_byte() % 8 ? model_fill : model_publish)
		(chunk->start + offset,
		 next_word() % (chunk->size - offset + 1));
}

static void op_fill_too_much(void)
{
	struct model_pool *mpool;
	struct model_chunk *chunk = next_chunk(&mpool);
	size_t offset;

	if (!chunk) {
		model_fill(next_address(), -1UL - next_byte());
		return;
	}
	offset = next_word() % chunk->size;
	model_fill(chunk->start + offset,
		   max(chunk->size - offset + 1, too_large_size(next_byte())));
}

static void op_seal(void)
{
	struct model_pool *mpool;
	struct model_chunk *chunk = next_chunk(&mpool);

	if (chunk)
		model_seal(chunk->start);
}

static void op_seal_anything(void)
{
	model_seal(next_address());
}

static void op_lookup(void)
{
	model_lookup(next_address());
}

static void op_retire(void)
{
	struct model_pool *mpool;
	struct model_chunk *chunk = next_chunk(&mpool);

	if (chunk)
		model_retire(chunk->start);
}

static void op_write_resting(void)
{
	struct model_pool *mpool = model_pool_of(next_type());
	unsigned int n = next_byte();

	model_write_resting(mpool, n, next_word());
}

static void op_pass_time(void)
{
	model_pass_time(next_word() % (4 * HZ));
}

static void op_end_rests(void)
{
	model_end_rests(model_pool_of(next_type()));
}

static void op_drain(void)
{
	model_drain(model_pool_of(next_type()));
}

static void op_expire(void)
{
	struct model_pool *mpool = model_pool_of(next_type());

	model_expire(mpool, next_byte() * EXECMEM_SPARE_TIME / 128);
}

static void op_inspect(void)
{
	struct model_pool *mpool = model_pool_of(next_type());

	model_walk(mpool);
	model_draw(mpool);
}

/* Make one of the next calls fail, or all calls from that one on. */
static void op_fault(void)
{
	struct fault *const faults[] = {
		&shim.alloc, &shim.map, &shim.huge, &shim.fill,
		&shim.invalidate,
	};
	struct fault *fault = faults[next_byte() % ARRAY_SIZE(faults)];
	unsigned int n = next_byte();

	fault->at = fault->calls + 1 + n % 16;
	fault->from_then_on = n >= 192;
}

static void stop_faults(void)
{
	shim.alloc.at = 0;
	shim.map.at = 0;
	shim.huge.at = 0;
	shim.fill.at = 0;
	shim.invalidate.at = 0;
}

static void (*const ops[])(void) = {
	op_alloc, op_alloc, op_alloc, op_alloc, op_free, op_free, op_free,
	op_retire, op_retire, op_write_resting, op_pass_time, op_end_rests,
	op_free_anything, op_fill, op_fill_too_much, op_seal, op_seal_anything,
	op_lookup, op_drain, op_expire, op_inspect, op_fault, stop_faults,
	op_alloc_unknown_type,
};

/* === Runs ================================================================= */

static void boot(unsigned int how)
{
	world_start(1);
	if (how & 1)
		EXPECT(!param_parse_execmem("guard"));
	if (how & 2)
		EXPECT(!param_parse_execmem("off"));
	arch_table = mixed_table(SMALL);
	EXPECT(kernel_boot());
	model_start(true);
	execmem_pred_flush_enabled = !(how & 4);
	/* The model uses random numbers, once for each process. */
	random_seed(how);
}

static void stop_if_failed(unsigned long done)
{
	if (!test_failed)
		return;
	printf("after %lu operations\n", done);
	fflush(stdout);
	abort();
}

static void run(void)
{
	unsigned long done = 0;

	while (input < input_end) {
		ops[next_byte() % ARRAY_SIZE(ops)]();
		model_validate();
		stop_if_failed(++done);
	}
	stop_faults();
	model_recover_leaked();
	model_free_all();
	model_end_all_rests();
	model_validate();
	model_finish();
	take_reports();
	world_end();
	stop_if_failed(done);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	input = data;
	input_end = data + size;
	boot(next_byte());
	run();
	return 0;
}
