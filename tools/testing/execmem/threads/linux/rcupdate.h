/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_THREADS_RCUPDATE_H
#define _EXECMEM_THREADS_RCUPDATE_H

#include <linux/compiler.h>
#include <linux/rbtree.h>

/* The part that linux/rbtree_latch.h uses */
#define rcu_dereference_raw(_p)		smp_load_acquire(&(_p))

static inline void rb_link_node_rcu(struct rb_node *node, struct rb_node *parent,
				    struct rb_node **link)
{
	node->__rb_parent_color = (unsigned long)parent;
	node->rb_left = NULL;
	node->rb_right = NULL;
	smp_store_release(link, node);
}

#endif /* _EXECMEM_THREADS_RCUPDATE_H */
