#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Between this repository and the git tree build/linux:
#   dev/series.sh tree       repository -> tree: the base and one commit per patch
#   dev/series.sh refresh    tree -> repository: patches/ and whole files
#   dev/series.sh export     mail-ready patches in build/export (VERSION=n)
#   dev/series.sh diff FILE  what the series changes in FILE, whole or not
#   dev/series.sh base       unpack the unpatched source into build/linux-base
#
# patches/series is a quilt series with one directive: "#files: a b" under a
# patch names the whole files (kept here at their kernel path, not in the patch)
# that enter with it.  A commit is made of a patch and its whole files; author
# and date come from the patch, committer = author, so ids are reproducible.
# A later patch may change a whole file.  The one here is the final form; the one
# that enters is the final one with the hunks of all later patches taken back.
# In build/linux the ref refs/assembled is the tip as the repository has it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

gl() { git -C "$LINUX" "$@"; }

# --- base: the tarball as one commit ----------------------------------------

# Sets tarball and version, the pinned one or what else is installed.
find_tarball() {
	local pkg want

	pkg=$(base_field package) want=$(base_field version)
	version=$(installed_version "$pkg")
	[ -n "$version" ] || die "$pkg is not installed"
	tarball=/usr/src/$pkg.tar.xz
	[ -r "$tarball" ] || die "$pkg $version has no $tarball"
	[ "$version" = "$want" ] || [ -n "${SAID:-}" ] ||
		say "note: $pkg $version is installed, the series was made for $want"
	export SAID=1
}

# Adding 80k files is bound by one CPU, so two do it, each with its own index.
# With that threshold they go straight into a pack instead of loose objects.
import_files() {
	local add="git -c core.bigFileThreshold=1 -c core.compression=1 add -f -A"

	GIT_INDEX_FILE=.git/index.half $add drivers sound &
	$add . ':!drivers' ':!sound'
	wait $!
	GIT_INDEX_FILE=.git/index.half git ls-files -s | git update-index --index-info
	rm .git/index.half
	git update-index -q --refresh
}

import_base() {
	local tmp=$BUILD/linux.import tree want

	if [ "$version" = "$(base_field version)" ]; then
		echo "$(base_field sha256)  $tarball" | sha256sum --quiet -c - >&2 ||
			die "$tarball is not the one in BASE"
	fi
	say "importing $tarball"
	rm -rf "$tmp"
	mkdir -p "$tmp"
	tar -C "$tmp" --strip-components=1 -xf "$tarball"
	(
		cd "$tmp"
		# From the lone "#" above the "Debian packaging" comment to the end.
		perl -0pi -e 's/\n#\n# Debian packaging:.*\z//s' .gitignore
		git init -q -b series
		git config gc.auto 0
		echo '/out-*/' >>.git/info/exclude
		import_files
		commit_as 'Debian kernel team' debian-kernel@lists.debian.org \
			'@1000000000 +0000' git commit -q -m "$(base_field package) $version"
		git tag base
		git update-ref refs/assembled base
		echo "$version" >.git/base-version
	)
	tree=$(git -C "$tmp" rev-parse 'base^{tree}') want=$(base_field tree)
	[ "$version" != "$(base_field version)" ] || [ "$tree" = "$want" ] ||
		die "base tree is $tree, BASE says $want"
	rm -rf "$LINUX"
	mv "$tmp" "$LINUX"
}

need_base() {
	local have

	needs tree
	find_tarball
	have=$(cat "$LINUX/.git/base-version" 2>/dev/null || true)
	[ "$have" != "$version" ] || return 0
	if [ -n "$have" ] && [ -n "$(unsaved)" ] && [ -z "${FORCE:-}" ]; then
		die "build/linux is based on $have and $(unsaved); FORCE=1 throws that away"
	fi
	import_base
}

# --- assemble: repository -> commits ----------------------------------------

# commit_as NAME EMAIL DATE COMMAND...
commit_as() {
	env GIT_AUTHOR_NAME="$1" GIT_AUTHOR_EMAIL="$2" GIT_AUTHOR_DATE="$3" \
		GIT_COMMITTER_NAME="$1" GIT_COMMITTER_EMAIL="$2" GIT_COMMITTER_DATE="$3" \
		"${@:4}"
}

