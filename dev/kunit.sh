#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The KUnit suite in a VM of its own: dev/kunit.sh [kunit.py ARGUMENT...]
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

needs kunit
"$DEV/series.sh" tree --keep
cd "$LINUX"
exec nice python3 tools/testing/kunit/kunit.py run --arch=x86_64 --build_dir=out-kunit \
	--kunitconfig="${KUNITCONFIG:-$DEV/config/kunit.config}" --jobs="$JOBS" \
	--make_options=CC="ccache gcc" --make_options=HOSTCC="ccache gcc" \
	--qemu_args="-smp 2" "$@"
