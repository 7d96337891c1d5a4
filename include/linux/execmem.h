/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory for dynamic kernel code and its data.
 *
 * The design is described in mm/execmem.c and Documentation/mm/execmem.rst.
 */
#ifndef _LINUX_EXECMEM_ALLOC_H
#define _LINUX_EXECMEM_ALLOC_H

#include <linux/cleanup.h>
#include <linux/jump_label.h>
#include <linux/moduleloader.h>
#include <linux/static_call.h>
#include <linux/types.h>

#if (defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KASAN_SW_TAGS)) && \
		!defined(CONFIG_KASAN_VMALLOC)
#include <linux/kasan.h>
#define MODULE_ALIGN (PAGE_SIZE << KASAN_SHADOW_SCALE_SHIFT)
#else
#define MODULE_ALIGN PAGE_SIZE
#endif

/**
 * enum execmem_type - what the memory is for
 * @EXECMEM_DEFAULT: stands for every type an architecture does not describe
 * @EXECMEM_MODULE_TEXT: text sections of modules, thunks that they call
 * @EXECMEM_KPROBES: out-of-line instruction slots of kprobes
 * @EXECMEM_FTRACE: ftrace trampolines
 * @EXECMEM_BPF: JITed BPF programs, trampolines, dispatchers, struct_ops images
 * @EXECMEM_MODULE_DATA: data sections of modules
 * @EXECMEM_BPF_CLASSIC: JITed programs that came in as classic BPF, which
 *	unprivileged users can load: branch predictors are flushed before such a
 *	program reuses addresses that held other code
 * @EXECMEM_MODULE_INIT_TEXT: text that a module needs during its init only
 * @EXECMEM_MODULE_RODATA: read-only data sections of modules
 * @EXECMEM_MODULE_INIT_RODATA: the same, during the module's init only
 * @EXECMEM_MODULE_INIT_DATA: data that a module needs during its init only
 * @EXECMEM_MODULE_RO_AFTER_INIT: data of modules that the loader makes read-only
 *	after their init
 * @EXECMEM_TYPE_MAX: number of types
 *
 * A type never says what the permissions are. The table that the architecture
 * hands to execmem_arch_setup() turns a type into permissions, placement and
 * granularity.
 */
enum execmem_type {
	EXECMEM_DEFAULT,
	EXECMEM_MODULE_TEXT = EXECMEM_DEFAULT,
	EXECMEM_KPROBES,
	EXECMEM_FTRACE,
	EXECMEM_BPF,
	EXECMEM_MODULE_DATA,
	EXECMEM_BPF_CLASSIC,
	EXECMEM_MODULE_INIT_TEXT,
	EXECMEM_MODULE_RODATA,
	EXECMEM_MODULE_INIT_RODATA,
	EXECMEM_MODULE_INIT_DATA,
	EXECMEM_MODULE_RO_AFTER_INIT,
	EXECMEM_TYPE_MAX,
};

/**
 * enum execmem_range_flags - behaviour of a type
 * @EXECMEM_KASAN_SHADOW: allocate KASAN shadow for each block
 * @EXECMEM_READONLY: blocks of a shared type are read-only before their first
 *	chunk is handed out
 * @EXECMEM_EXEC: blocks of a shared type are executable before their first
 *	chunk is handed out; only together with %EXECMEM_READONLY
 * @EXECMEM_ROX: both of the above
 * @EXECMEM_HUGE: map blocks of a shared type by huge pages where possible
 * @EXECMEM_RANDOMIZE: place blocks of a shared type at random
 * @EXECMEM_MERGE: the type has no memory of its own, it takes chunks of the
 *	type named by the mapto member of &struct execmem_range
 * @EXECMEM_FLUSH_PREDICTORS: flush branch predictors before a chunk is handed
 *	out at addresses that held code since the last flush
 * @EXECMEM_START_SMALL: with %EXECMEM_HUGE, begin with small blocks until what
 *	is used justifies huge pages, as on every machine with little memory
 * @EXECMEM_HUGE_ONLY: when the kernel does without huge pages, which is decided at
 *	boot, the type is neither shared nor merged: each allocation gets fresh pages
 *	with the pgprot of the table, aligned to %MODULE_ALIGN, and the caller
 *	manages their permissions. @seal and all flags but %EXECMEM_KASAN_SHADOW
 *	mean nothing then. A huge page that is merely missing changes nothing.
 * @EXECMEM_GUARD: give each chunk of a shared type a block and a guard page of
 *	its own; not for tables, set by the boot parameter execmem=guard
 */
