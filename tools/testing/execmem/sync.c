// SPDX-License-Identifier: GPL-2.0
/*
 * Locks and RCU of a single thread: they check that each function is called
 * under the locks that it needs, and under no others.
 */

#include "execmem_kernel.h"

static unsigned int spinlocks_held;
static unsigned int mutexes_held;

/* No two spinlocks are ever held together. */
void spin_lock(struct lock *lock)
{
	EXPECT(!spinlocks_held);
	spinlocks_held++;
	lock->held = true;
}

bool spin_trylock(struct lock *lock)
{
	if (lock->held)
		return false;
	spin_lock(lock);
	return true;
}

void spin_unlock(struct lock *lock)
{
	EXPECT(lock->held);
	spinlocks_held--;
	lock->held = false;
}

void mutex_lock(struct lock *lock)
{
	might_sleep();
	run_once(&shim.before_mutex);
	EXPECT(!lock->held);
	mutexes_held++;
	lock->held = true;
}

void mutex_unlock(struct lock *lock)
{
	EXPECT(lock->held);
	mutexes_held--;
	lock->held = false;
}

/* What another thread does meanwhile, which does not hold this one's mutexes */
void run_elsewhere(void (**callback)(void))
{
	unsigned int held = mutexes_held;

	mutexes_held = 0;
	run_once(callback);
	mutexes_held = held;
}

static unsigned int rcu_readers;

void might_sleep(void)
{
	EXPECT(!spinlocks_held);
	EXPECT(!rcu_readers);
}

void rcu_read_lock(void)
{
	rcu_readers++;
}

void rcu_read_unlock(void)
{
	EXPECT(rcu_readers);
	rcu_readers--;
}

/* Another thread may change the data that a reader is reading. */
void shim_rmb(void)
{
	unsigned int readers = rcu_readers;

	rcu_readers = 0;
	run_once(&shim.in_lookup);
	rcu_readers = readers;
}

/* There is one thread, so a grace period is over if the caller is no reader. */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	EXPECT(!rcu_readers);
	func(head);
}

void no_lock_held(void)
{
	might_sleep();
	EXPECT(!mutexes_held);
}
