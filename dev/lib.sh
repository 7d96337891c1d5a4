# SPDX-License-Identifier: GPL-2.0-only
# Common functions of the plumbing; sourced by the scripts in dev/.
# shellcheck shell=bash

set -euo pipefail
shopt -s inherit_errexit

DEV=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$DEV")
# Everything that is made; for another base, dev/port.sh sets another place.
BUILD=$(realpath -m "${SERIES_BUILD:-$ROOT/build}")
LINUX=$BUILD/linux			# base commit plus one commit per patch
LINUX_BASE=$BUILD/linux-base		# the same without the series
JOBS=${JOBS:-$(nproc)}

# make test has a jobserver for all tests and their compilers, see dev/test.sh.
PARALLEL=
[ -n "${JOBSERVER:-}" ] || { unset MAKEFLAGS; PARALLEL=-j$JOBS; }

# The user's git configuration must not change a byte of what we generate.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export LC_ALL=C TZ=UTC PATH=/usr/sbin:/usr/bin:$PATH	# Debian's python first
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE CDPATH

# Base and patched kernel are built one directory below their source, so every
# path on the compiler's command line is relative and both share the cache.
export CCACHE_DIR=$BUILD/ccache CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=8G
# Do not preprocess a file first if it is not in the cache.
export CCACHE_DEPEND=1

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# base_field NAME: one value from BASE
base_field() { sed -n "s/^$1=//p" "$ROOT/BASE"; }

# installed_version PACKAGE: prints nothing if it is not installed; that is not an error
installed_version() {
	# shellcheck disable=SC2016
	{ dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null || true; } |
		sed -n 's/^installed //p'
}

# debian_mirror: print the one that this machine uses
debian_mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/*$'
}

# write_if_changed FILE: write stdin to FILE, but do not touch it if nothing changed
write_if_changed() {
	local tmp=$1.new

	mkdir -p "$(dirname "$1")"
	cat >"$tmp"
	if cmp -s "$tmp" "$1"; then rm "$tmp"; else mv "$tmp" "$1"; fi
}

# lock NAME: wait until no other script holds it; hold it until this script ends
lock() {
	local fd

	mkdir -p "$BUILD"
	exec {fd}>"$BUILD/.lock-$1"
	flock -n "$fd" || { say "waiting for another run ($1)"; flock "$fd"; }
}

. "$DEV/packages.sh"