enum execmem_range_flags {
	EXECMEM_KASAN_SHADOW	= (1 << 0),
	EXECMEM_READONLY	= (1 << 1),
	EXECMEM_EXEC		= (1 << 2),
	EXECMEM_ROX		= EXECMEM_READONLY | EXECMEM_EXEC,
	EXECMEM_HUGE		= (1 << 3),
	EXECMEM_RANDOMIZE	= (1 << 4),
	EXECMEM_MERGE		= (1 << 5),
	EXECMEM_FLUSH_PREDICTORS = (1 << 6),
	EXECMEM_START_SMALL	= (1 << 7),
	EXECMEM_GUARD		= (1 << 8),
	EXECMEM_HUGE_ONLY	= (1 << 9),
};

/**
 * struct execmem_range - how an architecture wants one type to be handled
 * @start: start of the address range
 * @end: end of the address range, the first address behind it
 * @fallback_start: start of a second range, used when the first is exhausted
 * @fallback_end: end of the second range
 * @pgprot: protection that new memory is mapped with. Memory of a shared type
 *	is written once under this protection, which therefore must not be
 *	executable, and then gets what @flags say.
 * @alignment: alignment of allocations, in bytes, a power of two. For a shared
 *	type also the unit that sizes are rounded up to.
 * @granularity: size of a block, in bytes, a power of two, at least a page and,
 *	with %EXECMEM_HUGE, at least what one huge page maps. A type
 *	is shared when this is larger than @alignment: its chunks are cut from
 *	common blocks. Otherwise, and when it is left at zero, each allocation
 *	gets fresh pages with @pgprot, whose permissions the caller manages.
 * @flags: see &enum execmem_range_flags
 * @mapto: with %EXECMEM_MERGE, the type to take chunks from. Every other member
 *	but @flags matters only where blocks cannot be huge: a type with a @start
 *	is not merged then.
 * @fill: write @len bytes at @src to @dst, which is inside a live chunk that
 *	may be read-only. May sleep, returns 0 or an error. %NULL is memcpy(),
 *	which does not do for %EXECMEM_READONLY.
 * @invalidate: make a freed chunk fit for its next owner: what is executable is
 *	overwritten with bytes that trap, what was sealed becomes writable. May
 *	sleep, returns 0 or an error. %NULL is memset() to zero, which does not do
 *	for %EXECMEM_READONLY.
 * @seal: make a chunk read-only, for types that are written in place until
 *	execmem_seal(); @invalidate has to undo it. May sleep, returns 0 or an
 *	error. Only where blocks are not huge and chunks are whole pages. %NULL
 *	changes no permission.
 * @trap: as @invalidate, but for memory that is still plainly writable and not
 *	yet executable. %NULL is memset() to zero, which does for %EXECMEM_EXEC
 *	only where zero is no valid instruction.
 */
struct execmem_range {
	unsigned long   start;
	unsigned long   end;
	unsigned long   fallback_start;
	unsigned long   fallback_end;
	pgprot_t        pgprot;
	unsigned int	alignment;
	unsigned int	granularity;
	enum execmem_range_flags flags;
	enum execmem_type mapto;
	int		(*fill)(void *dst, const void *src, size_t len);
	int		(*invalidate)(void *dst, size_t len);
	int		(*seal)(void *start, size_t len);
	void		(*trap)(void *dst, size_t len);
};

/**
 * struct execmem_info - architecture parameters for code allocations
 * @ranges: one entry for each type. Of entries without a start address and without
 *	%EXECMEM_MERGE, classic BPF is merged into %EXECMEM_BPF, init text of
 *	modules into %EXECMEM_MODULE_TEXT and the other kinds of module data into
 *	%EXECMEM_MODULE_DATA; all others inherit %EXECMEM_DEFAULT, module data with
 *	%PAGE_KERNEL.
 * @no_huge: why this machine cannot map blocks by huge pages, as a part of a
 *	sentence, or %NULL when it can
 */
struct execmem_info {
	struct execmem_range	ranges[EXECMEM_TYPE_MAX];
	const char		*no_huge;
};

