// SPDX-License-Identifier: GPL-2.0
/*
 * A model of memory that reorders marked accesses.
 *
 * x86 reorders neither two loads nor two stores, and ThreadSanitizer does not
 * understand barriers without an access (smp_rmb() and the like). So a missing
 * barrier would never be noticed in user space. Here, all marked accesses and
 * all barriers are calls of this file, which does two things:
 *
 * 1. It gives loads outdated values, and delays stores, as far as the barriers
 *    permit. Each store gets a number when it becomes visible to others. A
 *    thread has a view: it may see the value of a location at any number since
 *    its view, chosen at random. A read barrier raises the view to the latest
 *    number seen so far. Stores between two write barriers become visible in
 *    random order. Taking a lock raises the view to the latest number of all,
 *    releasing one makes the thread's stores visible. All threads see stores in
 *    the order of their numbers, so this is weaker than x86, but stronger than
 *    what the kernel's memory model permits.
 *
 * 2. It tells ThreadSanitizer what is ordered, in the sense of C11: a store
 *    after a write barrier releases what was before the barrier. A read barrier
 *    acquires what the loads before it saw. An annotation always concerns what
 *    the calling thread did so far, but a store must release what was done
 *    before the *barrier*. So each thread has two carriers. These are fibers
 *    that execute nothing and have clocks: one has the clock of the thread at
 *    its last write barrier, the other collects the clocks of what was loaded.
 *
 * This file is compiled without ThreadSanitizer, so the lock here orders
 * nothing in its eyes.
 */

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sanitizer/tsan_interface.h>

#include "weak.h"

#define NR_BUCKETS	65536
#define NR_VERSIONS	8
#define NR_PENDING	8
#define NR_SEEN		256
#define MAX_THREADS	64
#define MAX_LOCATIONS	262144

/**
 * struct version - a value that a location had
 * @number: when it became visible
 * @value: the value
 */
struct version {
	uint64_t number;
	uint64_t value;
};

/**
 * struct location - a location that had a marked store
 * @next: next location in the bucket
 * @addr: its address
 * @delayed: the thread whose stores to it are not visible yet, or %NULL. No two
 *	threads delay stores to the same location.
 * @nr: number of values that became visible
 * @versions: the latest of them; the entry of the last one is
 *	(@nr - 1) % NR_VERSIONS
 */
struct location {
	struct location *next;
	uintptr_t addr;
	struct thread *delayed;
	unsigned long nr;
	struct version versions[NR_VERSIONS];
};

/**
 * struct pending - a store that is not visible to other threads yet
 * @location: where
 * @value: the value
 */
struct pending {
	struct location *location;
	uint64_t value;
};

/**
 * struct seen - the latest value of a location that a thread saw
 * @addr: address of the location
 * @number: number of the value
 */
struct seen {
	uintptr_t addr;
	uint64_t number;
};

/**
 * struct thread - what the model knows about a thread
 * @random: state of the random numbers
 * @view: number that no load may be older than
 * @latest: latest number that a load saw
 * @seen: the same for single locations, since loads and stores of one location
 *	are never reordered
 * @pending: stores that are not visible yet, in program order
 * @nr_pending: number of them
 * @fiber: the thread's own fiber
 * @stores: carrier of what was before the last write barrier
 * @loads: carrier of what was loaded
 * @write_barrier: its address hands clocks over to @stores
 * @read_barrier: its address hands the clock of @loads over
 */
struct thread {
	uint64_t random;
	uint64_t view;
	uint64_t latest;
	struct seen seen[NR_SEEN];
	struct pending pending[NR_PENDING];
	unsigned int nr_pending;
	void *fiber;
	void *stores;
	void *loads;
	char write_barrier;
	char read_barrier;
};

static struct location *buckets[NR_BUCKETS];
/* No malloc(), which ThreadSanitizer would see. */
static struct location all_locations[MAX_LOCATIONS];
static struct location *free_locations;
static unsigned int nr_locations;
static uint64_t last_number;
static bool locked;

static struct thread threads[MAX_THREADS];
static _Thread_local struct thread *self;

