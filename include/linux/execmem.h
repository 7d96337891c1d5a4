/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_EXECMEM_ALLOC_H
#define _LINUX_EXECMEM_ALLOC_H

#include <linux/types.h>
#include <linux/moduleloader.h>
#include <linux/cleanup.h>
#include <linux/jump_label.h>
#include <linux/static_call_types.h>

#if (defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KASAN_SW_TAGS)) && \
		!defined(CONFIG_KASAN_VMALLOC)
#include <linux/kasan.h>
#define MODULE_ALIGN (PAGE_SIZE << KASAN_SHADOW_SCALE_SHIFT)
#else
#define MODULE_ALIGN PAGE_SIZE
#endif

/**
 * enum execmem_type - types of executable memory ranges
 *
 * There are several subsystems that allocate executable memory.
 * Architectures define different restrictions on placement,
 * permissions, alignment and other parameters for memory that can be used
 * by these subsystems.
 * Types in this enum identify subsystems that allocate executable memory
 * and let architectures define parameters for ranges suitable for
 * allocations by each subsystem.
 *
 * @EXECMEM_DEFAULT: default parameters that would be used for types that
 * are not explicitly defined. The same as @EXECMEM_MODULE_TEXT.
 * @EXECMEM_MODULE_TEXT: parameters for module text sections
 * @EXECMEM_KPROBES: parameters for kprobes
 * @EXECMEM_FTRACE: parameters for ftrace
 * @EXECMEM_BPF: parameters for BPF; for no other code, see
 *	Documentation/mm/execmem.rst
 * @EXECMEM_MODULE_DATA: parameters for module data sections
 * @EXECMEM_BPF_CLASSIC: JITed programs that were loaded as classic BPF.
 *	Unprivileged users can load these, so branch predictors are flushed
 *	before such a program is placed at addresses that held other code.
 * @EXECMEM_MODULE_INIT_TEXT: text of modules that is freed after their init
 * @EXECMEM_MODULE_RODATA: read-only data sections of modules
 * @EXECMEM_MODULE_INIT_RODATA: read-only data of modules that is freed after
 *	their init
 * @EXECMEM_MODULE_INIT_DATA: data of modules that is freed after their init
 * @EXECMEM_MODULE_RO_AFTER_INIT: data of modules that is made read-only after
 *	their init
 * @EXECMEM_TYPE_MAX:
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
 * enum execmem_range_flags - options for executable memory allocations
 * @EXECMEM_KASAN_SHADOW:	allocate kasan shadow
 * @EXECMEM_READONLY: make blocks of a shared type read-only before their first
 *	allocation
 * @EXECMEM_EXEC: make blocks of a shared type executable before their first
 *	allocation; requires %EXECMEM_READONLY
 * @EXECMEM_ROX: both of the above
 * @EXECMEM_HUGE: map blocks of a shared type by huge pages if possible
 * @EXECMEM_RANDOMIZE: with %EXECMEM_HUGE, choose random addresses for the
 *	blocks of a shared type and for the first chunk in a huge block
 * @EXECMEM_MERGE: the type has no pool of its own. It allocates from the pool
 *	of the type in the mapto member of &struct execmem_range.
 * @EXECMEM_FLUSH_PREDICTORS: flush branch predictors before an allocation at
 *	addresses that held other code since the last flush
 * @EXECMEM_START_HUGE: with %EXECMEM_HUGE, take a huge page for the first
 *	allocation, even if it is a large part of the machine's memory. Only
 *	tests use this.
 * @EXECMEM_HUGE_ONLY: share this type only if the kernel uses huge pages. If
 *	they are disabled at boot, the type is neither shared nor merged: each
 *	allocation gets pages of its own, with the pgprot of the table, aligned
 *	to %MODULE_ALIGN. The caller manages their permissions. Then @seal and
 *	all flags but %EXECMEM_KASAN_SHADOW are ignored. If no huge page is
 *	available for a block later, the type stays shared.
 * @EXECMEM_GUARD: give each allocation of a shared type a block and a guard
 *	page of its own. Set by the boot parameter execmem=guard, not by tables.
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
	EXECMEM_GUARD		= (1 << 8),
	EXECMEM_HUGE_ONLY	= (1 << 9),
	EXECMEM_START_HUGE	= (1 << 10),
};

/**
 * struct execmem_range - definition of an address space suitable for code and
 *			  related data allocations
 * @start:	address space start
 * @end:	address space end (exclusive)
 * @fallback_start: start of the secondary address space range for fallback
 *                  allocations on architectures that require it
 * @fallback_end:   end of the secondary address space (exclusive)
 * @pgprot:	permissions for memory in this address space. A block of a shared
 *	type is filled with trapping instructions or zeroes under these, so they
 *	must be writable and not executable. Then it gets the ones in @flags.
 * @alignment:	alignment required for allocations, in bytes, a power of two. For
 *	a shared type also the unit that sizes are rounded up to.
 * @granularity: size of a block in bytes, a power of two, at least a page. With
 *	%EXECMEM_HUGE at least what one huge page maps. With @seal, size of the
 *	first block; later ones may be larger. The type is shared if this is
 *	larger than @alignment. If it is 0 or not larger, each allocation gets
 *	pages of its own with @pgprot, and the caller manages their
 *	permissions.
 * @flags:	options for memory allocations for this range
 * @mapto: with %EXECMEM_MERGE, the type whose pool to allocate from. Of the
 *	other members, only %EXECMEM_FLUSH_PREDICTORS in @flags is then used. If
 *	huge pages are disabled, a type that has a @start is not merged, and all
 *	its members are used.
 * @fill: write @len bytes from @src to @dst, which is in a live chunk that may
 *	be read-only, and keep instruction caches coherent. May sleep. Returns 0
 *	or an error. If %NULL, memcpy() is used, so %EXECMEM_READONLY requires a
 *	function.
 * @fill_locked: do the same for a caller that holds the lock which @fill takes.
 *	%NULL if execmem_fill_locked() is not supported; not used without @fill.
 * @invalidate: prepare @len bytes at @dst of a freed chunk for the next owner.
 *	It overwrites executable memory with trapping instructions, keeps
 *	instruction caches coherent, and undoes @seal. May sleep. Returns 0 or
 *	an error. If %NULL, memory is zeroed by memset(), so %EXECMEM_READONLY
 *	requires a function. It may take text_mutex only for types with
 *	%EXECMEM_READONLY: memory of other types may also be invalidated during
 *	execmem_alloc(), whose caller may hold it.
 * @seal: make @len bytes at @start read-only, for types that are written in
 *	place until execmem_seal(). May sleep. Returns 0 or an error. Requires
 *	@invalidate, an @alignment of at least a page, no %EXECMEM_HUGE, and a
 *	shared type. If %NULL, sealing changes no permissions.
 * @prepare_seal: make the page tables that @seal needs for @len bytes at @start
 *	of a new block, so that @seal allocates nothing. May sleep, text_mutex
 *	may be held. Returns 0 or an error. If %NULL, @seal needs none.
 * @trap: fill @len bytes at @dst with the instructions that @invalidate writes,
 *	and keep instruction caches coherent: they may hold what was in these
 *	pages before. The memory is writable and not executable yet, and
 *	text_mutex may be held. If %NULL, it is zeroed by memset(), so for
 *	%EXECMEM_EXEC zero must not be a valid instruction.
 * @sync: make all CPUs discard instructions that they have already fetched, for
 *	a type that BPF programs share with modules, ftrace or kprobes. Called
 *	before a program is placed where code of these may have been. Modules
 *	synchronize all CPUs themselves before they are executed. Interrupts are
 *	enabled, text_mutex may be held. %NULL if no CPU can execute what it
 *	fetched before a change.
 * @restore: give the pages of @len bytes at @start, and their aliases, the
 *	permissions that pages of a shared type with @flags have, whatever the
 *	page table says, and flush TLBs if it said something else. May sleep,
 *	text_mutex may be held. Returns 1 if something was restored, 0 if there
 *	was nothing to do, or an error. %NULL if nobody can change permissions of
 *	pages of this type.
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
	int		(*fill_locked)(void *dst, const void *src, size_t len);
	int		(*invalidate)(void *dst, size_t len);
	int		(*seal)(void *start, size_t len);
	int		(*prepare_seal)(void *start, size_t len);
	void		(*trap)(void *dst, size_t len);
	void		(*sync)(void);
	int		(*restore)(void *start, size_t len,
				   enum execmem_range_flags flags);
};

/**
 * struct execmem_info - architecture parameters for code allocations
 * @ranges: array of parameter sets defining architecture specific
 * parameters for executable memory allocations. Ranges that an architecture
 * does not initialize use the parameters of @EXECMEM_DEFAULT or are merged into
 * others; Documentation/mm/execmem.rst has a table of them.
 * @no_huge: why this machine cannot use huge pages, for a message in the kernel
 *	log; %NULL if it can
 */