/**
 * execmem_arch_setup - define parameters for allocations of executable memory
 *
 * A hook for architectures to describe the types. Without it, all types get
 * fresh pages from the vmalloc range.
 *
 * Context: Once at boot, before the first allocation.
 * Return: the table, which the allocator may modify and keeps using
 */
struct execmem_info *execmem_arch_setup(void);

/**
 * struct execmem_area - a live chunk, as seen by execmem_lookup()
 * @start: address of the first byte
 * @size: size in bytes, as rounded up by the allocator
 * @type: what the memory was allocated for; of types that are merged, the one
 *	that the others are merged into
 */
struct execmem_area {
	unsigned long		start;
	size_t			size;
	enum execmem_type	type;
};

/**
 * execmem_alloc - allocate memory for code or for data that belongs to code
 * @type: what the memory is for
 * @size: how many bytes are needed, not zero
 *
 * For a shared type (see &struct execmem_range) the memory has its final
 * permissions already, but for data that execmem_seal() makes read-only. Text reads
 * as trapping instructions. Writable memory may hold what its former owner left
 * there. The only way to write read-only memory is execmem_fill(). For any other
 * type the memory is page aligned, has the protection that the architecture gave,
 * and its permissions are up to the caller.
 *
 * Context: Process context, may sleep. May be called with text_mutex held: no
 *	text is patched to allocate. Interrupts are enabled, as TLBs may be flushed
 *	on all CPUs.
 * Return: the memory, aligned as the architecture's table says, or %NULL when
 *	@type is unknown, @size is zero or larger than the address range,
 *	there is no memory or address space left, or the architecture's table is
 *	not known yet or was rejected
 */
void *execmem_alloc(enum execmem_type type, size_t size);

/**
 * execmem_alloc_aligned - allocate memory with an alignment of the caller's
 * @type: what the memory is for
 * @size: how many bytes are needed, not zero
 * @align: alignment in bytes, a power of two; less than the architecture's table
 *	says for the type is the same as what it says
 *
 * See execmem_alloc().
 *
 * Context: As execmem_alloc().
 * Return: as execmem_alloc(), and %NULL when @align is not a power of two, or
 *	when it is above a page for a type that is not shared
 */
void *execmem_alloc_aligned(enum execmem_type type, size_t size, size_t align);

/**
 * execmem_fill - write a part of a chunk that is not sealed
 * @dst: where to write, anywhere inside a chunk; as for @len, an architecture
 *	with instructions of a fixed size may ask for multiples of it
 * @src: what to write; ordinary memory
 * @len: how many bytes to write; zero is allowed and writes nothing
 *
 * The write is not atomic and not synchronized with execution: publish the
 * address of the code only afterwards. Code that may be running is changed by
 * text patching instead. The chunk stays valid while it is written, even if
 * someone frees it meanwhile. Memory of a type that is not shared has to be
 * writable still, where the architecture has no hook for the type.
 *
 * Context: Process context, may sleep, as the architecture's fill hook does.
 *	text_mutex must not be held: the hooks of x86, powerpc and riscv take it.
 * Return: 0, -EINVAL when the range is not completely inside one live chunk or
 *	the chunk is sealed (nothing is written then, and the first such mistake
 *	is reported), or what the architecture's hook returned
 */
int execmem_fill(void *dst, const void *src, size_t len);

/**
 * execmem_seal - end the time in which a chunk can be filled
 * @ptr: the address execmem_alloc() returned
 *
 * From here on execmem_fill() refuses the chunk, so that a stray pointer cannot
 * be used to rewrite code which is live. A fill that has begun is not waited
 * for: do not seal what is being filled. Memory of a type that is written in place
 * until then, %EXECMEM_MODULE_RO_AFTER_INIT, becomes read-only where the type is
 * shared.
 *
 * Context: Process context. Sleeps where it makes memory read-only, and needs
 *	interrupts enabled then. May be called with text_mutex held.
 * Return: 0, -EINVAL when @ptr is not the start of a live chunk, nor is %NULL
 *	(nothing is done then, and the first such mistake is reported), or what the
 *	architecture's hook returned, as -ENOMEM when a huge page of the direct map
 *	cannot be split: the memory may be writable still. The chunk counts as
 *	sealed then, and may be sealed again or freed.
 */
