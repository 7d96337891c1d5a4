#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The series on another base: dev/port.sh VERSION, as 6.12.107 or 6.12.107-1.
# Gets that linux-source from Debian, assembles the series on it, builds the x86
# kernel, boots it and runs the KUnit suite; prints what had to be merged and a
# verdict.  All of it is in build/port-VERSION; build/linux is only brought up to date
# first.  To work there with the other verbs: SERIES_BUILD=build/port-VERSION make tree, refresh, ...
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$DEV/assemble.sh"

APT_DIR=$BUILD/port-apt			# lists of its own: the machine's stay as they are

apt_private() {
	local tool=$1

	shift
	"$tool" -o Dir::Etc::sourcelist="$APT_DIR/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$APT_DIR/lists" -o Dir::Cache="$APT_DIR/cache" \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

# Suites that have linux-source-6.12, from the registry that this machine uses
make_sources() {
	local uri suite suites

	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u | while read -r uri; do
		case ${uri%/} in
		*/debian)		suites="bookworm bookworm-backports trixie trixie-backports" ;;
		*/debian-security)	suites="bookworm-security trixie-security" ;;
		*)			continue ;;
		esac
		for suite in $suites; do
			echo "deb [signed-by=$KEYRING] $uri $suite main"
		done
	done
}

# choose_version PACKAGE VERSION: print that version, or the newest of an upstream version
choose_version() {
	apt_private apt-cache madison "$1" | awk -F ' *[|] *' -v want="$2" '
		$2 == want || index($2, want "-") == 1 { print $2 }' | sort -uV | tail -n 1
}

# get_source PACKAGE VERSION: put its tarball into $port, and its version for series.sh
get_source() {
	local deb version

	mkdir -p "$APT_DIR"/{lists/partial,cache/archives/partial} "$port"
	make_sources >"$APT_DIR/sources.list"
	apt_private apt-get -q update >"$APT_DIR/log" 2>&1 || say "note: apt-get update failed, see $APT_DIR/log"
	version=$(choose_version "$1" "$2")
	[ -n "$version" ] || die "no $1 $2 to be had; there are: $(
		apt_private apt-cache madison "$1" | awk -F ' *[|] *' '{ print $2 }' | sort -uV | xargs)"
	say "$1 $version, from $(apt_private apt-cache madison "$1" |
		awk -F ' *[|] *' -v v="$version" '$2 == v { split($3, s, "[ /]+"); print s[length(s) - 3] }' | sort -u | xargs)"
	[ "$(head -n 1 "$port/base-package" 2>/dev/null)" != "$version" ] || return 0

	(cd "$port" && apt_private apt-get -q download "$1=$version" >>"$APT_DIR/log" 2>&1) ||
		die "cannot download $1 $version, see $APT_DIR/log"
	deb=$(ls "$port"/*.deb)
	dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$1.tar.xz" >"$port/$1.tar.xz"
	rm "$deb"
	printf '%s\n' "$version" "$port/$1.tar.xz" >"$port/base-package"
}

# Print what BASE must contain to make this the base of the series
print_base() {
	local version tarball

	{ read -r version; read -r tarball; } <"$port/base-package"
	echo "package=$1"
	echo "version=$version"
	echo "sha256=$(sha256sum "$tarball" | cut -d ' ' -f 1)"
	echo "upstream=v$(sed 's/-.*//' <<<"$version")"
	echo "tree=$(git -C "$port/linux" rev-parse 'base^{tree}')"
}

# Assemble again, even if nothing changed, so that every note is printed.
assemble_there() {
	local unused

	rm -f "$port/linux/.git/known-tip" "$port/linux/.git/series-resolved"
	"$DEV/series.sh" tree 2>&1 | tee "$port/assembled"
	unused=$(LINUX=$port/linux unused_resolutions "$ROOT" "${port##*/port-}" | xargs)
	[ -z "$unused" ] || die "no conflict needs patches/resolved/ $unused: remove it"
	echo "$(grep -cE '^note: .*: merged three-way|^merged ' "$port/assembled" || true) merged, $(
		grep -c 'resolved as recorded' "$port/assembled" || true) conflicts resolved as recorded"
}

main() {
	local package port start=$SECONDS

	[[ ${1:-} =~ ^[0-9]+\.[0-9]+\.[0-9] ]] || die "which version? make port V=6.12.107"
	package=linux-source-$(cut -d . -f 1,2 <<<"$1")
	port=$BUILD/port-$1
	needs port
	lock "port-$1"
	get_source "$package" "$1"
	[ -e "$port/ccache" ] || ln -sT ../ccache "$port/ccache"
	# build/linux has the blobs that patches name, which three-way merges need.
	"$DEV/series.sh" tree --keep || say "note: without build/linux, patches that do not apply cannot be merged"
	export SERIES_BUILD=$port
	assemble_there
	print_base "$package" >"$port/BASE"
	{ "$DEV/jobs/smoke/host" && "$DEV/jobs/kunit/host"; } || die "port to $1: FAILED ($((SECONDS - start)) s)"
	say "port to $(head -n 1 "$port/base-package"): assembles, builds, boots and passes KUnit ($((SECONDS - start)) s)"
}

[ "${BASH_SOURCE[0]}" != "$0" ] || { main "$@"; exit; }
