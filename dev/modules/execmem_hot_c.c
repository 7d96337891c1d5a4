// SPDX-License-Identifier: GPL-2.0-only
#define HOT c
#include "execmem_hot.h"
