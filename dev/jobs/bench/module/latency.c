// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long are others kept waiting: by the mutexes that allocators hold, and by
 * disabled interrupts. Both are observed from outside, so they hold for
 * whatever an allocator does. For one CPU: what happens here is one thread.
 */
#include "bench.h"

#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/slab.h>

#define ROUNDS		100

/* === Mutexes ============================================================== */

struct hold {
	const char *name;
	struct mutex *lock;	/* the one watched, or NULL */
	u64 since;		/* when it was taken */
	unsigned int hits;	/* number of the probe hit that saw it taken */
	u64 longest, sum;
	unsigned int nr;
};

static struct hold holds[2];
static struct task_struct *observed;
static unsigned int hits;
static u64 cost_of_hit;

static struct hold *hold_of(struct pt_regs *regs)
{
	void *lock = (void *)regs_get_kernel_argument(regs, 0);
	int i;

	for (i = 0; i < ARRAY_SIZE(holds); i++)
		if (holds[i].lock && holds[i].lock == lock)
			return &holds[i];
	return NULL;
}

static int lock_begins(struct kprobe *probe, struct pt_regs *regs)
{
	struct hold *hold = hold_of(regs);

	if (current != observed)
		return 0;
	hits++;
	if (hold) {
		hold->hits = hits;
		hold->since = get_cycles();
	}
	return 0;
}

static int unlock_begins(struct kprobe *probe, struct pt_regs *regs)
{
	u64 now = get_cycles();
	struct hold *hold = hold_of(regs);

	if (current != observed)
		return 0;
	hits++;
	if (hold && hold->since) {
		/* The end of one hit, the start of this one, all in between */
		now -= hold->since + cost_of_hit * (hits - hold->hits);
		hold->longest = max(hold->longest, now);
		hold->sum += now;
		hold->nr++;
		hold->since = 0;
	}
	return 0;
}

static struct kprobe lock_probe = {
	.symbol_name = "mutex_lock",
	.pre_handler = lock_begins,
}, unlock_probe = {
	.symbol_name = "mutex_unlock",
	.pre_handler = unlock_begins,
};

static void forget_holds(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(holds); i++) {
		holds[i].longest = 0;
		holds[i].sum = 0;
		holds[i].nr = 0;
	}
}

/* What the probes add to a hold is what they say about an empty one. */
static void calibrate_probes(u64 *sample)
{
	int i;

	cost_of_hit = 0;
	for (i = 0; i < ROUNDS; i++) {
		forget_holds();
		mutex_lock(kernel.text_mutex);
		mutex_unlock(kernel.text_mutex);
		sample[i] = holds[0].longest;
	}
	cost_of_hit = median(sample, ROUNDS);
	result("probes per_hit %llu", cost_of_hit);
}

/* The median of the rounds leaves out those that were interrupted. */
static void report_hold(struct hold *hold, int i, size_t size, const char *what,
			u64 *longest, u64 *sum)
{
	result("hold.%s.%zu.%s longest %llu sum %llu times %u", hold->name, size,
	       what, median(longest + i * ROUNDS, ROUNDS),
	       median(sum + i * ROUNDS, ROUNDS), hold->nr);
}

enum what { FILL, ALL, NR_WHATS };

static int observe_life(enum contender who, size_t size, void *code, enum what what)
{
	void *chunk;
	int err;

	forget_holds();
	chunk = chunk_alloc(who, size);
	if (!chunk)
		return -ENOMEM;
	if (what == FILL)
		forget_holds();
	err = chunk_fill(who, chunk, code, size);
	if (what == FILL)
		observed = NULL;
	chunk_free(who, chunk, size);
	observed = current;
	return err;
}

static int observe(enum contender who, size_t size, void *code, enum what what,
		   u64 *sample)
{
	static const char * const name[] = { "fill", "all" };
	u64 *longest = sample, *sum = sample + ARRAY_SIZE(holds) * ROUNDS;
	int i, j, err;

	for (i = 0; i < ROUNDS; i++) {
		err = observe_life(who, size, code, what);
		if (err)
			return err;
		for (j = 0; j < ARRAY_SIZE(holds); j++) {
			longest[j * ROUNDS + i] = holds[j].longest;
			sum[j * ROUNDS + i] = holds[j].sum;
		}
	}
	for (j = 0; j < ARRAY_SIZE(holds); j++)
		report_hold(&holds[j], j, size, name[what], longest, sum);
	return 0;
}

