// SPDX-License-Identifier: GPL-2.0-only
#define HOT b
#include "execmem_hot.h"
