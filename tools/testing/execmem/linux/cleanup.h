/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_CLEANUP_H
#define _EXECMEM_TEST_CLEANUP_H

/* The test has no use for scope-based cleanup. */
#define DEFINE_FREE(...)	struct no_cleanup

#endif /* _EXECMEM_TEST_CLEANUP_H */
