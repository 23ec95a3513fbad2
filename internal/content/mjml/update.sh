#!/bin/sh
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0

# Copies the MJML compiler out of the Go module that builds it. The module itself is not imported:
# it would compile the WebAssembly whenever any kaeru command starts (1.2 s, 120 MB).
set -eu
cd "$(dirname "$0")"
version=${1:-v0.16.0}
dir=$(go mod download -json "github.com/Boostport/mjml-go@$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
cp "$dir/wasm/mjml.wasm.br" mjml.wasm.br
chmod 0644 mjml.wasm.br
