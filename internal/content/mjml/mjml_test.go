// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mjml

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
)

var shared = New()

func TestMain(m *testing.M) {
	compilations = wazero.NewCompilationCache()
	code := m.Run()
	_ = shared.Close()
	os.Exit(code)
}

func mail(body string) string {
	return "<mjml>\n<mj-body>\n<mj-section>\n<mj-column>\n" + body + "\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>"
}

func TestCompile(t *testing.T) {
	html, err := shared.Compile(context.Background(), mail(`<mj-text>こんにちは</mj-text><mj-button href="https://shop.example/?a=1&amp;b=2">Go</mj-button>`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<!doctype html>", "こんにちは", `href="https://shop.example/?a=1&amp;b=2"`, "</html>"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in %s", want, html)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := map[string]struct {
		source, want string
		line         int
	}{
		"an unknown tag":       {mail("<mj-foo></mj-foo>"), "mj-foo doesn't exist", 5},
		"an unknown attribute": {mail("\n<mj-text colour=\"red\">x</mj-text>"), "Attribute colour is illegal", 6},
		"a tag out of place":   {"<mjml><mj-body><mj-text>a</mj-text></mj-body></mjml>", "cannot be used inside mj-body", 1},
		"text":                 {"hello", "begins with <mjml>", 1},
		"HTML":                 {"<html><body></body></html>", "begins with <mjml>", 1},
		"an open tag":          {mail("<mj-text>a"), "stands where <mj-text> of line 5 should be closed", 6},
		"the outermost open":   {"<mjml>", "<mjml> is not closed", 1},
		"closed twice":         {"<mjml><mj-body></mj-body></mjml></mjml>", "closes nothing", 1},
		"a file":               {mail("<mj-include path=\"/etc/passwd\" />"), "reads no other file", 5},
		"too long":             {strings.Repeat("x", maxSource+1), "more than", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := shared.Compile(context.Background(), tc.source)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tc.want) || e.Line != tc.line {
				t.Errorf("got %v, want line %d: …%s…", err, tc.line, tc.want)
			}
		})
	}
}

func TestCheckKnowsAttributesAndComments(t *testing.T) {
	for name, source := range map[string]string{
		"a comment with tags":    "<!-- <mj-text> -->" + mail("<!-- </mj-text> --><mj-text>a</mj-text>"),
		"a > in an attribute":    mail(`<mj-image alt="a > b" src="x" />`),
		"a / in an attribute":    mail(`<mj-button href="https://a.example/">a</mj-button>`),
		"capitals":               strings.ReplaceAll(mail("<mj-divider />"), "mjml", "MJML"),
		"HTML that is not close": mail("<mj-text>a<br>b<p>c</mj-text>"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := check(source); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCompileConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 3 {
				word := fmt.Sprintf("word-%d", i)
				html, err := shared.Compile(context.Background(), mail("<mj-text>"+word+"</mj-text>"))
				if err != nil || !strings.Contains(html, word) {
					t.Errorf("no %s, %v", word, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRestAndClose(t *testing.T) {
	c := New()
	ctx := context.Background()
	first := mail("<mj-text>rest</mj-text>")
	if _, err := c.Compile(ctx, first); err != nil {
		t.Fatal(err)
	}
	c.rest()
	if c.engine != nil {
		t.Error("at rest, the engine is kept")
	}
	if _, err := c.Compile(ctx, first); err != nil || c.engine != nil {
		t.Errorf("a cached result woke the engine, or failed: %v", err)
	}
	if _, err := c.Compile(ctx, mail("<mj-text>woken</mj-text>")); err != nil {
		t.Errorf("after a rest: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compile(ctx, first); err == nil {
		t.Error("a closed compiler compiles")
	}
}

func TestContextEndsACompilation(t *testing.T) {
	// Long enough to be still at work when its time is over.
	long := mail(strings.Repeat("<mj-text>long</mj-text>", 20_000))
	if _, err := shared.Compile(context.Background(), mail("<mj-text>before</mj-text>")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := shared.Compile(ctx, long); err == nil {
		t.Error("compiled in spite of its context")
	}
	if _, err := shared.Compile(context.Background(), mail("<mj-text>after</mj-text>")); err != nil {
		t.Errorf("and then nothing compiles: %v", err)
	}
}

func TestCacheForgetsTheOldest(t *testing.T) {
	var c cache
	key := func(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, i)) }
	for i := range cached {
		c.put(key(i), "x")
	}
	c.get(key(0))
	c.put(key(cached), "x")
	if _, ok := c.get(key(0)); !ok {
		t.Error("what was used last is forgotten")
	}
	if _, ok := c.get(key(1)); ok || len(c.html) != cached || len(c.used) != cached {
		t.Errorf("%d results are kept, %d in order", len(c.html), len(c.used))
	}
}

// The module is the one that update.sh copies from mjml-go v0.16.0.
func TestTheModuleIsTheKnownOne(t *testing.T) {
	const want = "58136ef54a2f60b57e0c57696b118382243324408c38bb523e59be67f10cff1e"
	if got := fmt.Sprintf("%x", sha256.Sum256(compressed)); got != want {
		t.Errorf("mjml.wasm.br has the sum %s, want %s", got, want)
	}
}

func BenchmarkCompile(b *testing.B) {
	source := mail("<mj-text>x</mj-text>")
	if _, err := shared.Compile(context.Background(), source); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := shared.engine.compile(context.Background(), source); err != nil {
			b.Fatal(err)
		}
	}
}
