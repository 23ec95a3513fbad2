#!/usr/bin/env bash
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Prints the directory that holds etcd, kube-apiserver and kubectl, and builds them first where they
# are missing: from the modules pinned in go.mod beside this file, into a cache outside the tree.
#
#   KUBEBUILDER_ASSETS   a directory with the three programs: used as it is
#   setup-envtest        on PATH and with this version installed: its directory is used
#   KAERU_CACHE          where to build (default: ${XDG_CACHE_HOME:-$HOME/.cache}/kaeru)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$here/go.mod")
programs=(etcd kube-apiserver kubectl)

say() { echo "control plane: $*" >&2; }

missing() { # DIR: names the programs that it lacks
  local p
  for p in "${programs[@]}"; do [[ -x $1/$p ]] || echo -n " $p"; done
}

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  lacks=$(missing "$KUBEBUILDER_ASSETS")
  if [[ -z $lacks ]]; then
    echo "$KUBEBUILDER_ASSETS"
    exit
  fi
  say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks$lacks, so it is not used"
fi

IFS=. read -r major minor _ <<<"${version#v}"
if command -v setup-envtest >/dev/null; then
  assets=$(setup-envtest use -i -p path "$major.$minor.x" 2>/dev/null || true)
  if [[ -n $assets && -z $(missing "$assets") ]]; then
    echo "$assets"
    exit
  fi
fi

cache=${KAERU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kaeru}/controlplane
dest=$cache/$version
if [[ -z $(missing "$dest") ]]; then
  echo "$dest"
  exit
fi

mkdir -p "$cache"
if command -v flock >/dev/null; then # without it two at once both build, and the second one's result stays
  exec 9>"$cache/.lock"
  if ! flock -n 9; then
    say "another build is under way, waiting for it"
    flock 9
  fi
  if [[ -z $(missing "$dest") ]]; then
    echo "$dest"
    exit
  fi
fi

work=$(mktemp -d "$cache/.building.XXXXXX")
pulse=
finish() {
  [[ -z $pulse ]] || kill "$pulse" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The API server reads its own version to decide which APIs exist: without these it calls itself v0.0.0.
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

build() { # NAME PACKAGE HINT
  local began=$SECONDS
  say "building $1 ($version), $3"
  (while sleep 30 >/dev/null 2>&1; do say "still building $1, $((SECONDS - began)) s so far"; done) 9>&- &
  pulse=$!
  (cd "$here" && CGO_ENABLED=0 GOFLAGS= GOWORK=off \
    go build -mod=readonly -buildvcs=false -trimpath -ldflags "$stamp" -o "$work/$1" "$2") 9>&- >&2
  kill "$pulse" 2>/dev/null || true
  wait "$pulse" 2>/dev/null || true
  pulse=
  say "built $1 in $((SECONDS - began)) s"
}

build etcd go.etcd.io/etcd/server/v3 "half a minute the first time"
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "about 4 minutes the first time"
build kubectl k8s.io/kubernetes/cmd/kubectl "half a minute the first time"

chmod 755 "$work"
rm -rf "$dest"
mv "$work" "$dest"
echo "$dest"
