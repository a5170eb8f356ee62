# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by the scripts beside it. What is expensive to build is built once and kept in the
# user's cache, in folders named after a hash of everything that they are built from. They
# are never changed, and may be deleted at any time.

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2034 # for those who source this
top=$(dirname "$here")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vfio-pci-ng

# shellcheck source=qemu-tests/versions
. "$here/versions"

# hash WORD... - a short name for the words and the contents of stdin
hash() {
	{ printf '%s\n' "$@"; cat; } | sha256sum | cut -c1-12
}

# Shows progress on stderr until killed: on a terminal one line with a counter, in a log a
# line every half minute.
progress() {
	seconds=0
	while :; do
		if [ -t 2 ]; then
			printf '\r%s ... %d:%02d ' "$1" $((seconds / 60)) $((seconds % 60)) >&2
		elif [ $((seconds % 30)) = 0 ]; then
			printf '%s ... %d:%02d\n' "$1" $((seconds / 60)) $((seconds % 60)) >&2
		fi
		sleep 1
		seconds=$((seconds + 1))
	done
}

# cached NAME WHAT COMMAND... - make $cache/NAME, if it does not exist, by COMMAND...
# with the name of a new folder added. It gets its final name only when it is complete;
# other processes that need it wait.
cached() {
	entry=$cache/$1
	what=$2
	shift 2
	[ -d "$entry" ] && return

	mkdir -p "$cache"
	exec 9>"$entry.lock"
	if ! flock --nonblock 9; then
		echo "waiting for another process that is making $what" >&2
		flock 9
	fi
	if [ ! -d "$entry" ]; then
		# Left behind by a run that was killed.
		as_root rm -rf "$entry.new"
		mkdir "$entry.new"
		progress "making $what (once; log: $entry.log)" 9>&- &
		progress_pid=$!
		trap 'kill $progress_pid 2>/dev/null' EXIT
		if ! "$@" "$entry.new" >"$entry.log" 2>&1 9>&- </dev/null; then
			echo >&2
			tail -n 30 "$entry.log" >&2
			echo "making $what failed; the whole log: $entry.log" >&2
			exit 1
		fi
		mv "$entry.new" "$entry"
		kill "$progress_pid"
		trap - EXIT
		[ ! -t 2 ] || echo >&2
	fi
	exec 9>&-
}

# as_root COMMAND... - run as root, in a mount namespace: as the real root, or in a user
# namespace where the caller is root, so that all new files belong to the caller.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		unshare --mount --propagation private -- "$@"
	else
		unshare --map-root-user --map-auto --mount --propagation private -- "$@"
	fi
}

# mirror - where the packages come from: what MIRROR says, else the host's own mirror, if it has one of
# Debian, else nothing, which leaves the choice to mmdebstrap.
mirror() {
	if [ "${MIRROR-}" ]; then
		echo "$MIRROR"
	else
		# shellcheck disable=SC2016 # for apt to expand
		apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
			'Created-By: Packages' 2>/dev/null |
			sed -n 's/^Debian Debian //p' | head -n 1
	fi
}

# unpack_root DIR - unpack the root file system that mmdebstrap has written to DIR.tar. mmdebstrap does
# not do so itself: for a user other than root, DIR would belong to a user id that nobody else can deal
# with. Device nodes are left out; whoever enters the root brings a /dev.
unpack_root() {
	as_root tar -C "$1" --extract --file "$1.tar" --numeric-owner --anchored --exclude './dev/*'
	rm "$1.tar"
}
