#!/usr/bin/env bash
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of one of the tools beside this file (controller-gen, golangci-lint, helm), each a
# module that pins one program, and builds it first where it is missing, into a cache outside the tree.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../cache.sh
source "$here/../cache.sh"
prefix=tools

name=${1:?which tool: $(cd "$here" && echo */)}
module=$here/$name
stamp="" about="a minute"
case $name in
  controller-gen)
    package=sigs.k8s.io/controller-tools/cmd/controller-gen
    version=$(pinned "$module" sigs.k8s.io/controller-tools)
    stamp="-X sigs.k8s.io/controller-tools/pkg/version.version=$version" ;;
  golangci-lint)
    package=.
    version=$(pinned "$module" github.com/golangci/golangci-lint/v2)
    stamp="-X main.version=${version#v}" about="4 minutes" ;;
  helm)
    package=helm.sh/helm/v4/cmd/helm
    version=$(pinned "$module" helm.sh/helm/v4)
    stamp="-X helm.sh/helm/v4/internal/version.version=$version" about="3 minutes" ;;
  *)
    say "no tool is called $name: $(cd "$here" && echo */)"
    exit 2 ;;
esac

build() {
  say "building $name $version, once on a machine: about $about on 2 cores"
  go_build "$module" "$1/$name" "$package" "$stamp"
}

# A plugin or a library may change where the version does not, so the sums are part of the name.
dest=$cache_home/tools/$name-$version-$(cksum <"$module/go.sum" | cut -d' ' -f1)
cached "$dest" build "$name"
echo "$dest/$name"
