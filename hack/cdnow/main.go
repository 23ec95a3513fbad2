// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command cdnow turns the purchase history of CDNOW, a data set that marketing science has used
// for decades, into files that kaeru imports:
//
//	go run ./hack/cdnow -out DIR FILE
//
// FILE is the text, gzipped or not: customer, yyyymmdd, items and dollars, separated by spaces. It
// makes DIR/customers.csv and DIR/orders.csv. All dates move by the same number of days, so that the
// last purchase was yesterday. The same FILE and -now give the same bytes.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

func main() {
	out := flag.String("out", ".", "directory for customers.csv and orders.csv")
	now := flag.String("now", time.Now().UTC().Format(time.DateOnly), "the day after the last purchase")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: cdnow [-now 2026-03-01] [-out DIR] FILE")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *out, *now); err != nil {
		fmt.Fprintln(os.Stderr, "cdnow:", err)
		os.Exit(1)
	}
}

func run(path, out, now string) error {
	today, err := time.Parse(time.DateOnly, now)
	if err != nil {
		return fmt.Errorf("-now %q is not a day: write it like 2026-03-01", now)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	history, err := read(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	customers, orders := convert(history, today)
	return errors.Join(write(filepath.Join(out, "customers.csv"), customers), write(filepath.Join(out, "orders.csv"), orders))
}

// purchase is a line of the history.
type purchase struct {
	customer string
	day      time.Time
	items    int64
	dollars  money.Amount
}

func read(text []byte) ([]purchase, error) {
	var r io.Reader = bytes.NewReader(text)
	if bytes.HasPrefix(text, []byte("\x1f\x8b")) {
		zipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("open gzip: %w", err)
		}
		r = zipped
	}
	var history []purchase
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		fields := strings.Fields(scanner.Text())
		if len(fields) == 0 || fields[0] == "customer_id" {
			continue
		}
		p, err := parse(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		history = append(history, p)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	if len(history) == 0 {
		return nil, errors.New("there is no purchase in it")
	}
	return history, nil
}

func parse(fields []string) (p purchase, err error) {
	if len(fields) != 4 {
		return p, fmt.Errorf("%d fields: want customer, yyyymmdd, items and dollars", len(fields))
	}
	if _, err := strconv.ParseUint(fields[0], 10, 64); err != nil {
		return p, fmt.Errorf("the customer %q is not a number", fields[0])
	}
	p.customer = fields[0]
	if p.day, err = time.Parse("20060102", fields[1]); err != nil {
		return p, fmt.Errorf("the day %q is not like 19970101", fields[1])
	}
	if p.items, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
		return p, fmt.Errorf("%q items are not a number", fields[2])
	}
	p.dollars, err = money.Parse(fields[3])
	return p, err
}

// convert makes the rows of both files. Orders are numbered as they come, since a customer may have
// several on one day, and come at noon.
func convert(history []purchase, today time.Time) (customers, orders [][]string) {
	last := slices.MaxFunc(history, func(a, b purchase) int { return a.day.Compare(b.day) }).day
	shift := today.AddDate(0, 0, -1).Sub(last)
	customers = [][]string{{"id", "email", "phone", "line_user_id", "consent_email", "consent_line", "consent_sms"}}
	orders = [][]string{{"id", "customer_id", "placed_at", "total", "currency", "status", "items"}}
	seen := map[string]bool{}
	for i, p := range history {
		orders = append(orders, []string{
			"cdnow-" + strconv.Itoa(i+1), p.customer, p.day.Add(shift + 12*time.Hour).Format(time.RFC3339),
			p.dollars.String(), "USD", "completed",
			fmt.Sprintf(`[{"product_id":"cd","name":"CD","category":"music","quantity":%d}]`, p.items),
		})
		if seen[p.customer] {
			continue
		}
		seen[p.customer] = true
		hash := sha256.Sum256([]byte("cdnow customer " + p.customer))
		number, _ := strconv.ParseUint(p.customer, 10, 64) // read has seen to it
		customers = append(customers, []string{
			p.customer, "c" + p.customer + "@cdnow.example", fmt.Sprintf("+8190%08d", number%100_000_000),
			"U" + hex.EncodeToString(hash[:16]), "true", "true", "true",
		})
	}
	return customers, orders
}

func write(path string, rows [][]string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write a file to import: %w", err)
	}
	if err := errors.Join(csv.NewWriter(f).WriteAll(rows), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
