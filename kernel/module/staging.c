// SPDX-License-Identifier: GPL-2.0
/*
 * Module memory that is read-only when it is allocated.
 *
 * The loader cannot write such memory in place. It builds the contents in a
 * copy in ordinary memory instead, with the values for the final address:
 * relocations, sorted tables, and on x86 also mitigations and alternatives.
 * When the copy is complete, execmem_publish() writes it once. Until then, text
 * at the final address consists of trapping instructions.
 *
 * Published text is "fresh" until module_enter_text(). No CPU can have executed
 * it, so static keys, static calls and ftrace patch it without breakpoints and
 * without synchronizing CPUs. module_enter_text() synchronizes all CPUs once.
 */

#include <linux/execmem.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "internal.h"

/*
 * Bytes after the copy that may be read. Instruction decoders read up to the
 * maximum length of an instruction, even if the last one is shorter.
 */
#define COPY_SLACK	16

/**
 * struct staging - one kind of memory of a module that is being loaded
 * @list: entry in stagings. Changed under stagings_lock, and for published text
 *	also under text_mutex. Read under RCU.
 * @rcu: for freeing this after a grace period
 * @base: final address; constant
 * @size: size in bytes; constant
 * @copy: where the contents are built, %NULL after they are published. Written
 *	and freed only by the task that loads the module.
 *
 * The loading task may use its own entries without a lock, since no other task
 * removes them. The exception is a livepatch, which may call
 * module_enter_text() for published text. RCU protects walks past entries of
 * other modules. Text stays listed until just before it can be executed.
 */
struct staging {
	struct list_head list;
	struct rcu_head rcu;
	void *base;
	size_t size;
	void *copy;
};

static LIST_HEAD(stagings);
static DEFINE_SPINLOCK(stagings_lock);
/*
 * Held while text stops being fresh and until all CPUs are synchronized. So a
 * task for which module_enter_text() has nothing to do any more may execute the
 * text, even if another task did it. Taken before text_mutex.
 */
static DEFINE_MUTEX(entering_mutex);

/* Find the entry for an address of module memory. Called under RCU. */
static struct staging *find_staging(const void *addr)
{
	struct staging *staging;

	list_for_each_entry_rcu(staging, &stagings, list)
		if ((size_t)(addr - staging->base) < staging->size)
			return staging;
	return NULL;
}

/*
 * Find the entry for memory of a module that the caller keeps from being
 * unloaded. Init text can still be freed concurrently. This is safe: the loader
 * clears mem->base and waits for a grace period before that address is
 * allocated again, so the entry of another module is never found.
 */
static struct staging *own_staging(const struct module_memory *mem)
{
	struct staging *staging = NULL;
	const void *base;

	if (list_empty(&stagings))
		return NULL;
	rcu_read_lock();
	base = READ_ONCE(mem->base);
	if (base)
		staging = find_staging(base);
	rcu_read_unlock();
	return staging;
}

/*
 * Free the copy. Other tasks may read @staging in find_staging(), but they look
 * for addresses of other modules and do not use the copy.
 */
static void drop_copy(struct staging *staging)
{
	void *copy = staging->copy;

	WRITE_ONCE(staging->copy, NULL);
	kvfree(copy);
}

/* Remove and free an entry, and its copy if there is one. */
static void forget(struct staging *staging)
{
	spin_lock(&stagings_lock);
	list_del_rcu(&staging->list);
	spin_unlock(&stagings_lock);
	drop_copy(staging);
	kfree_rcu(staging, rcu);
}

void *module_staged(const void *addr)
{
	void *staged = (void *)addr;
	struct staging *staging;
	void *copy;

	if (list_empty(&stagings))
		return staged;

	rcu_read_lock();
	staging = find_staging(addr);
	copy = staging ? READ_ONCE(staging->copy) : NULL;
	if (copy)
		staged = copy + (addr - staging->base);
	rcu_read_unlock();
	return staged;
}

