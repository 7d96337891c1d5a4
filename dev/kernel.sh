#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Build a kernel: dev/kernel.sh VARIANT [MAKE TARGET...]
#   x86 arm64              with the series, source in build/linux
#   x86-base arm64-base    without it, source in build/linux-base
#   x86-debug              with the series and the heavy checkers
#   x86-clang              with the series and kCFI, modules signed and compressed
#   x86-no-modules         with the series and without loadable modules
#   x86-net, x86-net-base  the same as without "net", with TCP
#   x86-modules            with the series and some hundred modules
#   x86-modules-base       the same modules without it
#   x86-abi, x86-abi-base, x86-modules-abi, x86-modules-abi-base
#                          the same as without "abi", with CRCs of exported symbols
#   x86-deb                the same as x86, to be packaged
# CONFIG=FILE, a .config, replaces the configuration of these five.
# The objects are in build/VARIANT.  Without a target, the image and the modules are
# built.  The target "plant" builds the modules of dev/modules in build/plant/VARIANT.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# As CONFIG_MODVERSIONS=y, for make only: the compiler does not see it, so the objects are
# those of the compiler cache.  In headers that modules see it changes nothing.  Only
# kernel/module/version.c must see it.  That replaces what init/Makefile has for another
# version.c, a definition of UTS_VERSION; no image is linked, so any string does.  The
# types of which each CRC was computed go to *.symtypes.
MODVERSIONS=(CONFIG_MODVERSIONS=y CONFIG_ASM_MODVERSIONS=y KBUILD_SYMTYPES=1
	"CFLAGS_version.o=-DCONFIG_MODVERSIONS -DUTS_VERSION=__FILE__")

# Set src, arch, image, fragments and make_args for the variant.
variant() {
	make_args=()
	case $1 in
	x86|x86-base|x86-debug|x86-modules*|x86-no-modules|x86-net*|x86-abi*|x86-deb)
		arch=x86_64 image=bzImage
		needs kernel-x86
		;;
	x86-clang)
		arch=x86_64 image=bzImage
		needs kernel-clang
		make_args=("CC=ccache clang-16" LD=ld.lld-16)
		;;
	arm64|arm64-base)
		arch=arm64 image=Image
		needs kernel-arm64
		make_args=(CROSS_COMPILE=aarch64-linux-gnu- "CC=ccache aarch64-linux-gnu-gcc")
		;;
	*)	die "unknown variant '$1'; see the first lines of $0" ;;
	esac

	case $1 in
	arm64*)	fragments=(arm64) ;;
	*-base)	fragments=(common x86) ;;
	*)	fragments=(common x86 patched-x86) ;;
	esac
	case $1 in
	*-base)	src=$LINUX_BASE ;;
	*)	src=$LINUX ;;
	esac
	[ "${1#*-}" != debug ] || fragments+=(debug)
	[ "${1#*-}" != clang ] || fragments+=(clang)
	[[ $1 != x86-modules* ]] || fragments+=(modules)
	[ "${1%-base}" != x86-net ] || fragments+=(net)
	[ "$1" != x86-no-modules ] || fragments+=(no-modules)
	case ${1%-base} in
	*-abi)	make_args+=("${MODVERSIONS[@]}") ;;
	*-deb)	make_args+=(LOCALVERSION=-execmem) ;;
	esac
	given_config "$1"

	# Below the source, where git ignores it, so that paths begin with "../"; see lib.sh
	out=$src/out-$1
}

# given_config VARIANT: set given to the file CONFIG, if the variant uses it
given_config() {
	given=''
	[ -n "${CONFIG:-}" ] || return 0
	case ${1%-base} in
	*-abi|*-deb)	fragments=() ;;
	*)		return 0 ;;
	esac
	given=$CONFIG
	[ -r "$given" ] || die "cannot read CONFIG=$given"
}

# BTF needs only types.  Without variable tracking, the compiler generates the same code
# in 12 % less time.
kmake() {
	# shellcheck disable=SC2086
	nice make $PARALLEL -C "$src" O="$out" ARCH="$arch" "CC=ccache gcc" "HOSTCC=ccache gcc" \
		LOCALVERSION= KBUILD_BUILD_USER=build KBUILD_BUILD_HOST=build \
		KCFLAGS=-fno-var-tracking KBUILD_BUILD_VERSION=1 KBUILD_BUILD_TIMESTAMP=@0 \
		"${make_args[@]}" "$@" </dev/null
}

