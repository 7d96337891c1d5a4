// SPDX-License-Identifier: GPL-2.0-only
#define HOT d
#include "execmem_hot.h"