struct execmem_info {
	struct execmem_range	ranges[EXECMEM_TYPE_MAX];
	const char		*no_huge;
};

/**
 * execmem_arch_setup - define parameters for allocations of executable memory
 *
 * A hook for architectures to define parameters for allocations of
 * executable memory. These parameters should be filled into the
 * @execmem_info structure.
 *
 * For architectures that do not implement this method a default set of
 * parameters will be used
 *
 * Context: Called once at boot, before the first allocation.
 * Return: a structure defining architecture parameters and restrictions
 * for allocations of executable memory, which the allocator modifies and
 * continues to use, or %NULL for the default
 */
struct execmem_info *execmem_arch_setup(void);

/**
 * execmem_alloc - allocate executable memory
 * @type: type of the allocation
 * @size: how many bytes of memory are required, not 0
 *
 * Allocates memory that will contain executable code, either generated or
 * loaded from kernel modules.
 *
 * Allocates memory that will contain data coupled with executable code,
 * like data sections in kernel modules.
 *
 * The memory will have protections defined by architecture for executable
 * region of the @type.
 *
 * Memory of a shared type (see &struct execmem_range) has its final
 * permissions, except for data that execmem_seal() makes read-only. Text
 * consists of trapping instructions. Writable memory may hold what its former
 * owner left there. Read-only memory can only be written by execmem_fill(),
 * execmem_fill_locked(), execmem_publish() and text patching.
 *
 * Memory of a type that is not shared is page aligned, and the caller manages
 * its permissions.
 *
 * Context: Process context, may sleep. Interrupts must be enabled, since TLBs
 *	may be flushed on all CPUs. text_mutex may be held, since allocating
 *	patches no text.
 * Return: a pointer to the allocated memory, aligned as the architecture's table
 *	requires, or %NULL if memory or addresses are exhausted, @size is 0 or
 *	larger than the address range, @type is invalid, or the architecture's
 *	table is invalid or not known yet
 */
