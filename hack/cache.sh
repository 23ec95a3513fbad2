# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# For sourcing: programs that are built from pinned Go modules once, into a cache outside the tree,
# ${KAERU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kaeru}. Deleting the cache is always safe.
# shellcheck shell=bash

cache_home=${KAERU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kaeru}

say() { echo "${prefix:-kaeru}: $*" >&2; }

# missing DIR PROGRAM…: names the programs that the directory lacks.
missing() {
  local dir=$1 p
  shift
  for p; do [[ -x $dir/$p ]] || echo -n " $p"; done
}

# cached DEST BUILD PROGRAM…: has the function BUILD fill a directory with the programs, unless DEST
# has them all. DEST appears whole or not at all, and of two at once the second waits.
cached() {
  local dest=$1 build=$2
  shift 2
  [[ -n $(missing "$dest" "$@") ]] || return 0
  mkdir -p "$(dirname "$dest")"
  if command -v flock >/dev/null; then # without it both build, and the later result stays
    exec 9>"$dest.lock"
    if ! flock -n 9; then
      say "another build is under way, waiting for it"
      flock 9
    fi
    if [[ -z $(missing "$dest" "$@") ]]; then
      exec 9>&-
      return 0
    fi
  fi
  cache_work=$(mktemp -d "$dest.building.XXXXXX")
  trap cache_clean EXIT
  trap 'exit 130' INT TERM
  "$build" "$cache_work"
  chmod 755 "$cache_work"
  rm -rf "$dest"
  mv "$cache_work" "$dest"
  exec 9>&-
}

cache_clean() {
  [[ -z ${cache_pulse:-} ]] || kill "$cache_pulse" 2>/dev/null || true
  rm -rf "$cache_work"
}

# go_build MODULE OUTPUT PACKAGE LDFLAGS: builds a static program and says how long it takes.
go_build() {
  local module=$1 output=$2 package=$3 ldflags=$4 began=$SECONDS name
  name=$(basename "$output")
  # 9 is the lock and must not outlive this script; nor may the sleep hold the caller's standard error.
  (while sleep 30 2>/dev/null; do say "still building $name, $((SECONDS - began)) s so far"; done) 9>&- >/dev/null &
  cache_pulse=$!
  (cd "$module" && CGO_ENABLED=0 GOFLAGS='' GOWORK=off \
    go build -mod=readonly -buildvcs=false -trimpath -ldflags "-s -w $ldflags" -o "$output" "$package") 9>&- >&2
  kill "$cache_pulse" 2>/dev/null || true
  wait "$cache_pulse" 2>/dev/null || true
  cache_pulse=
  say "built $name in $((SECONDS - began)) s"
}

# pinned MODULE PATH: the version that a module's go.mod requires.
pinned() {
  awk -v path="$2" '$1 == path { print $2; exit } $1 == "require" && $2 == path { print $3; exit }' "$1/go.mod"
}
