#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Between this repository and the git tree build/linux:
#   dev/series.sh tree       repository -> tree: the base and one commit per patch
#   dev/series.sh continue   go on after a conflict with another base
#   dev/series.sh refresh    tree -> repository: patches/ and whole files
#   dev/series.sh export     mail-ready patches in build/export (VERSION=n)
#   dev/series.sh diff FILE  what the series changes in FILE, whole or not
#   dev/series.sh base       unpack the unpatched source into build/linux-base
#
# patches/series is a quilt series with one directive: a line "#files: a b" under a patch
# names the whole files that enter with it.  They are not in the patch, but in this
# repository at their kernel path.  A commit consists of a patch and its whole files.
# Author and date come from the patch, and the committer is the author, so commit ids are
# reproducible.  A later patch may change a whole file.  The repository has its final
# form; it enters with the hunks of all later patches reverted.  In build/linux,
# refs/assembled is the last commit that was made from the repository.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$DEV/assemble.sh"

TREE=${LINUX#"$ROOT"/}			# as messages name it

gl() { git -C "$LINUX" "$@"; }

# --- base: the tarball as one commit ----------------------------------------

# Set tarball and version, from the package that is installed, even if it is not the
# version in BASE, or from what dev/port.sh unpacked.
find_tarball() {
	local pkg want

	if [ -e "$BUILD/base-package" ]; then
		{ read -r version; read -r tarball; } <"$BUILD/base-package"
		return
	fi
	pkg=$(base_field package) want=$(base_field version)
	version=$(installed_version "$pkg")
	[ -n "$version" ] || die "$pkg is not installed"
	tarball=/usr/src/$pkg.tar.xz
	[ -r "$tarball" ] || die "$pkg $version has no $tarball"
	[ "$version" = "$want" ] || [ -n "${SAID:-}" ] ||
		say "note: $pkg $version is installed, the series was made for $want"
	export SAID=1
}

# Adding 80,000 files is limited by the CPU, so two processes do it, each with its own
# index.  With this threshold, files go into a pack directly, not into loose objects.
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
		die "$TREE is based on $have and $(unsaved); FORCE=1 throws that away"
	fi
	import_base
}

# --- tree ------------------------------------------------------------------------

# Print why build/linux must not be overwritten; nothing if it may be.
unsaved() {
	if [ -e "$LINUX/.git/series-laid-out" ]; then
		echo "make tree stopped in it at a conflict (make continue)"
	elif is_continued; then
		echo "conflicts were resolved in it (make refresh)"
	elif [ -d "$LINUX/.git/rebase-merge" ] || [ -d "$LINUX/.git/rebase-apply" ]; then
		echo "a rebase is in progress in it"
	elif [ -n "$(gl status --porcelain)" ]; then
		echo "it has uncommitted changes"
	elif [ "$(gl rev-parse HEAD)" != "$(gl rev-parse refs/assembled)" ]; then
		echo "it has commits that are not in patches/ (make refresh)"
	fi
}

# Save everything in build/linux as refs/saved, and make it clean
throw_away() {
	local lost

	gl add -A			# stash takes neither what is unmerged nor new files
	lost=$(commit_as saved '' '@0 +0000' git -C "$LINUX" stash create)
	gl update-ref refs/saved "${lost:-HEAD}"
	say "what was in $TREE is $(gl rev-parse --short=12 refs/saved) (refs/saved)"
	gl rebase --quit 2>/dev/null || gl am --quit 2>/dev/null || true
	forget_conflict
	gl reset -q --hard
}

# try_assembling COMMAND...: set tip and rc.  Do not call this in a condition, where bash
# ignores -e.
try_assembling() {
	rm -f "$LINUX/.git/series-stopped"
	set +e
	tip=$(set -e; "$@")
	rc=$?
	set -e
}

# With --keep, a tree with unsaved work is used as it is, which is not an error, and the
# tip of the last time is used if nothing changed.
cmd_tree() {
	local tip='' rc=0 why keep=${1:-}

	need_base
	why=$(unsaved)
	if [ -n "$keep" ] && is_continued; then
		say "note: $TREE is used as it is: $why"
		return
	fi
	[ -n "$keep" ] || rm -f "$LINUX/.git/known-tip"
	try_assembling known_tip "$ROOT"
	if [ $rc = 0 ] && [ "$(gl rev-parse HEAD)" = "$tip" ]; then
		gl update-ref refs/assembled "$tip"
		forget_conflict
		[ -n "$keep" ] || say "$TREE is up to date: $(summary "$tip")"
		return
	elif [ $rc != 0 ] && { [ -n "$keep" ] || [ ! -e "$LINUX/.git/series-stopped" ]; }; then
		exit 1
	fi
	if [ -n "$why" ] && [ "$keep" = --keep ]; then
		say "note: $TREE is used as it is: $why"
		return
	elif [ -n "$why" ] && [ -z "${FORCE:-}" ]; then
		die "$TREE not touched: $why; FORCE=1 throws that away"
	elif [ -n "$why" ]; then
		throw_away
	fi
	[ $rc = 0 ] || lay_out_conflict
	# This touches only files that differ, so that builds stay incremental.
	gl reset -q --keep "$tip"
	gl update-ref refs/assembled "$tip"
	say "$TREE: $(summary "$tip")"
}

