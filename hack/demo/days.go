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
	speed, before := d.pace()
	say("An hour takes %s.", (time.Hour / time.Duration(speed)).String())
	if err := d.restart(ctx, slot(0).Add(-before), speed); err != nil {
		return err
	}
	today := newCalendar()
	for now := d.clock.Now(); now.Before(lastHour); now = d.clock.Now() {
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
	return d.restart(ctx, d.clock.Now(), 1)
}

// pace says how fast the days may pass on this machine, and how long before the first run they begin,
// so that the manager is there in time.
func (d *demo) pace() (speed int, before time.Duration) {
	speed = speeds[0]
	for i, busy := range []time.Duration{9 * time.Second, 20 * time.Second} {
		if d.starting+d.ready > busy {
			speed = speeds[i+1]
		}
	}
	real := 2*time.Second + 3*d.starting
	return speed, min(real*time.Duration(speed), slot(0).Sub(opening)-time.Hour)
}

// restart gives the programs another clock. It is also what a deployment does to them: they go on
// where they ended.
func (d *demo) restart(ctx context.Context, business time.Time, factor int) error {
	if err := d.manager.stop(); err != nil {
		return err
	}
	if err := d.sandbox.stop(); err != nil {
		return err
	}
	if err := d.tempo(business, factor); err != nil {
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
	if now.Before(firstDay) {
		return
	}
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
	if c.terminal && c.day != "" {
		fmt.Printf("\r%s   %s", c.line(p), now.In(tokyo).Format("15:04"))
	}
}

func (c *calendar) close(p *people) {
	if c.terminal {
		fmt.Print("\r\x1b[K")
	}
	fmt.Println(c.line(p))
}
