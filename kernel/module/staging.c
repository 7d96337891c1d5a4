// SPDX-License-Identifier: GPL-2.0
/*
 * Module memory that is read-only from birth.
 *
 * Such memory cannot be written in place. The loader builds its contents in an
 * ordinary copy instead, with the values that are right for the final address:
 * relocations, sorted tables, and on x86 also mitigations and alternatives. When
 * the copy is complete, execmem_fill() publishes it, once. Until then text reads
 * as trapping instructions at its final address.
 *
 * Published text is fresh until module_enter_text(), since nobody can have
 * executed it: static keys, static calls and ftrace patch it plainly, and one
 * synchronization of all CPUs ends that time.
 */

#include <linux/execmem.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "internal.h"

/* Who looks at an instruction may look at a few bytes behind it. */
#define COPY_SLACK	16

/**
 * struct staging - a piece of module memory from its allocation on
 * @list: in @stagings; changed under @stagings_lock and, once text is published,
 *	text_mutex; read under RCU
 * @rcu: for freeing this
 * @base: final address; constant
 * @size: in bytes; constant
 * @copy: where the contents are built, %NULL once they are published. Belongs to
 *	the task that loads the module.
 *
 * Only that task writes to the copy, so what it finds stays as long as it likes.
 * RCU is for walking past those of others. Text remains listed until it is about
 * to be executed for the first time.
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

/* To be called under RCU. */
static struct staging *find_staging(const void *addr)
{
	struct staging *staging;

	list_for_each_entry_rcu(staging, &stagings, list)
		if ((size_t)(addr - staging->base) < staging->size)
			return staging;
	return NULL;
}

/*
 * What is listed for memory of a module that cannot go away meanwhile. Its init text
 * can, but the loader clears @base and waits for RCU before that address is handed
 * out again, so no other module's entry is found.
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

/* Others may be looking at the entry, but for none of the copy's addresses. */
static void drop_copy(struct staging *staging)
{
	void *copy = staging->copy;

	WRITE_ONCE(staging->copy, NULL);
	kvfree(copy);
}

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

bool module_text_is_fresh(const void *addr)
{
	bool fresh;

	lockdep_assert_held(&text_mutex);

	if (list_empty(&stagings))
		return false;
	rcu_read_lock();
	fresh = find_staging(addr);
	rcu_read_unlock();
	return fresh;
}

/**
 * module_stage - prepare a copy to build module memory in
 * @base: final address
 * @size: in bytes
 *
 * The copy is zeroed.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM
 */
int module_stage(void *base, size_t size)
{
	struct staging *staging = kmalloc(sizeof(*staging), GFP_KERNEL);

	if (!staging)
		return -ENOMEM;
	*staging = (struct staging) {
		.base = base,
		.size = size,
		.copy = kvzalloc(size + COPY_SLACK, GFP_KERNEL),
	};
	if (!staging->copy) {
		kfree(staging);
		return -ENOMEM;
	}
	spin_lock(&stagings_lock);
	list_add_rcu(&staging->list, &stagings);
	spin_unlock(&stagings_lock);
	return 0;
}

/**
 * module_unstage - forget about module memory that is going to be freed
 * @mem: the memory, or none
 *
 * Context: Process context, may sleep, without text_mutex.
 */
void module_unstage(const struct module_memory *mem)
{
	struct staging *staging = own_staging(mem);

	if (!staging)
		return;
	/* Who patches text has found it fresh until then. */
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

	if (list_empty(&stagings))
		return;
	mutex_lock(&text_mutex);
	for_class_mod_mem_type(type, text) {
		staging = own_staging(&mod->mem[type]);
		if (staging) {
			forget(staging);
			was_fresh = true;
		}
	}
	if (was_fresh)
		module_text_entered();
	mutex_unlock(&text_mutex);
}

static int staging_notify(struct notifier_block *self, unsigned long state,
			  void *mod)
{
	if (state == MODULE_STATE_COMING)
		module_enter_text(mod);
	return NOTIFY_OK;
}

/*
 * Behind static keys and static calls, which patch the most, and before trace
 * events: once these are there, others can enable them, and that may call
 * functions of the module.
 */
static struct notifier_block staging_nb = {
	.notifier_call = staging_notify,
	.priority = INT_MAX - 1,
};

static int __init staging_init(void)
{
	return register_module_notifier(&staging_nb);
}
early_initcall(staging_init);

static int publish(const struct module_memory *mem)
{
	struct staging *staging = own_staging(mem);
	int err;

	if (!staging || !staging->copy)
		return 0;
	err = execmem_fill(staging->base, staging->copy, staging->size);
	if (!err)
		err = execmem_seal(staging->base);
	drop_copy(staging);
	return err;
}

int module_publish_rodata(const struct module *mod)
{
	int err = publish(&mod->mem[MOD_RODATA]) ?:
		  publish(&mod->mem[MOD_INIT_RODATA]);

	/* Only text needs to be known any longer. */
	if (!err) {
		module_unstage(&mod->mem[MOD_RODATA]);
		module_unstage(&mod->mem[MOD_INIT_RODATA]);
	}
	return err;
}

/**
 * module_publish_text - put the text of a module in its place
 * @mod: the module
 *
 * Its read-only data is there, so that text never refers to what is not.
 *
 * Context: Process context, may sleep, without text_mutex.
 * Return: 0 or what execmem_fill() returned
 */
int module_publish_text(const struct module *mod)
{
	return publish(&mod->mem[MOD_TEXT]) ?: publish(&mod->mem[MOD_INIT_TEXT]);
}
