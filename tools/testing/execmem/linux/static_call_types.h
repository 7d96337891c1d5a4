/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _EXECMEM_TEST_STATIC_CALL_TYPES_H
#define _EXECMEM_TEST_STATIC_CALL_TYPES_H

/* A static call without arguments is a pointer that a test can set. */
typedef void static_call_t(void);

#define DECLARE_STATIC_CALL(_name, _func)	extern static_call_t *call_##_name
#define DEFINE_STATIC_CALL_NULL(_name, _func)	static_call_t *call_##_name
#define static_call_cond(_name)			(call_##_name ?: call_nothing)

static inline void call_nothing(void)
{
}

#endif /* _EXECMEM_TEST_STATIC_CALL_TYPES_H */
