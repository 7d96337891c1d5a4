// SPDX-License-Identifier: GPL-2.0-only
#define HOT a
#include "execmem_hot.h"
