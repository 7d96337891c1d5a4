// SPDX-License-Identifier: GPL-2.0-only
/* The module that gets its place; see execmem_gone.h */
#define SECOND_REGISTER "ecx"
#include "execmem_gone.h"
