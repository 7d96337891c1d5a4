# SPDX-License-Identifier: GPL-2.0-only
# Sourced by scripts that need a minimal Debian in a directory; needs mmdebstrap.
# shellcheck shell=bash

# sources SUITE: print the files in which apt of this machine names the registry for it
sources() {
	grep -lE "^[^#]*\b$1\b" /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null
}

# How apt of this machine reaches the registry (proxies, timeouts), without its hooks
acquire_options() { apt-config dump | grep '^Acquire::'; }

# debian_root SUITE TARBALL PACKAGES: a minimal Debian with these (with commas between)
debian_root() {
	local files packages=$3

	mapfile -t files < <(sources "$1")
	[ ${#files[@]} -gt 0 ] || die "apt of this machine knows no $1"
	! grep -q '^[^#]*https:' "${files[@]}" || packages+=,ca-certificates
	mkdir -p "$(dirname "$2")"
	acquire_options >"$2.apt"
	mmdebstrap --mode=root --format=tar --variant=minbase --include="$packages" \
		--aptopt="$2.apt" "$1" "$2.new" "${files[@]}" >"$2.log" 2>&1 ||
		{ tail -n 5 "$2.log" >&2; die "no root; see $2.log"; }
	mv "$2.new" "$2"
}
