// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the program that checks the chart.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
