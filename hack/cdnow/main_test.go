// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const history = ` customer_id  date number_of_cds  dollar_value
 00001 19970101  1   11.77
 00002 19980629  1   12.00
 00002 19980629  5   77.00
`

func TestRun(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(history)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"plain": []byte(history), "gzip": zipped.Bytes()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "history")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(path, dir, "2026-03-01"); err != nil {
				t.Fatal(err)
			}
			for file, want := range map[string]string{
				"customers.csv": `id,email,phone,line_user_id,consent_email,consent_line,consent_sms
00001,c00001@cdnow.example,+819000000001,U540cc6cece63f7c2f4023f5b0f395641,true,true,true
00002,c00002@cdnow.example,+819000000002,Ua72ee944ac5b88fbf8d510ee9bd24f07,true,true,true
`,
				"orders.csv": `id,customer_id,placed_at,total,currency,status,items
cdnow-1,00001,2024-09-02T12:00:00Z,11.77,USD,completed,"[{""product_id"":""cd"",""name"":""CD"",""category"":""music"",""quantity"":1}]"
cdnow-2,00002,2026-02-28T12:00:00Z,12,USD,completed,"[{""product_id"":""cd"",""name"":""CD"",""category"":""music"",""quantity"":1}]"
cdnow-3,00002,2026-02-28T12:00:00Z,77,USD,completed,"[{""product_id"":""cd"",""name"":""CD"",""category"":""music"",""quantity"":5}]"
`,
			} {
				got, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != want {
					t.Errorf("%s:\n%swant:\n%s", file, got, want)
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":        {"", "no purchase"},
		"too few fields": {"1 19970101 1\n", "line 1: 3 fields"},
		"no customer":    {"\nx 19970101 1 1\n", `line 2: the customer "x"`},
		"no day":         {"1 19971301 1 1\n", `the day "19971301"`},
		"no dollars":     {"1 19970101 1 x\n", "amount"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := read([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
