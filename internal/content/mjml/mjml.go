// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mjml compiles MJML to HTML.
//
// The compiler is MJML's own (4.14), built to WebAssembly by github.com/Boostport/mjml-go
// (Apache-2.0; MJML is MIT) and run by wazero, without access to files or the network. It is made
// ready when the first mail is compiled, which takes a second, and let go of when it has not been
// used for a while, since it takes 100 MB that a process that sends has a better use for.
package mjml

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

const (
	// idle is how long the compiler is kept after its last use.
	idle = 30 * time.Second
	// timeout of one compilation; a large mail takes 0.1 s.
	timeout = 20 * time.Second
	// cached is how many results are kept: a few scenarios' mails while they are edited.
	cached = 64
	// maxSource is what a ConfigMap could hold.
	maxSource = 1 << 20
)

// Error is what is wrong with a source.
type Error struct {
	Line    int // from 1; 0 where it is not known
	Message string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// Compiler compiles MJML, one source at a time. It is safe for concurrent use.
type Compiler struct {
	mu      sync.Mutex
	engine  *engine
	release *time.Timer
	closed  bool
	cache   cache
}

// New makes a compiler, at no cost until it is used.
func New() *Compiler { return &Compiler{} }

// Compile gives the HTML of an MJML source. What is wrong with the source is an *Error.
func (c *Compiler) Compile(ctx context.Context, source string) (string, error) {
	if len(source) > maxSource {
		return "", &Error{Message: fmt.Sprintf("the source has more than %d bytes", maxSource)}
	}
	if err := check(source); err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(source))
	c.mu.Lock()
	defer c.mu.Unlock()
	if html, ok := c.cache.get(key); ok {
		return html, nil
	}
	if c.closed {
		return "", fmt.Errorf("compiling MJML: the compiler is closed")
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("compiling MJML: %w", err)
	}
	if c.release != nil {
		c.release.Stop()
	}
	c.release = time.AfterFunc(idle, c.rest)
	if c.engine == nil {
		engine, err := newEngine()
		if err != nil {
			return "", fmt.Errorf("starting the MJML compiler: %w", err)
		}
		c.engine = engine
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	html, err := c.engine.compile(ctx, source)
	if err != nil {
		return "", err
	}
	c.cache.put(key, html)
	return html, nil
}

// rest lets go of the engine, not of the results.
func (c *Compiler) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine != nil {
		c.engine.close()
		c.engine = nil
	}
}

// Close lets go of everything. Compile fails afterwards.
func (c *Compiler) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.release != nil {
		c.release.Stop()
	}
	c.cache = cache{}
	c.mu.Unlock()
	c.rest()
	return nil
}

// cache keeps the results that were used last.
type cache struct {
	html map[[sha256.Size]byte]string
	used [][sha256.Size]byte // oldest first
}

func (c *cache) get(key [sha256.Size]byte) (string, bool) {
	html, ok := c.html[key]
	if ok {
		c.touch(key)
	}
	return html, ok
}

func (c *cache) put(key [sha256.Size]byte, html string) {
	if c.html == nil {
		c.html = map[[sha256.Size]byte]string{}
	}
	if len(c.used) == cached {
		delete(c.html, c.used[0])
		c.used = c.used[1:]
	}
	c.html[key] = html
	c.used = append(c.used, key)
}

func (c *cache) touch(key [sha256.Size]byte) {
	for i, k := range c.used {
		if k == key {
			c.used = append(append(c.used[:i:i], c.used[i+1:]...), key)
			return
		}
	}
}
