/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_CLEANUP_H
#define _EXECMEM_TEST_CLEANUP_H

/* The tests do not use scope-based cleanup. */
#define DEFINE_FREE(...)	struct no_cleanup

#endif /* _EXECMEM_TEST_CLEANUP_H */