# last_lines: if a symbol has several lines, keep the last one
last_lines() {
	tac | awk '
	/^(# )?CONFIG_/ {
		name = $0
		sub(/^# /, "", name)
		sub(/[= ].*/, "", name)
		if (seen[name]++)
			next
	}
	{ print }' | tac
}

# lost_symbols WANTED CONFIG: print each line of WANTED that CONFIG does not have
lost_symbols() {
	awk '
	function name(s) { sub(/^# /, "", s); sub(/[= ].*/, "", s); return s }
	!/^(# )?CONFIG_/ { next }
	NR == FNR { if (/^CONFIG_/) have[name($0)] = $0; next }
	/^#/ { if (name($0) in have) print name($0) " is set, not wanted"; next }
	have[name($0)] != $0 { print $0 " did not survive" }
	' "$2" "$1"
}

# wanted: print the lines of all fragments, without modules where there are none
wanted() {
	local f

	for f in "${fragments[@]}"; do cat "$DEV/config/$f.config"; done | last_lines |
		case " ${fragments[*]} " in
		*" no-modules "*)	sed '/=m$/d' ;;
		*)			cat ;;
		esac
}

# What CONFIG does not mention gets its default, for everything else that is "n".  Symbols
# of CONFIG that this kernel does not have are no error.
configure() {
	local lost rest=allnoconfig

	[ -z "$given" ] || rest=alldefconfig
	{ [ -z "$given" ] || cat "$given"; wanted; } | last_lines |
		write_if_changed "$out/wanted.config"
	if [ "$out/.config" -nt "$out/wanted.config" ] &&
	   [ -z "$(lost_symbols <(wanted) "$out/.config")" ]; then
		return
	fi
	kmake -s KCONFIG_ALLCONFIG="$out/wanted.config" $rest >/dev/null
	lost=$(lost_symbols <(wanted) "$out/.config")
	[ -z "$lost" ] || { say "$lost"; rm "$out/.config"; die "$1: wanted symbols are lost"; }
	touch "$out/.config"
}

# build TARGET...: the boot image comes last and without the cache.  The cache does not see
# that piggy.S includes the compressed kernel: with CCACHE_DEPEND, it takes an old one if
# only the contents differ, and not their size.
build() {
	local image_wanted='' t rest=()

	for t; do
		[ "$t" = bzImage ] && image_wanted=$t || rest+=("$t")
	done
	[ -z "$image_wanted" ] || rest+=(vmlinux)
	kmake -s "${rest[@]}" && { [ -z "$image_wanted" ] || CCACHE_DISABLE=1 kmake -s "$image_wanted"; }
}

# Identify the source of a kernel; print no commit if there are uncommitted changes.
source_id() {
	case $1 in
	*-base)	cat "$LINUX_BASE/.base" ;;
	*)	[ -n "$(git -C "$src" status --porcelain -uno)" ] || git -C "$src" rev-parse HEAD ;;
	esac
	sha256sum <"$out/.config"
}

main() {
	local v=${1:?variant missing} log start=$SECONDS id='' plant=''

	shift
	variant "$v"
	lock "kernel-$v"
	case $v in
	*-base)	"$DEV/series.sh" base ;;
	*)	"$DEV/series.sh" tree --keep ;;
	esac
	mkdir -p "$out"
	ln -sfnT "${out#"$BUILD"/}" "$BUILD/$v"
	configure "$v"

	if [ "${1:-}" = plant ]; then
		# In a copy, as objects land beside the source; what was made to be a
		# livepatch is made anew
		plant=$BUILD/plant/$v
		mkdir -p "$plant"
		cp -u "$DEV/modules/"* "$plant/"
		rm -f "$plant/execmem_patch.ko"
		set -- M="$plant" modules
	fi

	log=$BUILD/logs/kernel-$v.log
	mkdir -p "$BUILD/logs"
	# Asking make takes seconds, and make test asks often.
	if [ $# = 0 ]; then
		id=$(source_id "$v")
		[ "$(wc -l <<<"$id")" = 2 ] && [ "$id" = "$(cat "$out/.built-from" 2>/dev/null)" ] && return
		set -- "$image"
		! grep -q '^CONFIG_MODULES=y' "$out/.config" || set -- "$image" modules
	fi
	[ -z "$id" ] || rm -f "$out/.built-from"
	if ! build "$@" >"$log" 2>&1; then
		grep -E -m 20 -A5 'error|Error|undefined' "$log" >&2 || tail -n 20 "$log" >&2
		die "$v: build failed, see $log"
	fi
	# bpf_crypto_ctx: kernel/bpf/crypto.c is built without CONFIG_CRYPTO
	grep -v 'unresolved symbol bpf_crypto_ctx' "$log" >&2 || true
	[ -z "$id" ] || echo "$id" >"$out/.built-from"
	[ -z "$plant" ] || [ ! -e "$plant/execmem_patch.ko" ] ||
		"$DEV/modules/klp-rela.py" "$plant/execmem_patch.ko" execmem_target
	say "kernel $v: built in $((SECONDS - start)) s"
}

[ "${BASH_SOURCE[0]}" != "$0" ] || { main "$@"; exit; }