int execmem_seal(void *ptr);

/**
 * execmem_free - free a chunk, sealed or not
 * @ptr: the address execmem_alloc() returned, or %NULL
 *
 * Text of a shared type is overwritten with trapping bytes before its addresses
 * can be reused. The caller must have waited until nobody executes the code any
 * more or holds its address, since the allocator waits for no grace period:
 *
 * ================== =====================================================
 * module text        synchronize_rcu() after the module left all lists
 * module data        the same
 * module init memory synchronize_rcu() after the module's range shrank, in a
 *                    work item
 * ITS thunks         no task is in the module, which alone calls them
 * kprobes            synchronize_rcu(), for optimized ones
 *                    synchronize_rcu_tasks() before
 * ftrace             synchronize_rcu_tasks_rude(), then
 *                    synchronize_rcu_tasks()
 * BPF programs,      call_rcu(), or call_rcu_tasks_trace() if the program can
 * also classic       sleep, and then a work item; seccomp counts users instead
 * BPF trampolines    call_rcu_tasks(), as tasks can be preempted in them, and
 *                    before that either call_rcu_tasks_trace(), as programs in
 *                    them can sleep, or their count of users and a first
 *                    call_rcu_tasks(); and then a work item
 * struct_ops images  both synchronize_rcu() and synchronize_rcu_tasks()
 * BPF dispatchers    synchronize_rcu() before a half is filled again; never freed
 * ================== =====================================================
 *
 * Memory that never became reachable can be freed at once. An address that is
 * not the start of a live chunk is ignored, and the first one is reported. What
 * cannot be overwritten is never used again.
 *
 * Context: Process context, may sleep. A call from an interrupt, or with
 *	softirqs disabled, is reported and leaks the memory. For shared types
 *	text_mutex must not be held, as the hooks take it. Allocates nothing, except
 *	that giving back a block of small pages may split huge pages of the direct
 *	map.
 */
void execmem_free(void *ptr);

/**
 * execmem_lookup - find the live chunk that an address is in
 * @addr: any address
 * @area: where to describe the chunk
 *
 * A chunk is live from execmem_alloc() until execmem_free() begins. For a chunk
 * that is neither allocated nor freed during the lookup the answer is right.
 * Otherwise it may be either, and the size may be wrong; for free memory that
 * takes chunks on both sides of it which come and go during the lookup.
 *
 * Context: Any, including NMI. Takes no lock. The time it takes grows with the
 *	distance of @addr from the start and the end of the chunk.
 * Return: true and @area filled in, or false when no live chunk is there
 */
bool execmem_lookup(unsigned long addr, struct execmem_area *area);

/**
 * execmem_chunk_align - alignment of the chunks of a shared read-only type
 * @type: a valid type
 *
 * For callers that rely on memory which is read-only without their doing.
 *
 * Context: Any, once the architecture's table is known.
 * Return: the alignment in bytes, or 0 when the type is not shared or not
 *	read-only
 */
size_t execmem_chunk_align(enum execmem_type type);

/**
 * execmem_is_shared - do chunks of a type share blocks?
 * @type: a valid type
 *
 * The size of a chunk need not be a multiple of a page then, and the caller must
 * not change permissions: neighbours are mapped by the same entry.
 *
 * Context: Any, once the architecture's table is known.
 * Return: true when they do
 */
bool execmem_is_shared(enum execmem_type type);

/* For __free(execmem), see linux/cleanup.h */
DEFINE_FREE(execmem, void *, if (_T) execmem_free(_T));

/*
 * Flushes the indirect branch predictors of all CPUs. An architecture that
 * needs it for %EXECMEM_FLUSH_PREDICTORS points the static call at its routine,
 * which is called with interrupts enabled and no lock of the allocator held, and
 * enables the key.
 */
void execmem_pred_flush(void);
DECLARE_STATIC_CALL(execmem_pred_flush, execmem_pred_flush);
DECLARE_STATIC_KEY_FALSE(execmem_pred_flush_enabled);

#if defined(CONFIG_EXECMEM) && !defined(CONFIG_ARCH_WANTS_EXECMEM_LATE)
void execmem_init(void);
#else
static inline void execmem_init(void) {}
#endif

#endif /* _LINUX_EXECMEM_ALLOC_H */
