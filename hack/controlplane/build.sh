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
# shellcheck source=../cache.sh
source "$here/../cache.sh"
prefix="control plane"
version=$(pinned "$here" k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
programs=(etcd kube-apiserver kubectl)

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  lacks=$(missing "$KUBEBUILDER_ASSETS" "${programs[@]}")
  if [[ -z $lacks ]]; then
    echo "$KUBEBUILDER_ASSETS"
    exit
  fi
  say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks$lacks, so it is not used"
fi

if command -v setup-envtest >/dev/null; then
  assets=$(setup-envtest use -i -p path "$major.$minor.x" 2>/dev/null || true)
  if [[ -n $assets && -z $(missing "$assets" "${programs[@]}") ]]; then
    echo "$assets"
    exit
  fi
fi

build() {
  # The API server reads its own version to decide which APIs exist: without these it calls itself v0.0.0.
  local stamp="" package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
  done
  say "building etcd, kube-apiserver and kubectl $version, once on a machine: about 5 minutes on 2 cores"
  go_build "$here" "$1/etcd" go.etcd.io/etcd/server/v3 ""
  go_build "$here" "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
  go_build "$here" "$1/kubectl" k8s.io/kubernetes/cmd/kubectl "$stamp"
}

dest=$cache_home/controlplane/$version
cached "$dest" build "${programs[@]}"
echo "$dest"