void *execmem_alloc(enum execmem_type type, size_t size);

/**
 * execmem_alloc_aligned - allocate executable memory with a larger alignment
 * @type: type of the allocation
 * @size: how many bytes of memory are required, not 0
 * @align: alignment in bytes, a power of two. If it is smaller than what the
 *	architecture's table requires, the latter is used.
 *
 * See execmem_alloc(). A shared type takes the lowest free memory that has room
 * for @size bytes at such an address. With a larger alignment than the table's,
 * the search also visits free memory that is large enough but begins at the
 * wrong address.
 *
 * Context: As execmem_alloc().
 * Return: as execmem_alloc(), and %NULL if @align is not a power of two
 */
void *execmem_alloc_aligned(enum execmem_type type, size_t size, size_t align);

/**
 * execmem_fill - write to an allocation that is not sealed
 * @dst: where to write, anywhere in the allocation. An architecture with
 *	instructions of a fixed size may require @dst and @len to be multiples
 *	of that.
 * @src: what to write, in ordinary memory
 * @len: size in bytes. 0 writes nothing, but @dst must still be valid.
 *
 * The write is neither atomic nor synchronized with execution. Make the code
 * reachable only afterwards, and change live code with the architecture's text
 * patching functions instead. If CPUs may execute what they fetched from these
 * addresses before, as on x86, all CPUs must be synchronized in between. Users
 * of BPF types need not do this. The allocator synchronizes CPUs before it hands
 * out memory for them that may have held other code; see "Executing" in
 * Documentation/mm/execmem.rst.
 *
 * A concurrent execmem_free() does not free the chunk before the write is
 * complete. If the type is not shared and has no fill hook, the memory must
 * still be writable, and the caller must keep instruction caches coherent.
 *
 * Context: Process context, may sleep. text_mutex must not be held, since the
 *	hooks of x86, powerpc and riscv take it.
 * Return: 0; -EINVAL if the range is not inside one live chunk, or the chunk is
 *	sealed (then nothing is written, and the first such error is reported);
 *	or the error of the architecture's hook (then a part may be written)
 */
int execmem_fill(void *dst, const void *src, size_t len);

/**
 * execmem_fill_locked - write to an allocation while text patching is locked
 * @dst: where to write, as for execmem_fill()
 * @src: what to write, in ordinary memory
 * @len: size in bytes
 *
 * Does what execmem_fill() does, for callers that hold the lock which the hook
 * takes, which is text_mutex on x86. The memory must not be freed meanwhile.
 *
 * Context: Process context, may sleep. text_mutex must be held.
 * Return: as execmem_fill(), and -EOPNOTSUPP if the architecture cannot do this
 *	for the type
 */
