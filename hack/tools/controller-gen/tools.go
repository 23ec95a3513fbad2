// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the program that generates deep copies, CRDs and RBAC.
package tools

import _ "sigs.k8s.io/controller-tools/cmd/controller-gen"
