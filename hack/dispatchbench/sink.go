// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// sink takes all mails, at a port, and all pushes, at another, and keeps nothing. It is a process of its own, and
// prints the two addresses.
func sink(ctx context.Context, w io.Writer) error {
	var of net.ListenConfig
	mails, err := of.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for mails: %w", err)
	}
	pushes, err := of.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for pushes: %w", err)
	}
	go func() {
		for {
			conn, err := mails.Accept()
			if err != nil {
				return
			}
			go func() { _ = takeMails(conn) }()
		}
	}()
	server := &http.Server{Handler: http.HandlerFunc(takePush), ReadHeaderTimeout: timeout}
	go func() { _ = server.Serve(pushes) }()
	fmt.Fprintln(w, mails.Addr(), pushes.Addr())
	<-ctx.Done()
	_ = mails.Close()
	return server.Close()
}

func takePush(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"sentMessages":[{"id":"461230966842064897","quoteToken":"q"}]}`)
}

// takeMails answers one connection, and writes when there is nothing more to read: a client that pipelines gets its
// answers together.
func takeMails(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	say := func(text string) { _, _ = out.WriteString(text + "\r\n") }
	say("220 sink ESMTP")
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(string(line))), " "); verb {
		case "EHLO":
			say("250-sink")
			say("250-PIPELINING")
			say("250 8BITMIME")
		case "DATA":
			say("354 go on")
			if err := out.Flush(); err != nil {
				return err
			}
			if err := skipMail(in); err != nil {
				return err
			}
			say("250 2.0.0 taken as 4711")
		case "QUIT":
			say("221 bye")
			return out.Flush()
		default:
			say("250 fine")
		}
	}
}

func skipMail(in *bufio.Reader) error {
	begins := true // a line does here
	for {
		line, err := in.ReadSlice('\n')
		if begins && bytes.Equal(line, []byte(".\r\n")) {
			return nil
		}
		if begins = err == nil; err != nil && err != bufio.ErrBufferFull { //nolint:errorlint // it is never wrapped
			return err
		}
	}
}
