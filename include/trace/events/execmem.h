/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM execmem

#if !defined(_TRACE_EXECMEM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_EXECMEM_H

#include <linux/execmem.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(EXECMEM_MODULE_TEXT);
TRACE_DEFINE_ENUM(EXECMEM_KPROBES);
TRACE_DEFINE_ENUM(EXECMEM_FTRACE);
TRACE_DEFINE_ENUM(EXECMEM_BPF);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_DATA);
TRACE_DEFINE_ENUM(EXECMEM_BPF_CLASSIC);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_INIT_TEXT);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_RODATA);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_INIT_RODATA);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_INIT_DATA);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_RO_AFTER_INIT);

#define show_execmem_type(type)						\
	__print_symbolic(type,						\
		{ EXECMEM_MODULE_TEXT,		"module_text" },	\
		{ EXECMEM_KPROBES,		"kprobes" },		\
		{ EXECMEM_FTRACE,		"ftrace" },		\
		{ EXECMEM_BPF,			"bpf" },		\
		{ EXECMEM_MODULE_DATA,		"module_data" },	\
		{ EXECMEM_BPF_CLASSIC,		"bpf_classic" },	\
		{ EXECMEM_MODULE_INIT_TEXT,	"module_init_text" },	\
		{ EXECMEM_MODULE_RODATA,	"module_rodata" },	\
		{ EXECMEM_MODULE_INIT_RODATA,	"module_init_rodata" },	\
		{ EXECMEM_MODULE_INIT_DATA,	"module_init_data" },	\
		{ EXECMEM_MODULE_RO_AFTER_INIT,	"module_ro_after_init" })

/*
 * execmem_alloc() was called. @size is the size in bytes that was asked for,
 * @addr is 0 if the allocation failed, and @flushed tells whether branch
 * predictors were flushed for it.
 */
TRACE_EVENT(execmem_alloc,

	TP_PROTO(enum execmem_type type, unsigned long addr, size_t size,
		 const void *caller, bool flushed),

	TP_ARGS(type, addr, size, caller, flushed),

	TP_STRUCT__entry(
		__field(int,		type)
		__field(unsigned long,	addr)
		__field(size_t,		size)
		__field(const void *,	caller)
		__field(bool,		flushed)
	),

	TP_fast_assign(
		__entry->type = type;
		__entry->addr = addr;
		__entry->size = size;
		__entry->caller = caller;
		__entry->flushed = flushed;
	),

	TP_printk("type=%s addr=%#lx size=%zu caller=%pS flushed=%d",
		  show_execmem_type(__entry->type), __entry->addr,
		  __entry->size, __entry->caller, __entry->flushed)
);

/*
 * A fill of @len bytes in a live chunk returns @err; by execmem_fill(),
 * execmem_fill_locked() or execmem_publish().
 */
TRACE_EVENT(execmem_fill,

	TP_PROTO(unsigned long addr, size_t len, int err),

	TP_ARGS(addr, len, err),

	TP_STRUCT__entry(
		__field(unsigned long,	addr)
		__field(size_t,		len)
		__field(int,		err)
	),

	TP_fast_assign(
		__entry->addr = addr;
		__entry->len = len;
		__entry->err = err;
	),

	TP_printk("addr=%#lx len=%zu err=%d",
		  __entry->addr, __entry->len, __entry->err)
);

/* A chunk of @size bytes was freed and is going to be overwritten. */
TRACE_EVENT(execmem_free,

	TP_PROTO(enum execmem_type type, unsigned long addr, size_t size),

	TP_ARGS(type, addr, size),

	TP_STRUCT__entry(
		__field(int,		type)
		__field(unsigned long,	addr)
		__field(size_t,		size)
	),

	TP_fast_assign(
		__entry->type = type;
		__entry->addr = addr;
		__entry->size = size;
	),

	TP_printk("type=%s addr=%#lx size=%zu",
		  show_execmem_type(__entry->type), __entry->addr,
		  __entry->size)
);

DECLARE_EVENT_CLASS(execmem_block,

	TP_PROTO(enum execmem_type type, unsigned long addr, size_t size,
		 bool huge),

	TP_ARGS(type, addr, size, huge),

	TP_STRUCT__entry(
		__field(int,		type)
		__field(unsigned long,	addr)
		__field(size_t,		size)
		__field(bool,		huge)
	),

	TP_fast_assign(
		__entry->type = type;
		__entry->addr = addr;
		__entry->size = size;
		__entry->huge = huge;
	),

	TP_printk("type=%s addr=%#lx size=%zu huge=%d",
		  show_execmem_type(__entry->type), __entry->addr,
		  __entry->size, __entry->huge)
);

/*
 * A block of @size bytes was added to the pool of @type, or a block of it was
 * enlarged by @size bytes at @addr.
 */
DEFINE_EVENT(execmem_block, execmem_grow,

	TP_PROTO(enum execmem_type type, unsigned long addr, size_t size,
		 bool huge),

	TP_ARGS(type, addr, size, huge)
);

/* A block of @size bytes is going to be given back. */
DEFINE_EVENT(execmem_block, execmem_shrink,

	TP_PROTO(enum execmem_type type, unsigned long addr, size_t size,
		 bool huge),

	TP_ARGS(type, addr, size, huge)
);

#endif /* _TRACE_EXECMEM_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
