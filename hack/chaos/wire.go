// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// What a wire does to what goes over it.
const (
	wirePasses = iota
	// wireHangs takes connections and lets nothing through.
	wireHangs
	// wireHalfCloses brings everything to the provider, and closes the way back.
	wireHalfCloses
	// wireIsSlow brings answers a few bytes at a time.
	wireIsSlow
	// wireCuts cuts connections at random moments.
	wireCuts
)

// wire is the way to a provider. It looks at nothing but how often LINE said that it had a message already.
type wire struct {
	listener net.Listener
	to       string
	mode     atomic.Int32
	repeats  atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newWire(to string) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, to: to, conns: map[net.Conn]bool{}}
	go w.serve()
	return w, nil
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) close() {
	_ = w.listener.Close()
	w.cut()
}

// set changes what happens. Where all becomes well, what hung is cut: nobody waits for it any more.
func (w *wire) set(mode int32) {
	if w.mode.Swap(mode) == wireHangs && mode == wirePasses {
		w.cut()
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.carry(client)
	}
}

func (w *wire) carry(client net.Conn) {
	defer w.forget(client)
	w.keep(client)
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer w.forget(server)
	w.keep(server)
	done := make(chan struct{}, 2)
	go func() { w.pump(server, client, false); done <- struct{}{} }()
	go func() { w.pump(client, server, true); done <- struct{}{} }()
	<-done
}

func (w *wire) keep(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[c] = true
}

func (w *wire) forget(c net.Conn) {
	_ = c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

var conflict = []byte("HTTP/1.1 409")

// pump carries one direction; back is the provider's answers.
func (w *wire) pump(to, from net.Conn, back bool) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		for w.mode.Load() == wireHangs {
			time.Sleep(50 * time.Millisecond)
		}
		if n > 0 {
			if back {
				w.repeats.Add(int64(bytes.Count(buffer[:n], conflict)))
			}
			if !w.write(to, buffer[:n], back) {
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) && !back {
				if half, ok := to.(*net.TCPConn); ok && half.CloseWrite() == nil {
					time.Sleep(time.Second) // for the last answer
				}
			}
			return
		}
	}
}

func (w *wire) write(to net.Conn, bytes []byte, back bool) bool {
	switch w.mode.Load() {
	case wireHalfCloses:
		if back {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			time.Sleep(2 * time.Second)
			return false
		}
	case wireCuts:
		if rand.IntN(5) == 0 {
			return false
		}
	case wireIsSlow:
		for back && len(bytes) > 40 {
			if _, err := to.Write(bytes[:40]); err != nil {
				return false
			}
			bytes = bytes[40:]
			time.Sleep(300 * time.Millisecond)
		}
	}
	_, err := to.Write(bytes)
	return err == nil
}
