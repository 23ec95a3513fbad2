// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the programs of the control plane that the demo and the tests run against.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
