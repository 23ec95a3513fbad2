#!/usr/bin/env bash
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Every check that is not a test. All of them run, and each that fails says how to mend it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=()
check() { # NAME COMMAND…
  local name=$1 began=$SECONDS
  shift
  echo "verify: $name"
  if "$@"; then
    echo "verify: $name: ok ($((SECONDS - began)) s)"
  else
    failed+=("$name")
    echo "verify: $name: FAILED ($((SECONDS - began)) s)"
  fi
}

# generated compares copies from before and after, so that what is not committed yet is no difference.
generated() (
  set -e
  before=$(mktemp -d)
  trap 'rm -rf "$before"' EXIT
  mapfile -t files < <(hack/generate.sh --list)
  for f in "${files[@]}"; do
    [[ -e $f ]] || continue
    mkdir -p "$before/$(dirname "$f")"
    cp -r "$f" "$before/$f"
  done
  hack/generate.sh
  differ=0
  for f in "${files[@]}"; do
    [[ -e $before/$f ]] || { echo "$f was missing"; differ=1; continue; }
    diff -ru "$before/$f" "$f" || differ=1
  done
  ((differ == 0)) || echo "generated files were not up to date; they are now: commit them"
  return "$differ"
)

tidy() {
  go mod tidy -diff || { echo "run \`make tidy\` and commit go.mod and go.sum"; return 1; }
}

kustomizations() {
  local kubectl dir status=0
  kubectl=$(hack/controlplane/build.sh)/kubectl || return 1
  while IFS= read -r dir; do
    grep -q '^kind: Component' "$dir/kustomization.yaml" && continue # built by what includes it
    "$kubectl" kustomize "$dir" >/dev/null || { echo "kubectl kustomize $dir fails"; status=1; }
  done < <(git ls-files --cached --others --exclude-standard 'config/*kustomization.yaml' | xargs -r -n1 dirname | sort -u)
  return $status
}

chart() {
  local helm
  helm=$(hack/tools/build.sh helm) || return 1
  "$helm" lint --strict charts/kaeru && "$helm" template kaeru charts/kaeru --namespace kaeru-system >/dev/null
}

lint() {
  local golangci_lint
  golangci_lint=$(hack/tools/build.sh golangci-lint) || return 1
  "$golangci_lint" run ./... || { echo "\`make fmt\` mends what is layout alone"; return 1; }
}

shell() {
  local f status=0
  while IFS= read -r f; do
    bash -n "$f" || status=1
  done < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
  return $status
}

(($# == 0)) || { check "$1" "$@"; exit $((${#failed[@]} > 0)); }

check "licence headers" hack/verify-licence.sh
check "shell scripts" shell
check "go.mod and go.sum" tidy
check "generated files" generated
check "kustomizations" kustomizations
check "chart" chart
check "lint" lint

((${#failed[@]} == 0)) || { printf 'verify: failed: %s\n' "${failed[@]}"; exit 1; }
echo "verify: all checks passed"