series_patches() { sed -n '/^[^#[:space:]]/p' "$1/patches/series"; }
series_files() { sed -n 's/^#files://p' "$1/patches/series" | tr -s ' \t' '\n' | sed '/^$/d'; }

# files_of DIR PATCH: the whole files that enter with it
files_of() {
	awk -v p="$2" '/^[^#[:space:]]/ { on = $1 == p }
		on && sub(/^#files:/, "") { for (i = 1; i <= NF; i++) print $i }' "$1/patches/series"
}

stage_whole_file() {
	local mode=100644

	[ -f "$1/$2" ] || die "whole file $2 is missing"
	[ ! -x "$1/$2" ] || mode=100755
	printf '%s %s\t%s\n' $mode "$(gl hash-object -w --no-filters "$1/$2")" "$2"
}

# The files that a patch or diff changes
patch_paths() { sed -n 's|^diff --git a/.* b/||p' "$1"; }

# split_mails DIR TMP: each patch as NAME.info, NAME.body and NAME.diff, and the
# whole files that are changed in it in NAME.hunks
split_mails() {
	local dir=$1 tmp=$2 patch

	series_files "$dir" >"$tmp/whole"
	for patch in $(series_patches "$dir"); do
		[ -f "$dir/patches/$patch" ] || die "$patch is in the series, but not there"
		gl mailinfo -b --encoding=UTF-8 "$tmp/$patch.body" "$tmp/$patch.diff" \
			<"$dir/patches/$patch" >"$tmp/$patch.info"
		patch_paths "$tmp/$patch.diff" | grep -Fxf "$tmp/whole" >"$tmp/$patch.hunks" || true
	done
}

# A file that is not there yet cannot be changed, nor one that enters just then.
check_order() {
	local dir=$1 tmp=$2 patch early

	: >"$tmp/entered"
	for patch in $(series_patches "$dir"); do
		early=$(grep -vFxf "$tmp/entered" "$tmp/$patch.hunks" | head -n 1 || true)
		[ -z "$early" ] || die "$patch changes $early, which enters later or with it"
		files_of "$dir" "$patch" >>"$tmp/entered"
	done
}

# apply_exactly DIFF MESSAGE [ARGUMENT...]: to the index.  git has no fuzz, and
# an offset is one change too many already.
apply_exactly() {
	local log=$1.log

	gl apply --cached -v --whitespace=nowarn "${@:3}" "$1" >"$log" 2>&1 ||
		{ cat "$log" >&2; die "$2"; }
	! grep -E 'offset|fuzz' "$log" >&2 || die "$2 without an offset"
}

# Whole files as they enter, as lines for update-index, into TMP/entering.
whole_files_entering() {
	local dir=$1 tmp=$2 patch file

	for file in $(cat "$tmp/whole"); do
		stage_whole_file "$dir" "$file"
	done >"$tmp/final"
	gl read-tree --empty
	gl update-index --add --index-info <"$tmp/final"
	for patch in $(series_patches "$dir" | tac); do
		for file in $(cat "$tmp/$patch.hunks"); do
			apply_exactly "$tmp/$patch.diff" "$patch cannot be taken back from $file" \
				-R --include="$file"
		done
	done
	gl ls-files -s >"$tmp/entering"
}

# assemble DIR: print the tip.  Index and objects only: no file is written.
assemble() {
	local dir=$1 tip patch info tmp

	tmp=$(mktemp -d)
	export GIT_INDEX_FILE=$tmp/index
	split_mails "$dir" "$tmp"
	check_order "$dir" "$tmp"
	whole_files_entering "$dir" "$tmp"
	gl read-tree base
	tip=$(gl rev-parse 'base^{commit}')
	for patch in $(series_patches "$dir"); do
		[ ! -s "$tmp/$patch.diff" ] ||
			apply_exactly "$tmp/$patch.diff" "$patch does not apply"
		files_of "$dir" "$patch" >"$tmp/own"
		awk -F '\t' 'NR == FNR { own[$1]; next } $2 in own' "$tmp/own" "$tmp/entering" |
			gl update-index --add --index-info

		info() { sed -n "s/^$1: //p" "$tmp/$patch.info"; }
		{ info Subject; echo; cat "$tmp/$patch.body"; } | git stripspace >"$tmp/message"
		tip=$(commit_as "$(info Author)" "$(info Email)" "$(info Date)" git -C "$LINUX" \
			commit-tree "$(gl write-tree)" -p "$tip" -F "$tmp/message")
	done
	rm -rf "$tmp"
	echo "$tip"
}

# What assemble() makes the tip from: one line that changes when any of it does.
series_id() {
	{
		gl rev-parse base
		cat "$DEV/series.sh" "$1/patches/series"
		(cd "$1" && { printf 'patches/%s\n' $(series_patches .); series_files .; } |
			xargs -r -d '\n' sh -c 'sha256sum "$@" && stat -c %a "$@"' -)
	} | sha256sum
}

# known_tip DIR: the tip, from the last time if it is made from the same.  Verbs
# that only need the tree start with this, and assembling takes seconds.
known_tip() {
	local known=() id tip

	# What is not complete is for assemble() to complain about.
	id=$(series_id "$1" 2>/dev/null) || { assemble "$1"; return; }
	[ ! -e "$LINUX/.git/known-tip" ] || mapfile -t known <"$LINUX/.git/known-tip"
	if [ "${known[0]:-}" = "$id" ]; then
		! gl rev-parse -q --verify "${known[1]}^{commit}" 2>/dev/null || return 0
	fi
	tip=$(assemble "$1")
	# Not if it was edited meanwhile.
	[ "$(series_id "$1" 2>/dev/null)" != "$id" ] || remember_tip "$id" "$tip"
	echo "$tip"
}

remember_tip() {
	printf '%s\n' "$@" >"$LINUX/.git/known-tip.$BASHPID"
	mv "$LINUX/.git/known-tip.$BASHPID" "$LINUX/.git/known-tip"
}

# Why build/linux must not be overwritten; empty when it may.
unsaved() {
	if [ -d "$LINUX/.git/rebase-merge" ] || [ -d "$LINUX/.git/rebase-apply" ]; then
		echo "a rebase is in progress in it"
	elif [ -n "$(gl status --porcelain)" ]; then
		echo "it has uncommitted changes"
	elif [ "$(gl rev-parse HEAD)" != "$(gl rev-parse refs/assembled)" ]; then
		echo "it has commits that are not in patches/ (make refresh)"
	fi
}

# With --keep a tree with unsaved work is left alone, which is not an error, and
# the tip may be the one known already.
cmd_tree() {
	local tip why lost

	need_base
	[ "${1:-}" = --keep ] || rm -f "$LINUX/.git/known-tip"
	tip=$(known_tip "$ROOT")
	if [ "$(gl rev-parse HEAD)" = "$tip" ]; then
		gl update-ref refs/assembled "$tip"
		[ -n "${1:-}" ] || say "build/linux is up to date: $(summary "$tip")"
		return
	fi
	why=$(unsaved)
	if [ -n "$why" ] && [ "${1:-}" = --keep ]; then
		say "note: build/linux is used as it is: $why"
		return
	elif [ -n "$why" ] && [ -z "${FORCE:-}" ]; then
		die "build/linux not touched: $why; FORCE=1 throws that away"
	elif [ -n "$why" ]; then
		lost=$(commit_as saved '' '@0 +0000' git -C "$LINUX" stash create)
		gl update-ref refs/saved "${lost:-HEAD}"
		say "what was in build/linux is $(gl rev-parse --short=12 refs/saved) (refs/saved)"
		gl rebase --quit 2>/dev/null || gl am --quit 2>/dev/null || true
		gl reset -q --hard
	fi
	# Touches what differs only, so that builds stay incremental.
	gl reset -q --keep "$tip"
	gl update-ref refs/assembled "$tip"
	say "build/linux: $(summary "$tip")"
}

summary() { echo "$(gl rev-list --count "base..$1") patches on $version, tip ${1:0:12}"; }

# The source of the unpatched kernel, unpacked once per base.
cmd_base() {
	local id

	need_base
	id=$(gl rev-parse base)
	[ "$(cat "$LINUX_BASE/.base" 2>/dev/null)" != "$id" ] || return 0
	rm -rf "$LINUX_BASE"
	mkdir -p "$LINUX_BASE"
	gl archive base | tar -C "$LINUX_BASE" -xf -
	echo "$id" >"$LINUX_BASE/.base"
}

# --- generate: commits -> repository ----------------------------------------

# commit_files COMMIT [FILTER]
commit_files() {
	gl diff-tree -r --no-renames --name-only --diff-filter="${2:-ACDMT}" "$1^" "$1"
}

# Whole are the files that the series adds, and what was declared whole before.
whole_files() {
	{
		gl diff --no-renames --diff-filter=A --name-only base "$2"
		series_files "$1" | while read -r f; do
			! gl cat-file -e "$2:$f" 2>/dev/null || echo "$f"
		done
	} | sort -u
}

# Comment lines of the old series stay above the patch they were above; those
# above the first one are its header.  old_comments DIR [PATCH]
old_comments() {
	awk -v p="${2:-}" '/^#files:/ { next } /^(#|[[:space:]]*$)/ { c = c $0 "\n"; next }
		{ sub(/^[0-9]+-/, "") } n++ == 0 { h = c; c = "" } $0 == p { printf "%s", c } { c = "" }
		END { if (p == "") printf "%s", n ? h : c }' "$1/patches/series"
}

# generate DIR REV OUT: what DIR must look like to assemble to REV, into OUT
generate() {
	local dir=$1 rev=$2 out=$3 c n=0 name subject own excludes

	mkdir -p "$out/patches"
	gl merge-base --is-ancestor base "$rev" || die "$rev is not based on tag base"
	[ -z "$(gl rev-list --merges "base..$rev")" ] || die "merge commits in the series"
	whole_files "$dir" "$rev" >"$out/whole"
	: >"$out/owned"
	old_comments "$dir" >"$out/patches/series"
	for c in $(gl rev-list --reverse "base..$rev"); do
		n=$((n + 1)) subject=$(gl log -1 --format='%h ("%s")' "$c")
		case $subject in
		*'("fixup! '*|*'("squash! '*|*'("amend! '*)
			die "$subject: fold it (git rebase -i --autosquash base)" ;;
		esac
		# The first commit that touches a whole file has it, the others change it.
		own=$(commit_files "$c" | grep -Fxf "$out/whole" | grep -vFxf "$out/owned" || true)
		mapfile -t excludes < <(sed '/^$/d;s/^/:(exclude,literal)/' <<<"$own")
		name=$(gl log -1 --format=%f "$c" | cut -c1-52).patch
		gl format-patch --always --zero-commit --no-signature --abbrev=12 --no-numbered \
			--no-encode-email-headers --stat=80 --no-renames --stdout "$c^..$c" \
			-- . "${excludes[@]}" >"$out/patches/$(printf %04d $n)-$name"
		grep -q '^diff --git' "$out/patches/"*"-$name" ||
			die "$subject only has files that enter with it: it has to change one that exists, too"
		! commit_files "$c" A | grep -vFxf "$out/whole" >&2 ||
			die "$subject adds a file that a later commit removes"
		old_comments "$dir" "$name"
		printf '%04d-%s\n' $n "$name"
		# shellcheck disable=SC2086
		[ -z "$own" ] || echo "#files:" $own
		[ -z "$own" ] || echo "$own" >>"$out/owned"
	done >>"$out/patches/series"
	[ ! -s "$out/whole" ] ||
		xargs -d '\n' git -C "$LINUX" -c tar.umask=022 archive "$rev" -- <"$out/whole" |
			tar -m -C "$out" -xf -
	rm "$out/whole" "$out/owned"
}

