// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package email

import (
	"errors"
	"net"
	"syscall"
)

// peek says without waiting whether the server has something to say, or has hung up.
func peek(c net.Conn) (pending, gone bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false, true
	}
	var n int
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, readErr = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true // never wait
	})
	switch {
	case err != nil:
		return false, true
	case errors.Is(readErr, syscall.EAGAIN), errors.Is(readErr, syscall.EINTR):
		return false, false
	case readErr != nil || n == 0:
		return false, true
	}
	return true, false
}
