// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"
)

// progress tells whoever waits how far the program is: at once when something else begins, and
// every few seconds while it lasts.
type progress struct {
	w     io.Writer
	what  string
	began time.Time
	told  time.Time
}

const tellEvery = 3 * time.Second

func (p *progress) begin(what string) {
	if now := time.Now(); what != p.what {
		p.what, p.began, p.told = what, now, now.Add(-tellEvery)
	}
}

// say tells what begins.
func (p *progress) say(format string, args ...any) {
	p.begin(fmt.Sprintf(format, args...))
	fmt.Fprintf(p.w, "%s %s\n", p.began.Format(time.TimeOnly), p.what)
}

// step tells how much is done.
func (p *progress) step(what string, done, of int) {
	p.begin(what)
	if now := time.Now(); done == of || now.Sub(p.told) >= tellEvery {
		p.told = now
		fmt.Fprintf(p.w, "%s %s: %d of %d (%d %%), %s\n", now.Format(time.TimeOnly), what, done, of, 100*done/of, now.Sub(p.began).Round(time.Second))
	}
}
