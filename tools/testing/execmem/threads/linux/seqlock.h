/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_THREADS_SEQLOCK_H
#define _EXECMEM_THREADS_SEQLOCK_H

#include <linux/compiler.h>

/* The part that linux/rbtree_latch.h uses */
typedef struct {
	unsigned int sequence;
} seqcount_latch_t;

static inline void raw_write_seqcount_latch(seqcount_latch_t *s)
{
	smp_wmb();
	WRITE_ONCE(s->sequence, s->sequence + 1);
	smp_wmb();
}

static inline unsigned int raw_read_seqcount_latch(const seqcount_latch_t *s)
{
	return smp_load_acquire(&s->sequence);
}

static inline int raw_read_seqcount_latch_retry(const seqcount_latch_t *s,
						unsigned int start)
{
	smp_rmb();
	return READ_ONCE(s->sequence) != start;
}

#endif /* _EXECMEM_THREADS_SEQLOCK_H */
