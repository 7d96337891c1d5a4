/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_SEQLOCK_H
#define _EXECMEM_TEST_SEQLOCK_H

/* The part that linux/rbtree_latch.h uses, for a single thread */
typedef struct {
	unsigned int sequence;
} seqcount_latch_t;

static inline void raw_write_seqcount_latch(seqcount_latch_t *s)
{
	s->sequence++;
}

static inline unsigned int raw_read_seqcount_latch(const seqcount_latch_t *s)
{
	return s->sequence;
}

static inline int raw_read_seqcount_latch_retry(const seqcount_latch_t *s,
						unsigned int start)
{
	return s->sequence != start;
}

#endif /* _EXECMEM_TEST_SEQLOCK_H */
