// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chromium looks at pages as people do: in headless Chromium, on a phone's screen or a desktop's,
// with JavaScript or without, and with axe-core, which finds what keeps some people out.
package chromium

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// programVariable names a browser made of Chromium to use instead of the one on PATH.
const programVariable = "KAERU_TEST_CHROMIUM"

// patience bounds all that a test does with a page.
const patience = 5 * time.Minute

// Screen is what a page is looked at on.
type Screen struct {
	Width, Height int64
	Phone         bool
	// Dark asks for dark colours.
	Dark bool
}

// The screens that pages must be good on.
var (
	Phone   = Screen{Width: 375, Height: 812, Phone: true}
	Desktop = Screen{Width: 1280, Height: 800}
)

// Browser is a running Chromium.
type Browser struct {
	ctx context.Context //nolint:containedctx // chromedp's way of holding a browser
	axe string
}

// Start starts one for the rest of the test.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	program, err := find()
	if err != nil {
		tb.Fatal(err)
	}
	_, here, _, _ := runtime.Caller(0)
	script, err := os.ReadFile(filepath.Join(testenv.NPM(tb, filepath.Join(filepath.Dir(here), "npm")), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		tb.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which it refuses to have as root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...) //nolint:usetesting // it outlives the test's context until it is told to end
	ctx, cancel := chromedp.NewContext(allocator)
	tb.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Run(ctx); err != nil {
		tb.Fatalf("start %s: %v", program, err)
	}
	return &Browser{ctx: ctx, axe: string(script)}
}

func find() (string, error) {
	if program := os.Getenv(programVariable); program != "" {
		return program, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", errors.New("there is no Chromium on PATH: `make deps` installs it, or set " + programVariable)
}

// Page is a tab. It speaks a language, as Accept-Language says it, and may have no JavaScript.
type Page struct {
	testing.TB
	browser *Browser
	ctx     context.Context //nolint:containedctx // the tab
	screen  Screen
	scripts bool
}

// Page opens a tab.
func (b *Browser) Page(tb testing.TB, screen Screen, language string, scripts bool) *Page {
	tb.Helper()
	tab, closeTab := chromedp.NewContext(b.ctx)
	ctx, cancel := context.WithTimeout(tab, patience)
	tb.Cleanup(func() { cancel(); closeTab() })
	p := &Page{TB: tb, browser: b, ctx: ctx, screen: screen, scripts: scripts}
	colours := "light"
	if screen.Dark {
		colours = "dark"
	}
	p.do(chromedp.EmulateViewport(screen.Width, screen.Height, func(m *emulation.SetDeviceMetricsOverrideParams, _ *emulation.SetTouchEmulationEnabledParams) {
		m.Mobile, m.DeviceScaleFactor = screen.Phone, 1
	}),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}),
		network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Accept-Language": language}),
		emulation.SetScriptExecutionDisabled(!scripts))
	return p
}

func (p *Page) do(actions ...chromedp.Action) {
	p.Helper()
	if err := chromedp.Run(p.ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

// Open goes to an address.
func (p *Page) Open(url string) {
	p.Helper()
	p.do(chromedp.Navigate(url))
}

// Click clicks what a CSS selector names; Submit also waits for the page that it leads to.
func (p *Page) Click(selector string) {
	p.Helper()
	p.do(chromedp.Click(selector, chromedp.ByQuery))
}

// Submit clicks on what leads to another page, and waits for that.
func (p *Page) Submit(selector string) {
	p.Helper()
	if _, err := chromedp.RunResponse(p.ctx, chromedp.Click(selector, chromedp.ByQuery)); err != nil {
		p.Fatal(err)
	}
}

// Keys presses keys, as in kb.Tab + kb.Enter; leads says that they lead to another page.
func (p *Page) Keys(keys string, leads bool) {
	p.Helper()
	if !leads {
		p.do(chromedp.KeyEvent(keys))
		return
	}
	if _, err := chromedp.RunResponse(p.ctx, chromedp.KeyEvent(keys)); err != nil {
		p.Fatal(err)
	}
}

// Text is what a CSS selector names, as it is read.
func (p *Page) Text(selector string) (text string) {
	p.Helper()
	p.do(chromedp.Text(selector, &text, chromedp.ByQuery))
	return strings.TrimSpace(text)
}

// Ask evaluates an expression, whether or not the page's own scripts run.
func (p *Page) Ask(expression string, into any) {
	p.Helper()
	p.do(chromedp.Evaluate(expression, into, func(e *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return e.WithAwaitPromise(true) }))
}

// Screenshot writes the whole page to a file in the directory that KAERU_TEST_SCREENSHOTS names, for
// people to look at; without one it takes none.
func (p *Page) Screenshot(name string) {
	p.Helper()
	dir := os.Getenv("KAERU_TEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	var png []byte
	p.do(chromedp.FullScreenshot(&png, 100))
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)); err != nil {
		p.Fatal(err)
	}
}

// violation is what axe-core finds.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// Accessible fails where axe-core finds a violation, or where the page is wider than the screen.
func (p *Page) Accessible(what string) {
	p.Helper()
	p.do(emulation.SetScriptExecutionDisabled(false))
	defer func() { p.do(emulation.SetScriptExecutionDisabled(!p.scripts)) }()
	var found string
	p.do(chromedp.Evaluate(p.browser.axe, nil))
	p.Ask(`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`, &found)
	var violations []violation
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		p.Fatalf("%s: read what axe-core found: %v", what, err)
	}
	for _, v := range violations {
		var at strings.Builder
		for _, n := range v.Nodes {
			fmt.Fprintf(&at, "\n  %s\n  %s", n.HTML, n.FailureSummary)
		}
		p.Errorf("%s: %s (%s): %s%s", what, v.ID, v.Impact, v.Help, at.String())
	}
	var width int64
	p.Ask(`document.documentElement.scrollWidth`, &width)
	if width > p.screen.Width {
		p.Errorf("%s: the page is %d wide on a screen of %d", what, width, p.screen.Width)
	}
}