static int measure_holds(enum contender who, void *code, u64 *sample)
{
	int err;

	holds[0] = (struct hold) { .name = "text_mutex", .lock = kernel.text_mutex };
	holds[1] = (struct hold) { .name = "pack_mutex", .lock = kernel.pack_mutex };
	observed = current;

	err = register_kprobe(&lock_probe);
	if (err)
		return err;
	err = register_kprobe(&unlock_probe);
	if (!err) {
		calibrate_probes(sample);
		err = observe(who, MAX_CODE, code, FILL, sample) ?:
		      observe(who, MAX_CODE, code, ALL, sample) ?:
		      observe(who, 512, code, ALL, sample);
		unregister_kprobe(&unlock_probe);
	}
	unregister_kprobe(&lock_probe);
	return err;
}

/* === Interrupts =========================================================== */

#define STEP	100	/* between one try and the next, in ns */

static struct hrtimer alarm;
static bool rang;
static s64 late;

static enum hrtimer_restart ring(struct hrtimer *timer)
{
	late = ktime_to_ns(ktime_sub(ktime_get(), hrtimer_get_expires(timer)));
	WRITE_ONCE(rang, true);
	return HRTIMER_NORESTART;
}

/* How late is an interrupt that is due @delay ns after a fill has begun? */
static int time_alarm(enum contender who, void *chunk, void *code, size_t size,
		      u64 delay, u64 *lateness)
{
	int err;

	WRITE_ONCE(rang, false);
	hrtimer_start(&alarm, ns_to_ktime(delay), HRTIMER_MODE_REL_HARD);
	err = size ? chunk_fill(who, chunk, code, size) : 0;
	while (!READ_ONCE(rang))
		cpu_relax();
	*lateness = max(late, 0);
	return err;
}

/* An interrupt is never served at once: this is how late one is with all on. */
static u64 usual_lateness(u64 *sample)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		time_alarm(EXECMEM, NULL, NULL, 0, 5000 + i * STEP, &sample[i]);
	return median(sample, ROUNDS);
}

/*
 * Let the alarm be due at every moment of a fill, STEP apart. Each is tried
 * twice, for the timer tick may come first.
 */
static int longest_lateness(enum contender who, void *chunk, void *code,
			    u64 cost, u64 *longest)
{
	u64 delay, once, again;
	int err;

	*longest = 0;
	for (delay = 1000; delay < cost + 5000; delay += STEP) {
		err = time_alarm(who, chunk, code, MAX_CODE, delay, &once) ?:
		      time_alarm(who, chunk, code, MAX_CODE, delay, &again);
		if (err)
			return err;
		*longest = max(*longest, min(once, again));
	}
	return 0;
}

static int measure_irqs(enum contender who, void *code, u64 cost, u64 *sample)
{
	u64 usual, longest;
	void *chunk;
	int err;

	chunk = chunk_alloc(who, MAX_CODE);
	if (!chunk)
		return -ENOMEM;
	hrtimer_init(&alarm, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	alarm.function = ring;
	usual = usual_lateness(sample);
	err = longest_lateness(who, chunk, code, cost, &longest);
	if (!err)
		result("irqsoff usual %llu longest %llu", usual,
		       max(longest, usual) - usual);
	chunk_free(who, chunk, MAX_CODE);
	return err;
}

/* === Both ================================================================= */

/* What a fill costs by itself, with nobody watching, to *@cost */
static int measure_alone(enum contender who, void *code, u64 *sample, u64 *cost)
{
	u64 *fill = sample, *total = sample + ROUNDS, at[4];
	void *chunk;
	int i, err;

	for (i = 0; i < ROUNDS; i++) {
		at[0] = get_cycles();
		chunk = chunk_alloc(who, MAX_CODE);
		if (!chunk)
			return -ENOMEM;
		at[1] = get_cycles();
		err = chunk_fill(who, chunk, code, MAX_CODE);
		at[2] = get_cycles();
		chunk_free(who, chunk, MAX_CODE);
		at[3] = get_cycles();
		if (err)
			return err;
		fill[i] = at[2] - at[1];
		total[i] = at[3] - at[0];
	}
	*cost = median(fill, ROUNDS);
	report("fill65536", fill, ROUNDS);
	report("total65536", total, ROUNDS);
	return 0;
}

int measure_latency(enum contender who, void *code)
{
	struct fleet fleet;
	u64 *sample, cost;
	int err;

	sample = kvcalloc(2 * ARRAY_SIZE(holds) * ROUNDS, sizeof(*sample), GFP_KERNEL);
	if (!sample)
		return -ENOMEM;
	err = fleet_populate(&fleet, who, FLEET_LIVE);
	if (!err) {
		err = measure_alone(who, code, sample, &cost) ?:
		      measure_irqs(who, code, cost, sample) ?:
		      measure_holds(who, code, sample);
		fleet_release(&fleet);
	}
	kvfree(sample);
	return err;
}
