// SPDX-License-Identifier: GPL-2.0-only
/* What alloc, fill, seal and free cost, by size and by what else is live */
#include "bench.h"

#include <linux/kernel.h>
#include <linux/slab.h>

enum step { ALLOC, FILL, SEAL, FREE, TOTAL, NR_STEPS };

static const char * const step_name[] = { "alloc", "fill", "seal", "free", "total" };

/* A set of live chunks to measure among */
struct scene {
	const char *name;
	int live;
	int fewer;	/* divides the rounds: for what is slow */
	bool shuffle;	/* replace a live chunk before each round */
};

static int live_once(enum contender who, size_t size, void *code, u64 *at)
{
	void *chunk;
	int err;

	at[ALLOC] = get_cycles();
	chunk = chunk_alloc(who, size);
	if (!chunk)
		return -ENOMEM;
	at[FILL] = get_cycles();
	err = chunk_publish(who, chunk, code, size);
	at[SEAL] = get_cycles();
	err = chunk_seal(who, chunk, size) ?: err;
	at[FREE] = get_cycles();
	chunk_free(who, chunk, size);
	at[TOTAL] = get_cycles();
	return err;
}

struct run {
	const struct scene *scene;
	struct fleet fleet;
	void *code;
	u64 *cost;	/* @nr samples for each step, one step after the other */
	int nr;
};

static int measure(struct run *run, size_t size)
{
	u64 at[NR_STEPS];
	int i, step, err;

	for (i = 0; i < run->nr; i++) {
		err = run->scene->shuffle ? fleet_shuffle(&run->fleet) : 0;
		if (!err)
			err = live_once(run->fleet.who, size, run->code, at);
		if (err)
			return err;
		for (step = ALLOC; step < TOTAL; step++)
			run->cost[step * run->nr + i] = at[step + 1] - at[step];
		run->cost[TOTAL * run->nr + i] = at[TOTAL] - at[ALLOC];
	}
	return 0;
}

static void report_steps(struct run *run, size_t size)
{
	char name[40];
	int step;

	for (step = ALLOC; step < NR_STEPS; step++) {
		snprintf(name, sizeof(name), "%s.%zu.%s", run->scene->name, size,
			 step_name[step]);
		report(name, run->cost + step * run->nr, run->nr);
	}
}

static int measure_sizes(struct run *run)
{
	static const size_t sizes[] = { 64, 512, 2048, 16384 };
	int i, err;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		err = measure(run, sizes[i]);
		if (err)
			return err;
		report_steps(run, sizes[i]);
	}
	return 0;
}

static int measure_scene(enum contender who, const struct scene *scene, void *code)
{
	struct run run = { .scene = scene, .code = code };
	int err;

	run.nr = max(rounds / scene->fewer, 1);
	run.cost = kvmalloc_array(NR_STEPS * run.nr, sizeof(*run.cost), GFP_KERNEL);
	if (!run.cost)
		return -ENOMEM;
	err = fleet_populate(&run.fleet, who, scene->live);
	if (!err) {
		result("%s live %d rounds %d", scene->name, scene->live, run.nr);
		err = measure_sizes(&run);
		fleet_release(&run.fleet);
	}
	kvfree(run.cost);
	return err;
}

int measure_costs(enum contender who, void *code)
{
	/* Among none, a block comes and goes with each chunk. */
	static const struct scene scenes[] = {
		{ "fleet", FLEET_LIVE, 1, false },
		{ "live0", 0, 20, false },
		{ "live1000", 1000, 1, true },
		{ "live10000", 10000, 1, true },
	}, pages = { "pages", 50, 5, true };
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(scenes) && !err; i++)
		err = measure_scene(who, &scenes[i], code);
	if (who == PACK && !err)
		err = measure_scene(PAGES, &pages, code);
	return err;
}
