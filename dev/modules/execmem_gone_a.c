// SPDX-License-Identifier: GPL-2.0-only
/* The module that is probed, and unloaded; see execmem_gone.h */
#define SECOND_REGISTER "eax"
#include "execmem_gone.h"
