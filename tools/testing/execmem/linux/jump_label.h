/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_JUMP_LABEL_H
#define _EXECMEM_TEST_JUMP_LABEL_H

#include <stdbool.h>

/* A static key is a flag that a test can set. */
#define DECLARE_STATIC_KEY_FALSE(_name)		extern bool _name
#define DEFINE_STATIC_KEY_FALSE(_name)		bool _name
#define static_branch_unlikely(_key)		(*(_key))

#endif /* _EXECMEM_TEST_JUMP_LABEL_H */
