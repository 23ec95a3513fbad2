// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc.
const tick = 10 * time.Millisecond

// cpu is what the gateway has used so far.
func (p *process) cpu() time.Duration {
	s, _ := readStat(strconv.Itoa(p.cmd.Process.Pid))
	return s.own
}

// cpu is what PostgreSQL has used so far: its first process, with the children that have ended, and those
// that have not. A restart makes it begin anew.
func (d *database) cpu() time.Duration {
	text, err := os.ReadFile(filepath.Join(d.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	s, _ := readStat(first)
	all := s.own + s.ended
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, dir := range dirs {
		if s, ok := readStat(filepath.Base(dir)); ok && s.parent == first {
			all += s.own
		}
	}
	return all
}

type stat struct {
	parent     string
	own, ended time.Duration
}

func readStat(pid string) (s stat, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", pid))
	if err != nil {
		return s, false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return s, false
	}
	s.parent = fields[1]
	for i, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return s, false
		}
		if i < 2 {
			s.own += time.Duration(n) * tick
		} else {
			s.ended += time.Duration(n) * tick
		}
	}
	return s, true
}
