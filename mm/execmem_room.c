// SPDX-License-Identifier: GPL-2.0
/*
 * Room in the kernel image: text that is mapped with the image and not used by
 * it. BPF programs that are placed there take neither memory nor entries of the
 * page table.
 *
 * It is a pool of its own, so that nothing else is placed there by mistake:
 *
 * - Text of modules is not, since much of the kernel takes a reference to the
 *   module of an address unless the address is in the image.
 * - Classic BPF is not, since users without privileges can load it, and would
 *   learn where the kernel is, or place code where they know the address.
 *
 * The memory of this pool is not counted when other pools decide how to grow.
 * It is one block that always stays. Programs are placed there first; when it is
 * full, in the pool of their type.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include "execmem_internal.h"

/* Constant after boot, since is_text_room() relies on them in any context */
unsigned long text_room_start __ro_after_init;
unsigned long text_room_size __ro_after_init;

DEFINE_STATIC_KEY_FALSE(execmem_room_is_open);

static struct execmem_pool room_pool;

/**
 * execmem_room_init - prepare the room in the kernel image
 * @range: its description, with %EXECMEM_FIXED; not copied
 *
 * Nothing is placed there before execmem_open_room().
 *
 * Context: Boot.
 */
void __init execmem_room_init(const struct execmem_range *range)
{
	text_room_start = range->start;
	text_room_size = range->end - range->start;
	execmem_pool_init(&room_pool, "image_room", EXECMEM_BPF, range);
}

void execmem_open_room(void)
{
	if (WARN_ON_ONCE(!text_room_size))
		return;
	pr_info("BPF programs may use %lu kB of unused text in the kernel image\n",
		text_room_size / SZ_1K);
	static_branch_enable(&execmem_room_is_open);
}

/**
 * execmem_room_alloc - allocate from the room in the kernel image
 * @size: size in bytes
 * @align: alignment in bytes, a power of two
 * @caller: return address of the caller, for debugging
 *
 * Context: As execmem_alloc(). execmem_may_use_room() was true.
 * Return: as execmem_alloc(); %NULL if it is full
 */
void *execmem_room_alloc(size_t size, size_t align, void *caller)
{
	return execmem_pool_alloc_caller(&room_pool, EXECMEM_BPF, size, align, false,
					 caller);
}

/**
 * execmem_room - the pool of the room in the kernel image
 *
 * Context: Any.
 * Return: the pool, or %NULL if the room is not open
 */
struct execmem_pool *execmem_room(void)
{
	return static_branch_unlikely(&execmem_room_is_open) ? &room_pool : NULL;
}
