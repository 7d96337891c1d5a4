/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_RCUPDATE_H
#define _EXECMEM_TEST_RCUPDATE_H

/* The part that linux/rbtree_latch.h uses, for a single thread */
#define rcu_dereference_raw(_p)			(_p)
#define rb_link_node_rcu(_node, _parent, _link)	rb_link_node(_node, _parent, _link)

#endif /* _EXECMEM_TEST_RCUPDATE_H */
