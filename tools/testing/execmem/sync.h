/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks, atomics, bitmaps and RCU of a single thread.
 *
 * Actions of other threads are simulated by the callbacks in &struct shim.
 * threads/sync.h replaces this where there are several threads.
 */
#ifndef _EXECMEM_TEST_SYNC_H
#define _EXECMEM_TEST_SYNC_H

#define ONE_THREAD		true

/* === Locks ================================================================ */

/**
 * struct lock - a mutex or a spinlock
 * @held: true while it is held
 */
struct lock {
	bool held;
};

#define spinlock_t		struct lock
#define mutex			lock
#define DEFINE_SPINLOCK(_name)	struct lock _name

#define spin_lock_init(_lock)	(*(_lock) = (struct lock) {})
#define mutex_init(_lock)	(*(_lock) = (struct lock) {})

void spin_lock(struct lock *lock);
void spin_unlock(struct lock *lock);
bool spin_trylock(struct lock *lock);
void mutex_lock(struct lock *lock);
void mutex_unlock(struct lock *lock);

/* The caller may sleep, so it must not hold a spinlock. */
void might_sleep(void);
/*
 * The caller may wait for another task that holds a lock, so it must hold none.
 */
void no_lock_held(void);

#define lockdep_assert_held(_lock)	((void)EXPECT((_lock)->held))
#define lockdep_assert_not_held(_lock)	((void)EXPECT(!(_lock)->held))

/* === Atomics ============================================================== */

typedef struct {
	s64 counter;
} atomic64_t;

#define ATOMIC64_INIT(_i)	{ (_i) }

static inline s64 atomic64_read(const atomic64_t *v)
{
	return v->counter;
}

static inline void atomic64_set(atomic64_t *v, s64 i)
{
	v->counter = i;
}

static inline s64 atomic64_inc_return(atomic64_t *v)
{
	return ++v->counter;
}

static inline bool atomic64_try_cmpxchg(atomic64_t *v, s64 *old, s64 new)
{
	if (v->counter != *old) {
		*old = v->counter;
		return false;
	}
	v->counter = new;
	return true;
}

#define smp_wmb()		barrier()
#define smp_rmb()		shim_rmb()

/* Another thread may act before a barrier, and before a read that may race. */
#define data_race(_expr)	(shim_rmb(), (_expr))

void shim_rmb(void);

/* === RCU: readers and writers never run concurrently ====================== */

struct rcu_head {
	struct rcu_head *next;
};

void rcu_read_lock(void);
void rcu_read_unlock(void);
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));

/* Memory is given back; @object has been in use. */
static inline void sync_forget(void *object)
{
}

#endif /* _EXECMEM_TEST_SYNC_H */
