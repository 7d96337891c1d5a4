#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Install what a verb, test or job needs, by the table dev/packages:
#   dev/packages.sh NAME...          install what is missing, in one go
#   dev/packages.sh --list NAME...   print the packages only
# Before a script starts anything, it calls `needs NAME...` with the names of all that it
# will start.  When these call `needs` themselves, everything is installed already.
[ -n "${DEV:-}" ] || . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

APT_LOG=$BUILD/apt.log
APT_WAIT=${APT_WAIT:-600}		# seconds that another apt or dpkg may take

# pkg_entry NAME: its words in the table; a job without an entry needs what smoke needs
pkg_entry() {
	if grep -q "^$1:" "$DEV/packages"; then
		sed -n "s/^$1://p" "$DEV/packages"
	elif [ -d "$DEV/jobs/$1" ]; then
		echo @smoke
	fi
}

# pkg_add NAME: add its packages to packages=(), and to wanted_by[] who needs them
pkg_add() {
	local word line for=${2:-$1}

	line=$(pkg_entry "$1")
	[ -n "$line" ] || die "there is no '$1' in dev/packages"
	met+=" $1 "
	for word in $line; do
		case $word in
		@*)	pkg_add "${word#@}" "$for"; continue ;;
		BASE)	word=$(base_field package)=$(base_field version) ;;
		esac
		[[ " ${packages[*]} " == *" $word "* ]] || packages+=("$word")
		[[ " ${wanted_by[$word]:-} " == *" $for "* ]] || wanted_by[$word]+=" $for"
	done
}

# pkg_missing PACKAGE...: put those that are not installed into missing=()
pkg_missing() {
	local p have

	# shellcheck disable=SC2016
	have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${@%%=*}" 2>/dev/null || true)
	missing=()
	for p; do
		grep -qxF "installed ${p%%=*}" <<<"$have" || missing+=("$p")
	done
}

# pkg_known PACKAGE...: print NAME and NAME=VERSION of those that apt can install
pkg_known() {
	apt-cache policy "${@%%=*}" 2>/dev/null | awk '
	/^[^ ]/				{ name = $1; sub(/:$/, "", name) }
	$1 == "Candidate:" && $2 != "(none)"	{ print name }
	/^ (\*\*\*|   ) [^ ]+ -?[0-9]+$/	{ print name "=" $(NF - 1) }'
}

# pkg_choose PACKAGE...: put those that apt can install into chosen=(), others into lost=()
pkg_choose() {
	local p known

	known=$(pkg_known "$@")
	chosen=() lost=()
	for p; do
		if grep -qxF "$p" <<<"$known"; then
			chosen+=("$p")
		elif grep -qxF "${p%%=*}" <<<"$known"; then
			chosen+=("${p%%=*}")
		else
			lost+=("$p")
		fi
	done
}

# pkg_apt COMMAND...: wait for all locks.  apt's own option waits for dpkg's lock only,
# not for the locks of the lists and of the archive.
pkg_apt() {
	local end=$((SECONDS + APT_WAIT))

	mkdir -p "$BUILD"
	until DEBIAN_FRONTEND=noninteractive apt-get -q -y -o "DPkg::Lock::Timeout=$APT_WAIT" "$@" \
		</dev/null >"$APT_LOG" 2>&1; do
		grep -qi 'could not get lock' "$APT_LOG" && [ $SECONDS -lt $end ] || return 1
		sleep 2
	done
}

# Update the lists, at most once.  If this fails, pkg_choose() reports what is missing.
pkg_update() {
	[ -z "${updated:-}" ] || return 1
	updated=yes
	pkg_apt update || true
}

# End with one line that names the packages that apt does not have, and who needs them.
pkg_refuse() {
	local p text=()

	for p in "${lost[@]}"; do text+=("$p (for${wanted_by[$p]})"); done
	die "no such package: $(printf '%s, ' "${text[@]}" | sed 's/, $//'); nothing was started"
}

# pkg_install PACKAGE...: under a lock, so look again what is still missing
pkg_install() (
	lock packages
	pkg_missing "$@"
	[ ${#missing[@]} -gt 0 ] || return 0
	pkg_choose "${missing[@]}"
	if [ ${#lost[@]} -gt 0 ]; then
		pkg_update
		pkg_choose "${missing[@]}"
	fi
	[ ${#lost[@]} = 0 ] || pkg_refuse
	say "installing: ${chosen[*]}"
	pkg_apt install --no-install-recommends "${chosen[@]}" && return
	# The archive may no longer have the versions of outdated lists.
	pkg_update && pkg_apt install --no-install-recommends "${chosen[@]}" ||
		die "cannot install ${chosen[*]}; nothing was started; see $APT_LOG"
)

# needs NAME...: install what these need, or end the script
needs() {
	local name met='' packages=() missing=()
	local -A wanted_by=()

	for name; do
		[[ ${NEEDS_MET:-} == *" $name "* ]] || pkg_add "$name"
	done
	[ ${#packages[@]} -gt 0 ] || return 0
	pkg_missing "${packages[@]}"
	if [ ${#missing[@]} -gt 0 ]; then
		[ "$(id -u)" = 0 ] ||
			die "missing for $*; as root: apt-get install --no-install-recommends ${missing[*]}"
		pkg_install "${packages[@]}" || exit 1
	fi
	# So that scripts that this one starts need not ask dpkg, which is slow.
	export NEEDS_MET="${NEEDS_MET:-}$met"
}

pkg_list() {
	local name met packages=()
	local -A wanted_by=()

	for name; do pkg_add "$name"; done
	printf '%s\n' "${packages[@]}" | sort
}

if [ ${#BASH_SOURCE[@]} = 1 ]; then
	case ${1:-} in
	--list)	pkg_list "${@:2}" ;;
	*)	needs "$@" ;;
	esac
fi
