/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks, atomics, bitmaps and RCU for real threads, under ThreadSanitizer.
 *
 * This replaces ../sync.h. Barriers and marked accesses are in weak.h.
 */
#ifndef _EXECMEM_TEST_SYNC_H
#define _EXECMEM_TEST_SYNC_H

#include <malloc.h>
#include <pthread.h>

#include "weak.h"

/* Fields of other threads may change at any time. */
#define ONE_THREAD		false

/* === Locks ================================================================ */

/**
 * struct lock - a mutex or a spinlock
 * @pthread: the lock
 * @owner: address of a variable of the thread that holds it, or %NULL. A thread
 *	that does not hold it may read this at any time: only whether it is the
 *	thread itself matters, which nobody else changes.
 */
struct lock {
	pthread_mutex_t pthread;
	const void *owner;
};

#define spinlock_t		struct lock
#define mutex			lock
#define DEFINE_SPINLOCK(_name)	\
	struct lock _name = { .pthread = PTHREAD_MUTEX_INITIALIZER }

#define spin_lock_init(_lock)						\
	(*(_lock) = (struct lock) { .pthread = PTHREAD_MUTEX_INITIALIZER })
#define mutex_init(_lock)	spin_lock_init(_lock)

void spin_lock(struct lock *lock);
void spin_unlock(struct lock *lock);
bool spin_trylock(struct lock *lock);
void mutex_lock(struct lock *lock);
void mutex_unlock(struct lock *lock);
bool lock_is_mine(const struct lock *lock);

void might_sleep(void);
void no_lock_held(void);

#define lockdep_assert_held(_lock)	((void)EXPECT(lock_is_mine(_lock)))
#define lockdep_assert_not_held(_lock)	((void)EXPECT(!lock_is_mine(_lock)))

/* === Atomics, which weak.c does not reorder =============================== */

typedef struct {
	s64 counter;
} atomic64_t;

#define ATOMIC64_INIT(_i)	{ (_i) }

static inline s64 atomic64_read(const atomic64_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic64_set(atomic64_t *v, s64 i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline s64 atomic64_inc_return(atomic64_t *v)
{
	return __atomic_add_fetch(&v->counter, 1, __ATOMIC_SEQ_CST);
}

static inline bool atomic64_try_cmpxchg(atomic64_t *v, s64 *old, s64 new)
{
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* An expression that may race, as its author says; weak.c reads for it. */
#define data_race(_expr)	(_expr)

/* === Bitmaps ============================================================== */

/*
 * The kernel's functions with underscores are not atomic, but others may read at
 * the same time.
 */
#undef set_bit
#undef clear_bit
#undef __set_bit
#undef __clear_bit
#undef test_bit
#define set_bit(_bit, _map)	change_bits(_bit, _map, true)
#define clear_bit(_bit, _map)	change_bits(_bit, _map, false)
#define __set_bit(_bit, _map)	change_bits(_bit, _map, true)
#define __clear_bit(_bit, _map)	change_bits(_bit, _map, false)
#define test_bit(_bit, _map)						\
	(READ_ONCE((_map)[(_bit) / BITS_PER_LONG]) >>			\
	 (_bit) % BITS_PER_LONG & 1)

static inline void change_bits(unsigned long bit, unsigned long *map, bool set)
{
	unsigned long *word = &map[bit / BITS_PER_LONG];
	unsigned long mask = 1UL << bit % BITS_PER_LONG;

	weak_change(word, ~mask, set ? mask : 0);
	weak_show_write(word);
}

/* === RCU: a grace period ends when all threads rest ======================= */

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

void rcu_read_lock(void);
void rcu_read_unlock(void);
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
/* All threads rest: call what call_rcu() was called with. */
void end_grace_period(void);

static inline void sync_forget(void *object)
{
	weak_forget(object, malloc_usable_size(object));
}

#endif /* _EXECMEM_TEST_SYNC_H */