cmd_refresh() {
	local head why new=$BUILD/refresh.new tip old count

	need_base
	head=$(gl rev-parse HEAD)
	why=$(unsaved)
	case $why in
	*rebase*|*uncommitted*)	[ -n "${FORCE:-}" ] || die "commit first: build/linux: $why" ;;
	esac
	old=$(assemble "$ROOT" 2>/dev/null) || old=
	if [ "$old" = "$head" ]; then
		say "nothing to refresh: $(summary "$head")"
		return
	fi
	[ "$old" = "$(gl rev-parse refs/assembled)" ] || [ -n "${FORCE:-}" ] ||
		die "patches/ or whole files changed since make tree; FORCE=1 overwrites them from build/linux"

	rm -rf "$new"
	generate "$ROOT" "$head" "$new"
	tip=$(assemble "$new")
	[ -z "$(gl diff --name-only "$tip" "$head")" ] || die "the new series does not give the tree back"
	count=$(series_patches "$new" | wc -l)
	[ "$count" -ge "$(series_patches "$ROOT" | wc -l)" ] || [ -n "${FORCE:-}" ] ||
		die "the series would shrink to $count patches; FORCE=1 if that is meant"

	install_series "$new"
	rm -rf "$new"
	gl reset -q --soft "$tip"
	gl update-ref refs/assembled "$tip"
	say "refreshed: $(summary "$tip")"
}

