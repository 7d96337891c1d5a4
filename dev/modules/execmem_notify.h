/* SPDX-License-Identifier: GPL-2.0-only */
/* A static key and a static call of execmem_notify.ko that execmem_notified.ko uses */
#include <linux/jump_label.h>
#include <linux/static_call.h>

int notify_one(void);

DECLARE_STATIC_KEY_FALSE(notify_key);
DECLARE_STATIC_CALL(notify_call, notify_one);
