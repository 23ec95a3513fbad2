// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command replenish judges the prediction of the next purchase on real ones: it learns from the
// purchases before a day, the cut, and compares what it predicts with those after it.
//
//	go run ./hack/replenish FILE
//
// FILE is the text of CDNOW, gzipped or not: customer, yyyymmdd, items and dollars, separated by
// spaces. Purchases of a customer on one day are one.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

func main() {
	cuts := flag.String("cuts", "1997-10-01,1998-01-01,1998-03-01", "the first days after what is learnt from")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: replenish [-cuts 1997-10-01,1998-01-01] FILE")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Arg(0), strings.Split(*cuts, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "replenish:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, path string, cuts []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the purchases: %w", err)
	}
	customers, err := read(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, day := range cuts {
		cut, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return fmt.Errorf("-cuts %q is not a day: write it like 1998-01-01", day)
		}
		if err := judge(w, customers, cut); err != nil {
			return fmt.Errorf("judge at %s: %w", day, err)
		}
	}
	return nil
}

// read gives the times of each customer's purchases, in order.
func read(text []byte) ([][]int64, error) {
	var r io.Reader = bytes.NewReader(text)
	if bytes.HasPrefix(text, []byte("\x1f\x8b")) {
		zipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("open gzip: %w", err)
		}
		r = zipped
	}
	of, order := map[string][]int64{}, []string{}
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		fields := strings.Fields(scanner.Text())
		if len(fields) == 0 || fields[0] == "customer_id" {
			continue
		}
		if len(fields) != 4 {
			return nil, fmt.Errorf("line %d: %d fields: want customer, yyyymmdd, items and dollars", line, len(fields))
		}
		day, err := time.Parse("20060102", fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: the day %q is not like 19970101", line, fields[1])
		}
		if of[fields[0]] == nil {
			order = append(order, fields[0])
		}
		of[fields[0]] = append(of[fields[0]], day.UnixMilli())
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read the purchases: %w", err)
	}
	if len(order) == 0 {
		return nil, errors.New("there is no purchase in it")
	}
	customers := make([][]int64, len(order))
	for i, id := range order {
		slices.Sort(of[id])
		customers[i] = slices.Compact(of[id])
	}
	return customers, nil
}

// learn is the prior at the cut, and the median of all intervals before it in days.
func learn(customers [][]int64, cut int64) (prior replenish.Prior, median float64, err error) {
	var sample replenish.Sample
	var intervals []float64
	for i, purchases := range customers {
		known := before(purchases, cut)
		for j, at := range purchases[:known] {
			sample.Add(fmt.Sprint(i), at)
			if j > 0 {
				intervals = append(intervals, float64(at-purchases[j-1])/replenish.Day)
			}
		}
	}
	prior, ok := sample.Prior()
	if !ok {
		return prior, 0, fmt.Errorf("only %d intervals end before it: choose a later day", prior.Intervals)
	}
	return prior, medianOf(intervals), nil
}

// before is how many purchases are before the cut.
func before(purchases []int64, cut int64) int {
	n, _ := slices.BinarySearch(purchases, cut)
	return n
}

func medianOf(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
