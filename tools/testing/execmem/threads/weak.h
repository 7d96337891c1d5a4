/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of memory that reorders marked accesses, see weak.c.
 */
#ifndef _EXECMEM_THREADS_WEAK_H
#define _EXECMEM_THREADS_WEAK_H

#include <stddef.h>
#include <stdint.h>

enum weak_order {
	WEAK_RELAXED,
	WEAK_ORDERED,	/* a load that acquires, or a store that releases */
};

/* Marked accesses of 1, 2, 4 or 8 bytes */
uint64_t weak_load(const void *addr, size_t size,
		   enum weak_order order);
void weak_store(void *addr, size_t size, uint64_t value,
		enum weak_order order);
/* Atomically set memory to (its value & @and) | @or. */
void weak_change(unsigned long *addr, unsigned long and,
		 unsigned long or);

void weak_rmb(void);
void weak_wmb(void);
void weak_mb(void);

/* To be called after a lock is taken, and before it is released */
void weak_locked(void);
void weak_unlocking(void);

/* The memory is freed, and is ordinary memory until the next marked store. */
void weak_forget(const void *start, size_t size);

/*
 * Stores are numbered in the order in which they become visible. A thread sees
 * all stores up to the number that weak_oldest() returns. weak_newest() returns
 * the latest number.
 */
uint64_t weak_oldest(void);
uint64_t weak_newest(void);

/* A thread calls these before its first and after its last access. */
void weak_start_thread(unsigned int index, uint64_t seed);
void weak_end_thread(void);

/*
 * ThreadSanitizer does not see what weak.c does. Show it that there was an
 * atomic write. This has to be expanded in code that is instrumented.
 */
#define weak_show_write(_addr)						\
	((void)__atomic_fetch_or((unsigned char *)(_addr), 0,	\
				 __ATOMIC_RELAXED))

#define weak_write(_addr, _size, _value, _order)			\
do {									\
	void *__addr = (void *)(_addr);					\
									\
	weak_store(__addr, _size, _value, _order);			\
	weak_show_write(__addr);					\
} while (0)

#define smp_rmb()			weak_rmb()
#define smp_wmb()			weak_wmb()
#define smp_mb()			weak_mb()
#define smp_mb__before_atomic()		weak_mb()
#define smp_mb__after_atomic()		weak_mb()

#endif /* _EXECMEM_THREADS_WEAK_H */