int execmem_fill_locked(void *dst, const void *src, size_t len);

/**
 * execmem_publish - write to an allocation for the last time, and seal it
 * @dst: where to write, as for execmem_fill()
 * @src: what to write, in ordinary memory
 * @len: size in bytes
 *
 * Does what execmem_fill() and then execmem_seal() do, but searches for the
 * allocation only once. Cannot be used for types with a seal hook, which are
 * written in place.
 *
 * Context: As execmem_fill().
 * Return: as execmem_fill(), and -EINVAL if the type has a seal hook. A call
 *	that fails does not seal the allocation.
 */
int execmem_publish(void *dst, const void *src, size_t len);

/**
 * execmem_seal - end the time in which an allocation can be filled
 * @ptr: the address that execmem_alloc() returned
 *
 * After this, execmem_fill() refuses the allocation, so that a stray pointer
 * cannot be used to overwrite live code. It does not wait for a fill in
 * progress: the caller must not seal while it fills.
 *
 * %EXECMEM_MODULE_RO_AFTER_INIT is written in place. If it is shared, this
 * makes it read-only.
 *
 * Context: Process context. text_mutex may be held. If the type has a seal
 *	hook, this sleeps, and interrupts must be enabled.
 * Return: 0; -EINVAL if @ptr is not the start of a live chunk (then nothing is
 *	done, and the first such error is reported); or the error of the
 *	architecture's hook. In the last case the chunk counts as sealed but may
 *	still be writable. It can be sealed again or freed.
 */
int execmem_seal(void *ptr);

/**
 * execmem_free - free executable memory
 * @ptr: pointer to the memory that should be freed, or %NULL
 *
 * Text of a shared type is overwritten with trapping instructions before its
 * addresses can be reused. The allocator waits for no grace period. Before the
 * call, the caller must ensure that no CPU and no preempted task is in the
 * code, and that nobody can still find its address. This is what the users wait
 * for:
 *
 * ================== =====================================================
 * module text        synchronize_rcu() after the module left all lists
 * module data        the same
 * module init memory synchronize_rcu() in a work item, after it was removed from
 *                    mod->mem[] and from the tree of modules
 * ITS thunks         nothing: only their module calls them, and they are freed
 *                    when none of its code can run any more
 * kprobes            synchronize_rcu_tasks() for slots of optimized kprobes, else
 *                    synchronize_rcu(); then, in a work item, synchronize_rcu()
 *                    after their page was removed from the list
 * ftrace             synchronize_rcu_tasks_rude(), then
 *                    synchronize_rcu_tasks()
 * BPF programs       call_rcu(), or call_rcu_tasks_trace() if the program can
 *                    sleep, then a work item; seccomp counts the users of its
 *                    classic programs instead
 * BPF trampolines    if they call the traced function: call_rcu_tasks(), then
 *                    their reference count; else call_rcu_tasks_trace(), since
 *                    programs in them can sleep. After either, call_rcu_tasks(),
 *                    since tasks can be preempted in them; then a work item
 * struct_ops images  both synchronize_rcu() and synchronize_rcu_tasks()
 * BPF dispatchers    never freed; synchronize_rcu() before a half is reused
 * ================== =====================================================
 *
 * Memory that was never reachable can be freed at once. An address that is not
 * the start of a live chunk is ignored, and the first such error is reported. A
 * chunk that cannot be overwritten is never used again.
 *
 * Context: Process context, may sleep. text_mutex must not be held for a shared
 *	type, since the hooks take it. A call from an interrupt or with softirqs
 *	disabled is reported and leaks the memory. No memory is allocated, with
 *	two exceptions: freeing memory of a type that is not shared, and undoing
 *	what others changed, may split huge pages of the direct map.
 * Return: size in bytes of what was freed, as rounded up by the allocator; 0 if
 *	nothing was freed
 */
size_t execmem_free(void *ptr);

/**
 * execmem_retire - free executable memory that somebody may still use by mistake
 * @ptr: pointer to the memory that should be freed, or %NULL
 * @owner: name of the module that it belongs to, for reports; copied
 *
 * Like execmem_free(), and the same rules apply. In addition, memory of a
 * shared type is put in quarantine for some seconds: its place is not handed
 * out, and writable memory is filled with poison. If a CPU executes it in this
 * time, it traps. A write to writable memory is reported when the quarantine
 * ends. The quarantine ends early if much memory is retired, or if memory or
 * addresses are short.
 *
 * If somebody refers to a page of the memory, it is held until nobody does, and
 * put in quarantine only then. Data that is held keeps its contents.
 *
 * There is no quarantine if a fill of the memory is in progress, or with
 * execmem=guard. Memory that was never reachable needs none: use
 * execmem_free().
 *
 * Context: As execmem_free(), but memory is allocated.
 */