summary() { echo "$(gl rev-list --count "base..$1") patches on $version, tip ${1:0:12}"; }

# --- conflicts: as in a rebase, with build/linux between two commits ---------------
#
# assemble() writes to .git of build/linux:
#   series-stopped     the patch, the commit before it, the tree with what applied
#   series-rejected    the diff of the patch, if it does not apply
# Later there are:
#   series-laid-out    series_id, patch, commit and tree, after these were checked out
#   series-continued   series_id, after the last conflict: make refresh writes the
#                      commits although the repository cannot be assembled

# Check out what could be applied of the patch at which assembling stopped, and end.
lay_out_conflict() {
	[ -e "$LINUX/.git/series-stopped" ] || exit 1
	local patch tip tree rejected=$LINUX/.git/series-rejected

	{ read -r patch; read -r tip; read -r tree; } <"$LINUX/.git/series-stopped"
	gl reset -q --keep "$tip"
	gl update-ref refs/assembled "$tip"
	gl read-tree -m -u "$tip" "$tree"
	[ ! -e "$rejected" ] || gl apply --reject --whitespace=nowarn "$rejected" >/dev/null 2>&1 || true
	printf '%s\n' "$(series_id "$ROOT")" "$patch" "$tip" "$tree" >"$LINUX/.git/series-laid-out"
	say "$TREE is at $patch, with what conflicts between markers or in *.rej files."
	say "Resolve that there, then: ${SERIES_BUILD:+SERIES_BUILD=$SERIES_BUILD }make continue (and make refresh at the end)"
	exit 1
}

forget_conflict() {
	rm -f "$LINUX/.git/series-"{laid-out,continued}
	gl clean -q -f -- '*.rej'
}

is_continued() {
	[ "$(cat "$LINUX/.git/series-continued" 2>/dev/null)" = "$(series_id "$ROOT" 2>/dev/null)" ]
}

# Print a line for each file that differs from COMMIT and is not resolved yet.
unresolved() {
	local file

	gl diff --name-only "$1" | while read -r file; do
		[ ! -e "$LINUX/$file.rej" ] || echo "$file.rej is still there"
		! grep -qE '^(<{7}|>{7}) ' "$LINUX/$file" 2>/dev/null || echo "$file has conflict markers"
	done
	gl ls-files -o -- '*.rej' | sed 's/$/ is still there/'
}

cmd_continue() {
	local id patch tip tree why rc=0 state=$LINUX/.git

	need_base
	[ -e "$state/series-laid-out" ] || die "nothing to continue: make tree did not stop"
	{ read -r id; read -r patch; read -r tip; read -r tree; } <"$state/series-laid-out"
	[ "$id" = "$(series_id "$ROOT" 2>/dev/null)" ] ||
		die "patches/ or whole files changed since make tree stopped; FORCE=1 make tree starts again"
	why=$(unresolved "$tip" | sort -u)
	[ -z "$why" ] || die "$why"
	gl reset -q --soft "$tip"		# if it was committed already
	gl add -A
	[ -z "${SERIES_BUILD:-}" ] || record_resolutions "$tip" "$tree"
	tip=$(commit_stopped "$patch" "$tip")
	gl reset -q --soft "$tip"
	forget_conflict
	try_assembling assemble "$ROOT" "$patch" "$tip"
	[ $rc = 0 ] || lay_out_conflict
	gl reset -q --keep "$tip"
	series_id "$ROOT" >"$state/series-continued"
	say "$TREE: $(summary "$tip"); make refresh writes them to the repository"
}

