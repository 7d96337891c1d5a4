// SPDX-License-Identifier: GPL-2.0
/*
 * Locks and RCU for real threads.
 */

#include "../execmem_kernel.h"

static _Thread_local unsigned int spinlocks_held;
static _Thread_local unsigned int mutexes_held;
static _Thread_local unsigned int rcu_readers;

bool lock_is_mine(const struct lock *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) ==
		&spinlocks_held;
}

static void taken(struct lock *lock)
{
	__atomic_store_n(&lock->owner, &spinlocks_held, __ATOMIC_RELAXED);
	weak_locked();
}

static void take(struct lock *lock)
{
	if (pthread_mutex_lock(&lock->pthread))
		abort();
	taken(lock);
}

static void release(struct lock *lock)
{
	EXPECT(lock_is_mine(lock));
	weak_unlocking();
	__atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
	if (pthread_mutex_unlock(&lock->pthread))
		abort();
}

/* No two spinlocks are ever held together. */
void spin_lock(struct lock *lock)
{
	EXPECT(!spinlocks_held);
	take(lock);
	spinlocks_held++;
}

bool spin_trylock(struct lock *lock)
{
	EXPECT(!spinlocks_held);
	if (pthread_mutex_trylock(&lock->pthread))
		return false;
	taken(lock);
	spinlocks_held++;
	return true;
}

void spin_unlock(struct lock *lock)
{
	spinlocks_held--;
	release(lock);
}

void mutex_lock(struct lock *lock)
{
	might_sleep();
	take(lock);
	mutexes_held++;
}

void mutex_unlock(struct lock *lock)
{
	mutexes_held--;
	release(lock);
}

/* With real threads, nothing is simulated. */
void run_elsewhere(void (**callback)(void))
{
}

void might_sleep(void)
{
	EXPECT(!spinlocks_held);
	EXPECT(!rcu_readers);
}

void no_lock_held(void)
{
	might_sleep();
	EXPECT(!mutexes_held);
}

/* === RCU ================================================================== */

static pthread_mutex_t callbacks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_head *callbacks;

void rcu_read_lock(void)
{
	rcu_readers++;
}

void rcu_read_unlock(void)
{
	EXPECT(rcu_readers);
	rcu_readers--;
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	EXPECT(!rcu_readers);
	head->func = func;
	pthread_mutex_lock(&callbacks_lock);
	head->next = callbacks;
	callbacks = head;
	pthread_mutex_unlock(&callbacks_lock);
}

void end_grace_period(void)
{
	while (callbacks) {
		struct rcu_head *head = callbacks;

		callbacks = head->next;
		head->func(head);
	}
}
