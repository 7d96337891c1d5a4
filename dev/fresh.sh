#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Do what a new user on a new machine does: in a minimal Debian 12 with git and make,
# clone the commit that is checked out here, and run make run and make test as root:
#   dev/fresh.sh [run] [test]
# Only the running kernel and the package registry are those of this machine.
# T="harness check" runs these tests instead of all.  ANEW=1 makes a new root instead of
# using the last one again.  The root is in build/fresh/root; after a failure it is kept.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$DEV/root.sh"

OUT=$BUILD/fresh
CHROOT=$OUT/root
TARBALL=$OUT/root.tar
SUITE=bookworm
HOME_OF=/execmem			# where the clone is, seen from inside

# The root is made once and used for all commits.
make_tarball() {
	[ -e "$TARBALL" ] && [ -z "${ANEW:-}" ] || debian_root $SUITE "$TARBALL" git,make
}

# Nothing is mounted in it any more: mounts end with the process of inside().
remove_root() { rm -rf --one-file-system "$CHROOT"; }

unpack_root() {
	local f

	remove_root
	mkdir -p "$CHROOT"
	tar -C "$CHROOT" --numeric-owner -xf "$TARBALL"
	# Package lists are not included, since fetching them is a part of the test.
	rm -rf "$CHROOT"/etc/apt/sources.list{,.d}
	for f in sources.list sources.list.d preferences.d keyrings trusted.gpg.d auth.conf auth.conf.d; do
		[ ! -e "/etc/apt/$f" ] || { rm -rf "$CHROOT/etc/apt/$f"; cp -rL "/etc/apt/$f" "$CHROOT/etc/apt/"; }
	done
	acquire_options >"$CHROOT/etc/apt/apt.conf.d/99registry"
	cp -L /etc/resolv.conf /etc/hosts "$CHROOT/etc/"
}

clone() { git clone -q --no-hardlinks "$ROOT" "$CHROOT$HOME_OF"; }

# --- inside: processes and mounts that end with this script ------------------------

make_devices() {
	local dev=$CHROOT/dev name minor

	mount -t tmpfs -o mode=755 dev "$dev"
	mkdir "$dev/pts" "$dev/shm"
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$dev/pts"
	mount -t tmpfs shm "$dev/shm"
	while read -r name minor; do
		mknod -m 666 "$dev/$name" c 1 "$minor"
	done <<<$'null 3\nzero 5\nfull 7\nrandom 8\nurandom 9'
	mknod -m 666 "$dev/tty" c 5 0
	ln -s pts/ptmx "$dev/ptmx"
	ln -s /proc/self/fd "$dev/fd"
	ln -s fd/0 "$dev/stdin"
	ln -s fd/1 "$dev/stdout"
	ln -s fd/2 "$dev/stderr"
}

# enter COMMAND...: run in the root, with no environment variables except for proxies
enter() {
	local proxies

	mapfile -t proxies < <(env | grep -iE '^(https?|ftp|no)_proxy=')
	env -i "${proxies[@]}" HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		chroot "$CHROOT" sh -c "cd $HOME_OF && exec \"\$@\"" - "$@" </dev/null
}

packages_there() {
	# shellcheck disable=SC2016
	dpkg-query --admindir="$CHROOT/var/lib/dpkg" -W -f='${Package} ${Version} ${Installed-Size}\n' | sort
}

# installed STEP: print what the step installed, with the names of what it asked for
installed() {
	local new=$OUT/$1.packages

	packages_there | comm -13 "$OUT/packages" - >"$new"
	[ -s "$new" ] || { echo "make $1 installed nothing"; return; }
	awk -v step="$1" '{ kb += $3 } END {
		printf "make %s installed %d packages, %d MB, among them:\n", step, NR, kb / 1024 }' "$new"
	enter apt-mark showmanual | sort | join - "$new" | awk '{ printf "%s %.1f MB\n", $1, $3 / 1024 }' |
		paste -sd, | sed 's/,/, /g' | fold -s -w 76 | sed 's/^/    /'
	packages_there >"$OUT/packages"
}

# step NAME COMMAND...: write time and verdict to $OUT/times.  Do not call this in a
# condition, where bash ignores -e.
step() {
	local start=$SECONDS rc verdict=ok

	set +e
	(set -e; "${@:2}")
	rc=$?
	set -e
	[ $rc = 0 ] || verdict=FAILED
	printf '%-28s %5d s  %s\n' "$1" $((SECONDS - start)) $verdict >>"$OUT/times"
	[ $rc = 0 ] || failed=1
}

# make_in VERB: run make as a user does; the output is here and in build/fresh/VERB.log
make_in() {
	local args=("$1")

	[ "$1" != test ] || args+=(${T:+T="$T"})
	enter make "${args[@]}" JOBS="$JOBS" 2>&1 | tee "$OUT/$1.log"
}

inside() {
	local verb

	mount -t proc proc "$CHROOT/proc"
	make_devices
	packages_there >"$OUT/packages"
	for verb; do
		echo "--- make $verb${T:+ T=\"$T\"}"
		step "make $verb" make_in "$verb"
		installed "$verb"
	done
	return $failed
}

# --- outside -----------------------------------------------------------------------

# apart VERB...: run inside() as the first process of new namespaces, so that its
# processes and mounts end with it.
apart() {
	unshare --mount --pid --fork --kill-child "$0" --inside "$@" &
	trap 'kill -KILL $! 2>/dev/null; exit 130' INT TERM HUP
	wait $! || failed=1
	trap - INT TERM HUP
}

say_commit() {
	echo "commit $(git -C "$ROOT" log -1 --format='%h, "%s"')"
	[ -z "$(git -C "$ROOT" status --porcelain)" ] ||
		echo "note: changes here that are not committed are not in it"
}

main() {
	local verbs=("$@") verb verdict=passed begin=$SECONDS

	[ $# -gt 0 ] || verbs=(run test)
	for verb in "${verbs[@]}"; do
		case $verb in run|test) ;; *) die "run or test, not '$verb'" ;; esac
	done
	[ "$(id -u)" = 0 ] || die "mounting and chroot need root"
	needs fresh
	lock fresh
	mkdir -p "$OUT"
	say_commit
	: >"$OUT/times"
	step 'minimal Debian, made' make_tarball
	[ $failed = 1 ] || step 'minimal Debian, unpacked' unpack_root
	[ $failed = 1 ] || step 'clone' clone
	[ $failed = 1 ] || apart "${verbs[@]}"
	echo '---'
	cat "$OUT/times"
	[ $failed = 0 ] || verdict="FAILED, see build/fresh"
	echo "fresh: $verdict ($((SECONDS - begin)) s)"
	[ $failed = 1 ] || remove_root
	return $failed
}

failed=0
if [ "${1:-}" = --inside ]; then
	inside "${@:2}"
else
	main "$@"
fi
exit
