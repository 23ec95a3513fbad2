// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/mattn/go-isatty"
)

// live lets the days pass. Then business time goes on at the machine's pace, so that a demo that is
// left alone does not send a year of messages overnight.
func (d *demo) live(ctx context.Context) error {
	d.people = newPeople(d.shop, d.api, newBrowser("http://"+d.gateway, d.web.url))
	d.people.buy = func(ctx context.Context, orders []*order) error {
		_, err := d.load(ctx, "orders", "-", ordersCSV(orders))
		return err
	}
	if err := d.restart(ctx, speed); err != nil {
		return err
	}
	end := firstDay.Add(lastHour)
	today := newCalendar()
	for now := d.clock.Now(); now.Before(end); now = d.clock.Now() {
		if err := d.manager.ended(); err != nil {
			return err
		}
		if err := d.sandbox.ended(); err != nil {
			return err
		}
		today.turn(now, d.people)
		if err := d.people.receive(ctx); err != nil {
			return err
		}
		if err := d.people.act(ctx, now); err != nil {
			return err
		}
		today.draw(now, d.people)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	today.close(d.people)
	return d.restart(ctx, 1)
}

// restart gives the programs another clock. It is also what a deployment does to them: they go on
// where they ended.
func (d *demo) restart(ctx context.Context, factor int) error {
	if err := d.manager.stop(); err != nil {
		return err
	}
	if err := d.sandbox.stop(); err != nil {
		return err
	}
	if err := d.tempo(factor); err != nil {
		return err
	}
	if err := d.runSandbox(ctx); err != nil {
		return err
	}
	return d.runManager(ctx)
}

// calendar writes a line a day; on a terminal, the line of the day grows while one looks.
type calendar struct {
	day      string
	terminal bool
}

func newCalendar() *calendar {
	say("%-11s %7s %7s %7s %9s %9s %9s %14s", "", "mails", "LINE", "SMS", "opened", "clicked", "bought", "unsubscribed")
	return &calendar{terminal: isatty.IsTerminal(os.Stdout.Fd())}
}

func (c *calendar) turn(now time.Time, p *people) {
	day := now.In(tokyo).Format("Mon 2 Jan")
	if c.day != "" && c.day != day {
		c.close(p)
		clear(p.day)
	}
	c.day = day
}

func (c *calendar) line(p *people) string {
	n := p.day
	return fmt.Sprintf("   %-11s %7d %7d %7d %9d %9d %9d %14d", c.day, n["email"], n["line"], n["sms"], n["opened"], n["clicked"], n["bought"], n["unsubscribed"])
}

func (c *calendar) draw(now time.Time, p *people) {
	if c.terminal {
		fmt.Printf("\r%s   %s", c.line(p), now.In(tokyo).Format("15:04"))
	}
}

func (c *calendar) close(p *people) {
	if c.terminal {
		fmt.Print("\r\x1b[K")
	}
	fmt.Println(c.line(p))
}
