#!/usr/bin/env bash
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Writes everything that is made from the Go types: deep copies, CRDs, the manager's role, the
# chart's CRDs and the API reference. Nothing else may write these files.
#
#   generate.sh          write them
#   generate.sh --list   name them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

crds=config/crd/bases
role=config/rbac/role.yaml
chart_crds=charts/kaeru/templates/crds
chart_role=charts/kaeru/files/role.yaml # the chart's template reads its rules
reference=docs/api.md

if [[ ${1:-} == --list ]]; then
  printf '%s\n' api/*/zz_generated.deepcopy.go "$crds" "$role" "$chart_role" "$chart_crds" "$reference"
  exit
fi

controller_gen=$(hack/tools/build.sh controller-gen)

"$controller_gen" object:headerFile=hack/boilerplate.go.txt paths=./api/...

# From an empty directory, so that the CRD of a kind that is gone goes too.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$controller_gen" crd:generateEmbeddedObjectMeta=true,headerFile=hack/boilerplate.yaml.txt \
  paths=./api/... output:crd:dir="$fresh"
mkdir -p "$crds" "$chart_crds"
rm -f "$crds"/*.yaml "$chart_crds"/*.yaml
cp "$fresh"/*.yaml "$crds/"

mkdir -p "$(dirname "$role")"
"$controller_gen" rbac:roleName=kaeru-manager-role,headerFile=hack/boilerplate.yaml.txt \
  paths=./controllers/... output:rbac:dir="$(dirname "$role")"
mkdir -p "$(dirname "$chart_role")"
cp "$role" "$chart_role"

# In the chart the CRDs are templates: they can be left out, are upgraded with it, and stay when it
# is uninstalled, as deleting them would delete every Segment and Scenario. What looks like a Helm
# action is Liquid in a description.
for crd in "$crds"/*.yaml; do
  awk '
    BEGIN { print "{{- if .Values.crds.install }}" }
    { gsub(/{{/, "{{ \"{{\" }}"); print }
    /^  annotations:$/ && !kept { print "    helm.sh/resource-policy: keep"; kept = 1 }
    END { print "{{- end }}"; if (!kept) { print FILENAME ": no annotations to add to" >"/dev/stderr"; exit 1 } }
  ' "$crd" >"$chart_crds/$(basename "$crd")"
done

mkdir -p "$(dirname "$reference")"
go run ./hack/apidocs ./api/v1alpha1 >"$fresh/api.md"
cp "$fresh/api.md" "$reference"
