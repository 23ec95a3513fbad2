// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv starts the servers that tests and the demo run against: a Kubernetes control
// plane and PostgreSQL, real ones, on free loopback ports, without root and without containers.
//
// In a test each server is started once for the process, on first use, and ends with the process
// however that ends. Nothing is skipped where a server can't be had: the test fails and says what to
// install.
//
//	cluster := testenv.ControlPlane(t)     // cluster.Config, .Kubeconfig, .Kubectl
//	ns := testenv.Namespace(t)             // a new namespace in it
//	dsn := testenv.Postgres(t)             // a new, empty database
//	testenv.Stores(t, func(t *testing.T, dsn string) { … })   // once on SQLite, once on PostgreSQL
package testenv