void execmem_retire(void *ptr, const char *owner);

/**
 * struct execmem_area - an allocation, as execmem_lookup() found it
 * @start: address of the first byte
 * @size: size in bytes, as rounded up by the allocator
 * @type: the type that was asked for, even if it is merged into another one
 */
struct execmem_area {
	unsigned long		start;
	size_t			size;
	enum execmem_type	type;
};

/**
 * execmem_lookup - find the allocation that an address is in
 * @addr: any address
 * @area: filled in if an allocation is found
 *
 * An allocation is live from execmem_alloc() until execmem_free() begins. The
 * answer is right if the allocation at @addr is neither allocated nor freed
 * during the lookup. Otherwise, the answer may be true or false. If the answer
 * is true, start and size are right in any case. Nothing keeps the allocation
 * live after the lookup.
 *
 * Context: Any, including NMI. Takes no lock. The time grows with the distance
 *	of @addr from the start and the end of the allocation.
 * Return: true if @addr is in a live allocation, else false
 */
bool execmem_lookup(unsigned long addr, struct execmem_area *area);

/**
 * execmem_is_readonly - is memory of a type read-only from the start?
 * @type: a valid type
 *
 * If so, the type is shared, all of its memory has its final permissions, and
 * only execmem_fill(), execmem_fill_locked(), execmem_publish() and text
 * patching can write to it.
 *
 * Context: Any, after execmem_arch_setup().
 * Return: true if it is read-only, else false
 */
bool execmem_is_readonly(enum execmem_type type);

/**
 * execmem_unit_size - what sizes of allocations are rounded up to
 * @type: a valid type
 *
 * Context: Any, after execmem_arch_setup().
 * Return: the size in bytes, a power of two; 0 if the architecture's table is
 *	invalid
 */
size_t execmem_unit_size(enum execmem_type type);

/**
 * execmem_is_shared - do allocations of a type share blocks?
 * @type: a valid type
 *
 * If so, sizes need not be multiples of a page, and callers must not rely on
 * changing permissions. For a page that also holds other memory, set_memory_*()
 * fails on x86; elsewhere it changes the permissions of that memory, too.
 *
 * Context: Any, after execmem_arch_setup().
 * Return: true if they share blocks, else false
 */
bool execmem_is_shared(enum execmem_type type);

#ifdef CONFIG_EXECMEM
/**
 * execmem_exceeds - does memory extend beyond the end of an allocation?
 * @ptr: first address
 * @size: size in bytes, not 0
 * @offset: set to the offset of @ptr in its allocation, in bytes, if that is of
 *	a shared type; else unchanged
 *
 * For checks of what is copied from or to memory of modules: there may be
 * memory of others right after an allocation of a shared type.
 *
 * Context: Any, including NMI; see execmem_lookup().
 * Return: true if @ptr is in a live allocation of a shared type and @size bytes
 *	from there extend beyond its end, else false
 */
bool execmem_exceeds(const void *ptr, size_t size, size_t *offset);

/* Around changes of permissions by set_memory_*(); see mm/execmem_perm.c */
int execmem_change_begin(unsigned long addr, size_t size);
void execmem_change_end(unsigned long addr);
#else
static inline bool execmem_exceeds(const void *ptr, size_t size, size_t *offset)
{
	return false;
}

static inline int execmem_change_begin(unsigned long addr, size_t size)
{
	return 0;
}

static inline void execmem_change_end(unsigned long addr) {}
#endif

void __execmem_check_user_map(unsigned long pfn, unsigned long nr);

/* Called before @nr pages are mapped to user space. */
static inline void execmem_check_user_map(unsigned long pfn, unsigned long nr)
{
	if (IS_ENABLED(CONFIG_EXECMEM_DEBUG))
		__execmem_check_user_map(pfn, nr);
}

/* Frees an execmem allocation at the end of a scope: __free(execmem) */
DEFINE_FREE(execmem, void *, if (_T) execmem_free(_T));

/*
 * Flushes the indirect branch predictors of all CPUs, for
 * %EXECMEM_FLUSH_PREDICTORS. An architecture that needs it updates the static
 * call and enables the static key. Called in process context, with interrupts
 * enabled and no lock of the allocator held.
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
