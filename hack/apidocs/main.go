// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command apidocs writes the API reference, as Markdown, from the Go types of an API package: a
// section a type, from the kinds down, with each field's name as it is written in a manifest, its
// type, its limits and its documentation, and with the rules that hold across fields.
//
//	go run ./hack/apidocs ./api/v1alpha1 > docs/api.md
package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apidocs DIRECTORY")
		os.Exit(2)
	}
	types, err := parse(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	write(out, types)
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}