bool module_text_is_fresh(const struct module *mod)
{
	lockdep_assert_held(&text_mutex);

	for_class_mod_mem_type(type, text)
		if (own_staging(&mod->mem[type]))
			return true;
	return false;
}

/**
 * module_stage - allocate a copy in which module memory is built
 * @base: final address
 * @size: size in bytes
 *
 * The copy is not zeroed: the caller writes all of it before it is published.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM if there is no memory for the copy
 */
int module_stage(void *base, size_t size)
{
	struct staging *staging = kmalloc(sizeof(*staging), GFP_KERNEL);

	if (!staging)
		return -ENOMEM;
	*staging = (struct staging) {
		.base = base,
		.size = size,
		.copy = kvmalloc(size + COPY_SLACK, GFP_KERNEL),
	};
	if (!staging->copy) {
		kfree(staging);
		return -ENOMEM;
	}
	memset(staging->copy + size, 0, COPY_SLACK);
	spin_lock(&stagings_lock);
	list_add_rcu(&staging->list, &stagings);
	spin_unlock(&stagings_lock);
	return 0;
}

/**
 * module_unstage - free the copy of module memory that is going to be freed
 * @mem: the memory; nothing is done if it has no copy and is not fresh text
 *
 * Context: Process context, may sleep. text_mutex must not be held.
 */
void module_unstage(const struct module_memory *mem)
{
	/*
	 * The entry cannot be removed between this and the lock: a livepatch
	 * removes it only under klp_mutex and while mod->klp_alive is set, which
	 * was cleared before memory of a module is freed.
	 */
	struct staging *staging = own_staging(mem);

	if (!staging)
		return;
	/* A task that holds text_mutex may rely on this text being fresh. */
	mutex_lock(&text_mutex);
	forget(staging);
	mutex_unlock(&text_mutex);
}

void __weak module_text_entered(void)
{
}

void module_enter_text(const struct module *mod)
{
	struct staging *staging;
	bool was_fresh = false;

	mutex_lock(&entering_mutex);
	mutex_lock(&text_mutex);
	for_class_mod_mem_type(type, text) {
		staging = own_staging(&mod->mem[type]);
		if (staging) {
			forget(staging);
			was_fresh = true;
		}
	}
	mutex_unlock(&text_mutex);
	/* Others may patch this text now, with breakpoints. */
	if (was_fresh)
		module_text_entered();
	mutex_unlock(&entering_mutex);
}

/* Write the copy of @mem, if it has one, to its final address. */
static int publish(const struct module_memory *mem)
{
	struct staging *staging = own_staging(mem);
	int err;

	if (!staging || !staging->copy)
		return 0;
	err = execmem_publish(staging->base, staging->copy, staging->size);
	drop_copy(staging);
	return err;
}

/* Nobody who holds text_mutex looks for data, so that lock is not needed. */
static void unlist_rodata(const struct module_memory *mem)
{
	struct staging *staging = own_staging(mem);

	if (staging)
		forget(staging);
}

int module_publish_rodata(const struct module *mod)
{
	int err = publish(&mod->mem[MOD_RODATA]) ?:
		  publish(&mod->mem[MOD_INIT_RODATA]);

	/* Only text stays listed, since it can be fresh. */
	if (!err) {
		unlist_rodata(&mod->mem[MOD_RODATA]);
		unlist_rodata(&mod->mem[MOD_INIT_RODATA]);
	}
	return err;
}

/**
 * module_publish_text - write the text of a module to its final address
 * @mod: a module whose read-only data is published, since its text refers to
 *	that
 *
 * Context: Process context, may sleep. text_mutex must not be held.
 * Return: 0, or the error of execmem_publish()
 */
int module_publish_text(const struct module *mod)
{
	return publish(&mod->mem[MOD_TEXT]) ?: publish(&mod->mem[MOD_INIT_TEXT]);
}