# Whole files and patches from DIR into the repository; says what changes.
install_series() {
	local f

	{ series_files "$ROOT"; series_patches "$ROOT" | sed 's|^|patches/|'; } | while read -r f; do
		[ -e "$1/$f" ] || [ ! -e "$ROOT/$f" ] || { say "removed $f"; rm "$ROOT/$f"; }
	done
	(cd "$1" && find . -type f -printf '%P\n' | sort) | while read -r f; do
		! same_file "$1/$f" "$ROOT/$f" || continue
		say "updated $f"
		install -D -m "$(stat -c %a "$1/$f")" "$1/$f" "$ROOT/$f"
	done
}

# Same bytes and the same answer to "executable?", which is all git keeps.
same_file() {
	cmp -s "$1" "$2" && [ "$(test -x "$1" && echo x)" = "$(test -x "$2" && echo x)" ]
}

# --- export: for the mailing list --------------------------------------------

# export_series DIR TIP OUT
export_series() {
	local args=(--no-signature --thread=shallow --abbrev=12 -o "$3")

	[ "${VERSION:-1}" = 1 ] || args+=(-v "$VERSION")
	rm -rf "$3"
	mkdir -p "$3"
	if [ -f "$1/patches/0000-cover-letter" ]; then
		args+=(--cover-letter)
	fi
	commit_as "$(gl log -1 --format=%an "$2")" "$(gl log -1 --format=%ae "$2")" '' \
		git -C "$LINUX" format-patch -q "${args[@]}" "base..$2"
	[ ! -f "$1/patches/0000-cover-letter" ] || COVER=$1/patches/0000-cover-letter perl -0pi -e '
		open my $f, "<", $ENV{COVER} or die; local $/; my ($s, $b) = split /\n\n/, <$f>, 2;
		$s =~ s/^Subject: //; $b =~ s/\n+\z//;
		s/\*\*\* SUBJECT HERE \*\*\*/$s/; s/\*\*\* BLURB HERE \*\*\*/$b/' "$3"/*cover-letter.patch
}

cmd_export() {
	local tip

	need_base
	tip=$(assemble "$ROOT")
	[ "$tip" != "$(gl rev-parse base)" ] || die "the series is empty"
	export_series "$ROOT" "$tip" "$BUILD/export"
	ls "$BUILD/export"
}

cmd_diff() {
	need_base
	gl diff base "$(assemble "$ROOT")" -- "$@"
}

main() {
	case ${1:-} in
	tree|refresh|export|diff|base)
		lock series
		"cmd_$1" "${@:2}"
		;;
	*)	sed -n '3,9s/^# *//p' "$0" >&2; exit 2 ;;
	esac
}

[ "${BASH_SOURCE[0]}" != "$0" ] || { main "$@"; exit; }