static void lock(void)
{
	while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(void)
{
	__atomic_clear(&locked, __ATOMIC_RELEASE);
}

static unsigned int random_below(unsigned int limit)
{
	self->random ^= self->random << 13;
	self->random ^= self->random >> 7;
	self->random ^= self->random << 17;
	return (self->random >> 32) * limit >> 32;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* === What ThreadSanitizer is told ========================================= */

static void on_carrier(void *carrier, void *acquire, void *release)
{
	__tsan_switch_to_fiber(carrier, __tsan_switch_to_fiber_no_sync);
	if (acquire)
		__tsan_acquire(acquire);
	if (release)
		__tsan_release(release);
	__tsan_switch_to_fiber(self->fiber, __tsan_switch_to_fiber_no_sync);
}

static void tell_store(void *addr, enum weak_order order)
{
	if (order == WEAK_ORDERED)
		__tsan_release((void *)addr);
	else
		on_carrier(self->stores, &self->write_barrier, (void *)addr);
}

static void tell_load(const void *addr, enum weak_order order)
{
	if (order == WEAK_ORDERED)
		__tsan_acquire((void *)addr);
	else
		on_carrier(self->loads, (void *)addr, NULL);
}

static void tell_wmb(void)
{
	__tsan_release(&self->write_barrier);
}

static void tell_rmb(void)
{
	on_carrier(self->loads, NULL, &self->read_barrier);
	__tsan_acquire(&self->read_barrier);
}

/* === Memory =============================================================== */

static uint64_t get(const void *addr, size_t size)
{
	switch (size) {
	case 1:
		return __atomic_load_n((uint8_t *)addr, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((uint16_t *)addr, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((uint32_t *)addr, __ATOMIC_RELAXED);
	}
	return __atomic_load_n((uint64_t *)addr, __ATOMIC_RELAXED);
}

static void put(void *addr, size_t size, uint64_t value)
{
	switch (size) {
	case 1:
		__atomic_store_n((uint8_t *)addr, value, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)addr, value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)addr, value, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)addr, value, __ATOMIC_RELAXED);
	}
}

static struct location **bucket_of(uintptr_t addr)
{
	return &buckets[(addr * 0x9e3779b97f4a7c15ULL) >> 48];
}

static struct location *find_location(const void *addr)
{
	struct location *loc = *bucket_of((uintptr_t)addr);

	while (loc && loc->addr != (uintptr_t)addr)
		loc = loc->next;
	return loc;
}

static struct location *add_location(const void *addr, uint64_t value)
{
	struct location **bucket = bucket_of((uintptr_t)addr);
	struct location *loc = free_locations;

	if (loc)
		free_locations = loc->next;
	else if (nr_locations < MAX_LOCATIONS)
		loc = &all_locations[nr_locations++];
	else
		abort();
	loc->addr = (uintptr_t)addr;
	loc->versions[0].number = 0;
	loc->versions[0].value = value;
	loc->nr = 1;
	loc->next = *bucket;
	*bucket = loc;
	return loc;
}

/* === What a thread saw of a location ====================================== */

static struct seen *seen_slot(struct thread *thread, struct location *loc)
{
	return &thread->seen[(loc->addr * 0x9e3779b97f4a7c15ULL) >> 56];
}

/* The number that a load of the location may not be older than */
static uint64_t oldest_allowed(struct location *loc)
{
	struct seen *seen = seen_slot(self, loc);

	return later(self->view, seen->addr == loc->addr ? seen->number : 0);
}

/* The thread does not see older values of this location any more. */
static void note_seen(struct thread *thread, struct location *loc,
		      uint64_t number)
{
	struct seen *seen = seen_slot(thread, loc);

	/* Another location needs the slot, so raise the view to be safe. */
	if (seen->addr && seen->addr != loc->addr)
		thread->view = later(thread->view, seen->number);
	*seen = (struct seen) { .addr = loc->addr, .number = number };
}

/* === Stores =============================================================== */

static bool has_pending(struct thread *thread, struct location *loc)
{
	for (unsigned int i = 0; i < thread->nr_pending; i++)
		if (thread->pending[i].location == loc)
			return true;
	return false;
}

/* ThreadSanitizer would see a memmove(), so this must not become one. */
static void remove_pending(struct thread *thread, unsigned int i)
{
	struct pending *pending = thread->pending;

	thread->nr_pending--;
	for (; i < thread->nr_pending; i++) {
		pending[i] = pending[i + 1];
		__asm__ volatile("" : : : "memory");
	}
}

/* Make the first delayed store to the same location as @i visible. */
static void commit(struct thread *thread, unsigned int i)
{
	struct location *loc = thread->pending[i].location;

	for (unsigned int first = 0; first < i; first++)
		if (thread->pending[first].location == loc)
			i = first;
	loc->versions[loc->nr++ % NR_VERSIONS] = (struct version) {
		.number = ++last_number,
		.value = thread->pending[i].value,
	};
	note_seen(thread, loc, last_number);
	remove_pending(thread, i);
	if (!has_pending(thread, loc))
		loc->delayed = NULL;
}

static void commit_all(void)
{
	while (self->nr_pending)
		commit(self, random_below(self->nr_pending));
}

/* Another thread is about to store to the location, which orders the stores. */
static void commit_others(struct location *loc)
{
	struct thread *thread = loc->delayed;

	if (!thread || thread == self)
		return;
	while (has_pending(thread, loc))
		for (unsigned int i = 0; i < thread->nr_pending; i++)
			if (thread->pending[i].location == loc)
				commit(thread, i);
}

static void delay(struct location *loc, uint64_t value)
{
	if (self->nr_pending == NR_PENDING)
		commit(self, random_below(NR_PENDING));
	loc->delayed = self;
	self->pending[self->nr_pending++] = (struct pending) {
		.location = loc,
		.value = value,
	};
}

void weak_store(void *addr, size_t size, uint64_t value,
		enum weak_order order)
{
	struct location *loc;

	if (!self) {
		put(addr, size, value);
		return;
	}
	tell_store(addr, order);
	lock();
	if (order == WEAK_ORDERED)
		commit_all();
	loc = find_location(addr) ?: add_location(addr, get(addr, size));
	commit_others(loc);
	put(addr, size, value);
	delay(loc, get(addr, size));
	unlock();
}

void weak_change(unsigned long *addr, unsigned long and,
		 unsigned long or)
{
	struct location *loc;

	if (!self) {
		*addr = (*addr & and) | or;
		return;
	}
	tell_store(addr, WEAK_RELAXED);
	lock();
	loc = find_location(addr) ?: add_location(addr, *addr);
	commit_others(loc);
	*addr = (*addr & and) | or;
	delay(loc, *addr);
	unlock();
}

/* === Loads ================================================================ */

/* Choose one of the values that a load may see. */
static struct version *choose(struct location *loc)
{
	uint64_t oldest = oldest_allowed(loc);
	unsigned int choices = 1, n = 1;

	/* The value before the first one that is too new is allowed, too. */
	while (choices < loc->nr && choices < NR_VERSIONS &&
	       loc->versions[(loc->nr - choices) % NR_VERSIONS].number > oldest)
		choices++;
	/* The newest and the oldest one are more likely than those between. */
	switch (random_below(3)) {
	case 0:
		break;
	case 1:
		n = choices;
		break;
	default:
		n = 1 + random_below(choices);
	}
	return &loc->versions[(loc->nr - n) % NR_VERSIONS];
}

uint64_t weak_load(const void *addr, size_t size,
		   enum weak_order order)
{
	struct location *loc;
	uint64_t value;

	if (!self)
		return get(addr, size);
	/* Let others run between two loads. */
	if (!random_below(256))
		sched_yield();
	lock();
	loc = find_location(addr);
	if (!loc || loc->delayed == self) {
		/* An ordinary location, or the thread's own store */
		value = get(addr, size);
	} else {
		struct version *version = choose(loc);

		value = version->value;
		note_seen(self, loc, version->number);
		self->latest = later(self->latest, version->number);
		if (order == WEAK_ORDERED)
			self->view = later(self->view, version->number);
	}
	unlock();
	tell_load(addr, order);
	return value;
}

/* === Barriers and locks =================================================== */

void weak_rmb(void)
{
	if (!self)
		return;
	lock();
	self->view = later(self->view, self->latest);
	unlock();
	tell_rmb();
}

void weak_wmb(void)
{
	if (!self)
		return;
	lock();
	commit_all();
	unlock();
	tell_wmb();
}

void weak_mb(void)
{
	if (!self)
		return;
	lock();
	commit_all();
	self->view = last_number;
	unlock();
	tell_rmb();
	tell_wmb();
}

/* ThreadSanitizer knows what locks order. */
void weak_locked(void)
{
	if (!self)
		return;
	lock();
	self->view = last_number;
	unlock();
}

void weak_unlocking(void)
{
	if (!self)
		return;
	lock();
	commit_all();
	unlock();
}

uint64_t weak_oldest(void)
{
	return self ? self->view : weak_newest();
}

uint64_t weak_newest(void)
{
	uint64_t number;

	lock();
	number = last_number;
	unlock();
	return number;
}

/* === Memory and threads come and go ======================================= */

void weak_forget(const void *start, size_t size)
{
	struct location **link, *loc;
	/* Large objects are bitmaps, which have no small members. */
	size_t step = size > 1024 ? sizeof(long) : 1;

	lock();
	for (uintptr_t addr = (uintptr_t)start;
	     addr < (uintptr_t)start + size; addr += step) {
		for (link = bucket_of(addr); (loc = *link); link = &loc->next)
			if (loc->addr == addr)
				break;
		if (!loc)
			continue;
		while (loc->delayed)
			commit(loc->delayed, loc->delayed->nr_pending - 1);
		*link = loc->next;
		loc->next = free_locations;
		free_locations = loc;
	}
	unlock();
}

void weak_start_thread(unsigned int index, uint64_t seed)
{
	if (index >= MAX_THREADS)
		abort();
	self = &threads[index];
	*self = (struct thread) {
		.random = (seed + index + 1) * 0x9e3779b97f4a7c15ULL,
		.fiber = __tsan_get_current_fiber(),
		.stores = __tsan_create_fiber(0),
		.loads = __tsan_create_fiber(0),
	};
	weak_locked();
}

void weak_end_thread(void)
{
	weak_unlocking();
	__tsan_destroy_fiber(self->stores);
	__tsan_destroy_fiber(self->loads);
	self = NULL;
}
