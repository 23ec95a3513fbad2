// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const shutdownTimeout = 10 * time.Second

// Serve listens on addr, such as ":8080", and answers until ctx ends and what is under way is answered.
func (g *Gateway) Serve(ctx context.Context, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for the gateway on %s: %w", addr, err)
	}
	return g.ServeListener(ctx, l)
}

// ServeListener is Serve on a listener, which it closes.
func (g *Gateway) ServeListener(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the gateway: %w", err)
	case <-ctx.Done():
	}
	// ctx has ended: what is under way gets a time of its own.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("shut the gateway down: %w", errors.Join(err, server.Close()))
	}
	return errors.Join(g.writer.wait(grace), g.intake.wait(grace))
}
