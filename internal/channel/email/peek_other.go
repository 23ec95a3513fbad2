// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package email

import "net"

// peek cannot look without reading here; a connection that is gone shows when it is used.
func peek(net.Conn) (pending, gone bool) { return false, false }
