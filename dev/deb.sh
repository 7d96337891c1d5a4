#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Make Debian packages of the kernel with the series: dev/deb.sh
# By the kernel's own bindeb-pkg, into build/deb: linux-image, linux-headers and
# linux-libc-dev.  CONFIG=FILE, a .config, replaces the configuration of variant x86.
# The environment's KDEB_PKGVERSION and DEB_BUILD_PROFILES are for bindeb-pkg.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=$BUILD/deb

# made: list what bindeb-pkg leaves in the parent of the objects, which is the source
made() { find "$LINUX" -maxdepth 1 -name 'linux-*_*' -type f; }

main() {
	local version

	needs deb
	lock deb
	"$DEV/series.sh" tree --keep
	version=$(cat "$LINUX/.git/base-version")
	# No package of debug information, which is large
	export KDEB_CHANGELOG_DIST=unstable KDEB_PKGVERSION=${KDEB_PKGVERSION:-${version%%-*}-1} \
		DEB_BUILD_PROFILES=${DEB_BUILD_PROFILES-pkg.linux-upstream.nokerneldbg}
	made | xargs -r rm
	"$DEV/kernel.sh" x86-deb bindeb-pkg
	rm -rf "$OUT"
	mkdir -p "$OUT"
	made | xargs -r mv -t "$OUT"
	(cd "$OUT" && du -h -- *.deb)
}

main "$@"; exit