# record_resolutions TIP TREE: record how files that have conflict markers in TREE were
# resolved.  make port uses this the next time, see resolve().
record_resolutions() {
	local file merged=$LINUX/.git/series-merged name

	gl diff --name-only "$1" "$2" | while read -r file; do
		gl cat-file blob "$2:$file" >"$merged"
		grep -q '^<<<<<<< ' "$merged" || continue
		name=$(basename "$BUILD" | sed s/^port-//)-${file//\//-}-$(conflict_key "$file" "$merged").diff
		mkdir -p "$ROOT/patches/resolved"
		gl diff --cached --full-index --no-renames "$2" -- "$file" >"$ROOT/patches/resolved/$name"
		say "recorded patches/resolved/$name"
	done
}

# commit_stopped PATCH PARENT: commit the index of build/linux and print the commit
commit_stopped() {
	local tmp

	tmp=$(mktemp -d)
	split_mails "$ROOT" "$tmp"
	commit_patch "$tmp" "$@"
	rm -rf "$tmp"
}

# Unpack the source of the unpatched kernel, once for each base.
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

# Whole files are those that the series adds, and those that were declared whole before.
whole_files() {
	{
		gl diff --no-renames --diff-filter=A --name-only base "$2"
		series_files "$1" | while read -r f; do
			! gl cat-file -e "$2:$f" 2>/dev/null || echo "$f"
		done
	} | sort -u
}

# old_comments DIR [PATCH]: print the comment lines that are above PATCH in the series, or
# those above the first patch
old_comments() {
	awk -v p="${2:-}" '/^#files:/ { next } /^(#|[[:space:]]*$)/ { c = c $0 "\n"; next }
		{ sub(/^[0-9]+-/, "") } n++ == 0 { h = c; c = "" } $0 == p { printf "%s", c } { c = "" }
		END { if (p == "") printf "%s", n ? h : c }' "$1/patches/series"
}

# record_base REV OUT: for whole files that the base also has, record what REV changes
record_base() {
	local file

	while read -r file; do
		gl cat-file -e "base:$file" 2>/dev/null || continue
		mkdir -p "$2/patches/base/$(dirname "$file")"
		gl diff --full-index --no-renames base "$1" -- "$file" >"$2/patches/base/$file.diff"
	done <"$2/whole"
}

# generate DIR REV OUT: write to OUT what DIR must contain so that assembling it gives REV
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
	record_base "$rev" "$out"
	[ ! -s "$out/whole" ] ||
		xargs -d '\n' git -C "$LINUX" -c tar.umask=022 archive "$rev" -- <"$out/whole" |
			tar -m -C "$out" -xf -
	rm "$out/whole" "$out/owned"
}

cmd_refresh() {
	local head why new=$BUILD/refresh.new tip old count changes

	need_base
	head=$(gl rev-parse HEAD)
	why=$(unsaved)
	case $why in
	*rebase*|*uncommitted*|*stopped*)	[ -n "${FORCE:-}" ] || die "commit first: $TREE: $why" ;;
	esac
	old=$(assemble "$ROOT" 2>/dev/null) || old=
	[ "$old" = "$(gl rev-parse refs/assembled)" ] || [ "$old" = "$head" ] || is_continued || [ -n "${FORCE:-}" ] ||
		die "patches/ or whole files changed since make tree; FORCE=1 overwrites them from build/linux"

	rm -rf "$new"
	generate "$ROOT" "$head" "$new"
	tip=$(assemble "$new")
	[ -z "$(gl diff --name-only "$tip" "$head")" ] || die "the new series does not give the tree back"
	count=$(series_patches "$new" | wc -l)
	[ "$count" -ge "$(series_patches "$ROOT" | wc -l)" ] || [ -n "${FORCE:-}" ] ||
		die "the series would shrink to $count patches; FORCE=1 if that is meant"

	changes=$(install_series "$new")
	rm -rf "$new"
	forget_conflict
	gl reset -q --soft "$tip"
	gl update-ref refs/assembled "$tip"
	[ -z "$changes" ] || say "$changes"
	say "$([ -n "$changes" ] && echo refreshed || echo 'nothing to refresh'): $(summary "$tip")"
}

# Copy whole files, patches and records from DIR into the repository; print what changes.
install_series() {
	local f

	{
		series_files "$ROOT"
		series_patches "$ROOT" | sed 's|^|patches/|'
		(cd "$ROOT" && find patches/base -type f 2>/dev/null) || true
	} | while read -r f; do
		[ -e "$1/$f" ] || [ ! -e "$ROOT/$f" ] || { echo "removed $f"; rm "$ROOT/$f"; }
	done
	(cd "$1" && find . -type f -printf '%P\n' | sort) | while read -r f; do
		! same_file "$1/$f" "$ROOT/$f" || continue
		echo "updated $f"
		install -D -m "$(stat -c %a "$1/$f")" "$1/$f" "$ROOT/$f"
	done
}

# Are both files the same for git: contents and the executable bit?
same_file() {
	cmp -s "$1" "$2" && [ "$(test -x "$1" && echo x)" = "$(test -x "$2" && echo x)" ]
}

# --- export: for the mailing list --------------------------------------------

# export_series DIR TIP OUT: mails.  Forwarded and Origin, with From and Subject, are what
# Debian's DEP-3 asks of the patches of a package; git am ignores them.
export_series() {
	local args=(--no-signature --thread=shallow --abbrev=12 -o "$3" --add-header 'Forwarded: no')

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
	perl -0pi -e 'if (/^commit ([0-9a-f]{40}) upstream\.$/m) { my $id = $1;
		s|^Forwarded: no$|Origin: backport, https://git.kernel.org/linus/$id\nForwarded: not-needed|m }' \
		"$3"/*.patch
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
	tree|continue|refresh|export|diff|base)
		lock series
		"cmd_$1" "${@:2}"
		;;
	*)	sed -n '3,10s/^# *//p' "$0" >&2; exit 2 ;;
	esac
}

[ "${BASH_SOURCE[0]}" != "$0" ] || { main "$@"; exit; }
