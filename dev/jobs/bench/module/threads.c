// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads on CPUs of their own, all of them allocating, filling and freeing
 * chunks of 512 bytes. What is counted is how often one had to wait for
 * another: acquisitions of a lock that was taken, by the kernel's tracepoint
 * contention_end, and sleeps, by the threads' voluntary context switches.
 */
#include "bench.h"

#include <linux/completion.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#define MAX_THREADS	8
#define SIZE		512

enum lock { TEXT_MUTEX, PACK_MUTEX, OTHER, NR_LOCKS };

struct racer {
	struct task_struct *task;
	bool racing;
	struct completion done;
	enum contender who;
	void *code;
	unsigned long waits[NR_LOCKS];
	unsigned long sleeps;
	u64 ns;
	int err;
};

static struct racer racers[MAX_THREADS];
static int nr_racers;
static DECLARE_COMPLETION(start);

/* Called with the lock that somebody got after waiting for it */
static void waited(void *data, void *lock, int ret)
{
	struct racer *racer;

	for (racer = racers; racer < racers + nr_racers; racer++) {
		if (racer->task != current || !racer->racing)
			continue;
		if (lock == kernel.text_mutex)
			racer->waits[TEXT_MUTEX]++;
		else if (lock == kernel.pack_mutex)
			racer->waits[PACK_MUTEX]++;
		else
			racer->waits[OTHER]++;
	}
}

static int race(enum contender who, void *code)
{
	int i, err = 0;

	for (i = 0; i < rounds && !err; i++) {
		void *chunk = chunk_alloc(who, SIZE);

		if (!chunk)
			return -ENOMEM;
		err = chunk_fill(who, chunk, code, SIZE);
		chunk_free(who, chunk, SIZE);
		/* A kernel thread that never sleeps keeps others from running. */
		cond_resched();
	}
	return err;
}

static int racer_fn(void *arg)
{
	struct racer *racer = arg;
	unsigned long sleeps;
	u64 began;

	wait_for_completion(&start);
	sleeps = current->nvcsw;
	began = ktime_get_ns();
	racer->racing = true;
	racer->err = race(racer->who, racer->code);
	racer->racing = false;
	racer->ns = ktime_get_ns() - began;
	racer->sleeps = current->nvcsw - sleeps;
	/* Ends the thread, which therefore cannot outlive the module */
	kthread_complete_and_exit(&racer->done, 0);
}

static int add_racer(enum contender who, void *code)
{
	struct racer *racer = &racers[nr_racers];
	struct task_struct *task;

	*racer = (struct racer) { .who = who, .code = code };
	init_completion(&racer->done);
	task = kthread_create(racer_fn, racer, "racer%d", nr_racers);
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, nr_racers);
	racer->task = task;
	nr_racers++;
	wake_up_process(task);
	return 0;
}

static void report_race(void)
{
	unsigned long waits[NR_LOCKS] = {}, sleeps = 0, ops = (long)rounds * nr_racers;
	u64 ns = 0;
	int i, j;

	for (i = 0; i < nr_racers; i++) {
		for (j = 0; j < NR_LOCKS; j++)
			waits[j] += racers[i].waits[j];
		sleeps += racers[i].sleeps;
		ns = max(ns, racers[i].ns);
	}
	result("threads%d ops %lu sleeps %lu ns_per_op %llu", nr_racers, ops, sleeps,
	       ns / ops);
	result("threads%d text_mutex %lu pack_mutex %lu other %lu", nr_racers,
	       waits[TEXT_MUTEX], waits[PACK_MUTEX], waits[OTHER]);
}

static int measure_race(enum contender who, void *code, int nr)
{
	int i, err = 0;

	nr_racers = 0;
	reinit_completion(&start);
	while (nr_racers < nr && !err)
		err = add_racer(who, code);
	complete_all(&start);
	for (i = 0; i < nr_racers; i++) {
		wait_for_completion(&racers[i].done);
		err = racers[i].err ?: err;
	}
	if (!err)
		report_race();
	return err;
}

int measure_threads(enum contender who, void *code)
{
	struct fleet fleet;
	int nr, err;

	if (num_online_cpus() < MAX_THREADS)
		return -ENODEV;
	err = fleet_populate(&fleet, who, FLEET_LIVE);
	if (err)
		return err;
	err = tracepoint_probe_register(kernel.contention_end, waited, NULL);
	for (nr = 1; nr <= MAX_THREADS && !err; nr *= 2)
		err = measure_race(who, code, nr);
	/* Probes may still be running, and the module goes away. */
	tracepoint_probe_unregister(kernel.contention_end, waited, NULL);
	tracepoint_synchronize_unregister();
	fleet_release(&fleet);
	return err;
}
