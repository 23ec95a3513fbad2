// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// readAll is what the reader makes of a text: a line a row.
func readAll(r io.Reader) string {
	reader := csvReader{lines: newLines(r)}
	var out strings.Builder
	for {
		line, raw, cells, err := reader.next()
		switch {
		case errors.Is(err, io.EOF):
			return out.String()
		case err != nil:
			fmt.Fprintf(&out, "%d ! %s (%s)\n", line, err, raw)
		default:
			fmt.Fprintf(&out, "%d %s (%q)\n", line, strings.Join(cells, "|"), raw)
		}
	}
}

func TestCSV(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"empty":                        {"", ""},
		"blank lines":                  {"\n\r\n\n", ""},
		"no line break at the end":     {"a,b", "1 a|b (\"a,b\")\n"},
		"carriage returns":             {"a,b\r\n\r\nc,\r\n", "1 a|b (\"a,b\")\n3 c| (\"c,\")\n"},
		"a carriage return at the end": {"a,\"b\"\r", "1 a|b (\"a,\\\"b\\\"\")\n"},
		"line breaks in quotes":        {"\"a\nb\",c\n\"d\r\ne\",f\ng,h\n", "1 a\nb|c (\"\\\"a\\nb\\\",c\")\n3 d\r\ne|f (\"\\\"d\\r\\ne\\\",f\")\n5 g|h (\"g,h\")\n"},
		"doubled quotes":               {`"a""b","""",""` + "\n", "1 a\"b|\"| (\"\\\"a\\\"\\\"b\\\",\\\"\\\"\\\"\\\",\\\"\\\"\")\n"},
		"a quote within a cell":        {"a\"b,c\n", "1 a\"b|c (\"a\\\"b,c\")\n"},
		"text after a quoted cell":     {"\"a\"b,c\nd,e\n", "1 ! a quote inside a quoted cell must be doubled (\"a\"b,c)\n2 d|e (\"d,e\")\n"},
		"a quote that is not closed":   {"\"a,b\nc,d\ne,f", "1 ! a cell begins with a quote that is not closed (\"a,b)\n2 c|d (\"c,d\")\n3 e|f (\"e,f\")\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readAll(strings.NewReader(test.in)); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			if got := readAll(iotest.OneByteReader(strings.NewReader(test.in))); got != test.want {
				t.Errorf("a byte at a time: got\n%swant\n%s", got, test.want)
			}
		})
	}
}

func TestCSVLongRows(t *testing.T) {
	long := strings.Repeat("x", maxRow+10)
	in := "a," + long + "\n\"b\n" + strings.Repeat("y\n", maxRow) + "c,d\n"
	reader := csvReader{lines: newLines(strings.NewReader(in))}
	line, _, _, err := reader.next()
	if line != 1 || err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("line %d: %v", line, err)
	}
	line, raw, _, err := reader.next()
	if line != 2 || raw != `"b` || err == nil || !strings.Contains(err.Error(), "not closed") {
		t.Errorf("line %d, %q: %v", line, raw, err)
	}
	for range maxRow {
		if line, _, cells, err := reader.next(); err != nil || cells[0] != "y" {
			t.Fatalf("line %d: %v, %v", line, cells, err)
		}
	}
	if line, _, cells, err := reader.next(); err != nil || line != maxRow+3 || len(cells) != 2 {
		t.Errorf("line %d: %v, %v", line, cells, err)
	}
	if _, _, _, err := reader.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
}

// FuzzCSV holds the reader to encoding/csv where that reads the whole text, and everywhere to
// giving every line once.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "\"a\"\"b\"\n\n\"c\nd\",e", "\"a", "a\"b,\"c\"d\n,", "\r\n\r", "\"\r\n\",\"\"\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		reader := csvReader{lines: newLines(iotest.HalfReader(strings.NewReader(in)))}
		var got [][]string
		last := 0
		for {
			line, _, cells, err := reader.next()
			if errors.Is(err, io.EOF) {
				break
			}
			var row *rowError
			if err != nil && !errors.As(err, &row) {
				t.Fatal(err)
			}
			if line <= last {
				t.Fatalf("line %d after line %d", line, last)
			}
			last = line
			got = append(got, append([]string{}, cells...))
		}
		if strings.Contains(in, "\r") {
			return // encoding/csv drops them from quoted cells
		}
		oracle := csv.NewReader(strings.NewReader(in))
		oracle.FieldsPerRecord = -1
		want, err := oracle.ReadAll()
		if err != nil {
			return
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	})
}

// FuzzRows reads whole files of all kinds: nothing in them may stop the reading or pass unseen.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{
		"id,email,age\n1,a@b.example,\"3\n\"\n", `{"id":1,"attributes":{"a":[1e400]},"consent_sms":true}` + "\n[]\n",
		"id,customer_id,placed_at,total,items\n1,2,2026-01-01,5,\"[{\"\"quantity\"\":2}]\"\n", "pool,code\nx,\xff\n", "{}\n{", "\xef\xbb\xbfid\n\x00\n",
		`{"id":"e","customer_id":"c","name":"n","occurred_at":"2026-01-01","properties":{"a":"\u0000"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		opts := Options{Location: time.UTC, CallingCode: "81"}
		fuzzTable(t, in, customers, opts)
		fuzzTable(t, in, orders, opts)
		fuzzTable(t, in, products, opts)
		fuzzTable(t, in, events, opts)
		fuzzTable(t, in, subscriptions, opts)
		fuzzTable(t, in, coupons, opts)
	})
}

func fuzzTable[F any](t *testing.T, in []byte, table table[F], opts Options) {
	t.Helper()
	rows, err := openRows(source{bytes.NewReader(in), Auto}, table, &opts)
	if err != nil {
		return
	}
	for range bytes.Count(in, []byte("\n")) + 2 {
		var fact F
		line, _, err := rows.next(&fact)
		if errors.Is(err, io.EOF) {
			return
		}
		refusal, ok := refusalOf(line, err)
		if !ok {
			t.Fatalf("line %d ends the import: %v", line, err)
		}
		if err != nil && refusal.Reason == "" {
			t.Fatalf("line %d is refused without a reason", line)
		}
		if err == nil {
			checkFact(t, &fact, table.validate)
		}
	}
	t.Fatal("more rows than lines")
}

// checkFact holds that what was accepted is normal: it is accepted again, and becomes the same.
func checkFact[F any](t *testing.T, fact *F, validate func(*F) error) {
	t.Helper()
	before := fmt.Sprintf("%+v", *fact)
	if err := validate(fact); err != nil {
		t.Fatalf("%s is refused when it comes again: %v", before, err)
	}
	if after := fmt.Sprintf("%+v", *fact); after != before {
		t.Fatalf("%s becomes %s", before, after)
	}
	if c, ok := any(fact).(*store.Customer); ok && c.ID == "" {
		t.Fatal("a customer without an id")
	}
}
