// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// stores runs a test on both stores, each with the schema.
func stores(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

// dump is what a query gives, a line a row.
func dump(t *testing.T, s *store.Store, query string) string {
	t.Helper()
	rows, err := s.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, _ := rows.Columns()
	var out strings.Builder
	for rows.Next() {
		values, pointers := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if !v.Valid {
				v.String = "-"
			}
			values[i] = v
			// PostgreSQL puts spaces into JSON.
			out.WriteString(strings.NewReplacer(`": `, `":`, `, "`, `,"`).Replace(v.String))
			if i < len(values)-1 {
				out.WriteByte('|')
			}
		}
		out.WriteByte('\n')
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func arriving(ms int64) Options {
	return Options{Clock: clocktesting.NewFakePassiveClock(time.UnixMilli(ms))}
}

func mustRun(t *testing.T, s *store.Store, kind, text string, opts Options) Result {
	t.Helper()
	result, err := Run(t.Context(), s, "shop", kind, strings.NewReader(text), Auto, opts)
	if err != nil {
		t.Fatal(err)
	}
	if result.Counts.Total()+result.Refused != result.Rows {
		t.Errorf("the counts do not add up: %+v", result)
	}
	return result
}

// TestKinds loads each kind as CSV and as JSON lines, which must come to the same, then again, then changed.
func TestKinds(t *testing.T) {
	for kind, test := range map[string]struct {
		csv, json, query, want string
		change, changed        string
	}{
		"customers": {
			"\xef\xbb\xbfage,ID,email,phone,line_user_id,attributes,consent_email,consent_line,consent_sms,名前\r\n" +
				"34,c1,Ann@Shop.Example,+81 90-1234-5678,U1,\"{\"\"vip\"\":true,\"\"age\"\":1}\",yes,0,,\"蛙\nfrog\"\r\n,c2,,,,,,,,\r\n",
			`{"id":"c1","email":"Ann@Shop.Example","phone":"+81 90-1234-5678","line_user_id":"U1","attributes":{"vip":true,"age":1},"age":"34","名前":"蛙\nfrog","consent_email":true,"consent_line":"no","consent_sms":null}` +
				"\n\n" + `{"id":"c2","email":null,"phone":""}`,
			`SELECT id, email, phone, line_user_id, attributes, updated_at FROM customers ORDER BY id`,
			"c1|ann@shop.example|+819012345678|U1|{\"age\":\"34\",\"vip\":true,\"名前\":\"蛙\\nfrog\"}|1\nc2|-|-|-|{}|1\n",
			"id,email,vip\nc1,,\nc3,x@y.example,1\n",
			"c1|-|+819012345678|U1|{\"age\":\"34\",\"名前\":\"蛙\\nfrog\"}|3\nc2|-|-|-|{}|1\nc3|x@y.example|-|-|{\"vip\":\"1\"}|3\n",
		},
		"orders": {
			"id,customer_id,placed_at,total,currency,status,source,items\no1,c1,1970-01-01T09:00:00.005+09:00,1200.5,JPY,paid,web,\"[{\"\"product_id\"\":\"\"p\"\",\"\"quantity\"\":2,\"\"price\"\":600},{\"\"name\"\":\"\"x\"\"}]\"\no2,c1,1970-01-02,-1,,,,\n",
			`{"id":"o1","customer_id":"c1","placed_at":"1970-01-01T09:00:00.005+09:00","total":1200.5,"currency":"JPY","status":"paid","source":"web","items":[{"product_id":"p","quantity":2,"price":600},{"name":"x"}]}` + "\n" +
				`{"id":"o2","customer_id":"c1","placed_at":"1970-01-02 00:00:00","total":"-1"}`,
			`SELECT o.id, o.placed_at, o.total, o.currency, o.status, o.source, o.received_at, i.line, i.product_id, i.name, i.quantity, i.price
				FROM orders o LEFT JOIN order_items i ON i.ns = o.ns AND i.order_id = o.id ORDER BY o.id, i.line`,
			"o1|5|12005000|JPY|paid|web|1|0|p|-|2|6000000\no1|5|12005000|JPY|paid|web|1|1|-|x|1|-\no2|86400000|-10000|-||-|1|-|-|-|-|-\n",
			"id,customer_id,placed_at,total,status\no1,c1,1970-01-01T00:00:00.005Z,1200.5,refunded\n",
			"o1|5|12005000|JPY|refunded|web|3|0|p|-|2|6000000\no1|5|12005000|JPY|refunded|web|3|1|-|x|1|-\no2|86400000|-10000|-||-|1|-|-|-|-|-\n",
		},
		"products": {
			"id,name,category,price,stock,url,image_url\np1,Soap,bath,500,3,https://s/p1,https://s/p1.png\np2,,,,,,\n",
			`{"id":"p1","name":"Soap","category":"bath","price":"500","stock":3,"url":"https://s/p1","image_url":"https://s/p1.png"}` + "\n" + `{"id":"p2"}`,
			`SELECT id, name, category, price, stock, url, image_url, updated_at FROM products ORDER BY id`,
			"p1|Soap|bath|5000000|3|https://s/p1|https://s/p1.png|1\np2|p2|-|-|-|-|-|1\n",
			"id,stock\np1,0\n",
			"p1|Soap|bath|5000000|0|https://s/p1|https://s/p1.png|3\np2|p2|-|-|-|-|-|1\n",
		},
		"events": {
			"id,customer_id,name,occurred_at,properties\ne1,c1,Product Added,1970-01-01 00:00:01,\"{\"\"b\"\":[1e2],\"\"a\"\":\"\"<&>\"\"}\"\ne2,c9,Login,1970-01-01,\n",
			`{"id":"e1","customer_id":"c1","name":"Product Added","occurred_at":"1970-01-01T00:00:01Z","properties":{"b":[100],"a":"<&>"}}` + "\n" + `{"id":"e2","customer_id":"c9","name":"Login","occurred_at":"1970-01-01"}`,
			`SELECT id, customer_id, name, occurred_at, properties, received_at FROM events ORDER BY id`,
			"e1|c1|Product Added|1000|{\"a\":\"<&>\",\"b\":[100]}|1\ne2|c9|Login|0|{}|1\n",
			"id,customer_id,name,occurred_at\ne1,c1,Product Added,1970-01-01 00:00:02\n",
			"e1|c1|Product Added|2000|{}|3\ne2|c9|Login|0|{}|1\n",
		},
		"subscriptions": {
			"id,customer_id,plan,status,started_at,cancelled_at,next_delivery_at\ns1,c1,monthly,active,1970-01-01,,1970-01-02\ns2,c2,,CANCELLED,,1970-01-01,\n",
			`{"id":"s1","customer_id":"c1","plan":"monthly","status":"Active","started_at":"1970-01-01","next_delivery_at":"1970-01-02"}` + "\n" + `{"id":"s2","customer_id":"c2","status":"Cancelled","cancelled_at":"1970-01-01"}`,
			`SELECT id, customer_id, plan, status, started_at, cancelled_at, next_delivery_at, updated_at FROM subscriptions ORDER BY id`,
			"s1|c1|monthly|Active|0|-|86400000|1\ns2|c2|-|Cancelled|-|0|-|1\n",
			"id,customer_id,status,next_delivery_at\ns1,c1,Paused,\n",
			"s1|c1|monthly|Paused|0|-|-|3\ns2|c2|-|Cancelled|-|0|-|1\n",
		},
		"coupons": {
			"pool,code,expires_at\na,X,1970-01-02\nb,X,\n",
			`{"pool":"a","code":"X","expires_at":"1970-01-02"}` + "\n" + `{"pool":"b","code":"X"}`,
			`SELECT pool, code, expires_at, customer_id FROM coupons ORDER BY pool, code`,
			"a|X|86400000|-\nb|X|-|-\n",
			"pool,code,expires_at\na,X,1970-01-03\n",
			"a|X|172800000|-\nb|X|-|-\n",
		},
	} {
		t.Run(kind, func(t *testing.T) {
			stores(t, func(t *testing.T, s *store.Store) {
				check := func(what string, got, want store.Counts, wantRows string) {
					t.Helper()
					if got != want {
						t.Errorf("%s: %+v, want %+v", what, got, want)
					}
					if rows := dump(t, s, test.query); rows != wantRows {
						t.Errorf("%s:\n%swant:\n%s", what, rows, wantRows)
					}
				}
				check("CSV", mustRun(t, s, kind, test.csv, arriving(1)).Counts, store.Counts{New: 2}, test.want)
				check("JSON lines", mustRun(t, s, kind, test.json, arriving(2)).Counts, store.Counts{Unchanged: 2}, test.want)
				result := mustRun(t, s, kind, test.change, arriving(3))
				if result.Changed != 1 || result.Unchanged != 0 || result.Refused != 0 {
					t.Errorf("the change: %+v", result)
				}
				check("the change", result.Counts, result.Counts, test.changed)
			})
		})
	}
}

func TestConsents(t *testing.T) {
	const query = `SELECT customer_id, channel, state, source, changed_at FROM consents ORDER BY customer_id, channel`
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		file := "id,consent_email,consent_sms\na,granted,withdrawn\nb,1,0\n"
		mustRun(t, s, "customers", file, arriving(1))
		if got, want := dump(t, s, query), "a|email|granted|import|1\na|sms|withdrawn|import|1\nb|email|granted|import|1\nb|sms|withdrawn|import|1\n"; got != want {
			t.Errorf("got\n%s", got)
		}
		if err := s.SetConsent(ctx, "shop", "a", "email", "withdrawn", "unsubscribe", time.UnixMilli(5)); err != nil {
			t.Fatal(err)
		}
		// A late repetition of what was said before.
		if err := s.SetConsent(ctx, "shop", "a", "email", "granted", "preferences", time.UnixMilli(4)); err != nil {
			t.Fatal(err)
		}
		if err := s.SetConsent(ctx, "shop", "new", "line", "granted", "follow", time.UnixMilli(6)); err != nil {
			t.Fatal(err)
		}
		if got := mustRun(t, s, "customers", file, arriving(7)).Counts; got != (store.Counts{Unchanged: 2}) {
			t.Errorf("again: %+v", got)
		}
		result := mustRun(t, s, "customers", "id,consent_sms\na,yes\nb,\n", arriving(8))
		if result.Counts != (store.Counts{Changed: 1, Unchanged: 1}) {
			t.Errorf("one changes: %+v", result)
		}
		if got, want := dump(t, s, query), "a|email|withdrawn|unsubscribe|5\na|sms|granted|import|8\nb|email|granted|import|1\nb|sms|withdrawn|import|1\nnew|line|granted|follow|6\n"; got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestConsentsToPurposes(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		file := "id,consent_email,consent_email_news,consent_line_news\na,granted,no,\nb,1,yes,0\n"
		mustRun(t, s, "customers", file, arriving(1))
		const query = `SELECT customer_id, channel, purpose, state, source, changed_at FROM purpose_consents ORDER BY customer_id, channel, purpose`
		if got, want := dump(t, s, query), "a|email|news|withdrawn|import|1\nb|email|news|granted|import|1\nb|line|news|withdrawn|import|1\n"; got != want {
			t.Errorf("got\n%s", got)
		}
		if err := s.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.SetConsents(ctx, "shop", "b", []store.Said{{Channel: "email", Purpose: "news", State: "withdrawn"}, {Channel: "sms", State: "granted"}}, "preferences", time.UnixMilli(5))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		// What the customer said stays, whatever the file says again.
		if got := mustRun(t, s, "customers", file, arriving(7)).Counts; got != (store.Counts{Unchanged: 2}) {
			t.Errorf("again: %+v", got)
		}
		mustRun(t, s, "customers", `{"id":"a","consent_email_news":true}`+"\n", arriving(8))
		if got, want := dump(t, s, query), "a|email|news|granted|import|8\nb|email|news|withdrawn|preferences|5\nb|line|news|withdrawn|import|1\n"; got != want {
			t.Errorf("got\n%s", got)
		}
		if got, want := dump(t, s, `SELECT customer_id, changed_at, channel, purpose, state, source FROM consent_changes ORDER BY customer_id, changed_at, channel, purpose`),
			"a|1|email||granted|import\na|1|email|news|withdrawn|import\na|8|email|news|granted|import\n"+
				"b|1|email||granted|import\nb|1|email|news|granted|import\nb|1|line|news|withdrawn|import\nb|5|email|news|withdrawn|preferences\nb|5|sms||granted|preferences\n"; got != want {
			t.Errorf("the history is\n%s", got)
		}
		result, err := Run(ctx, s, "shop", "customers", strings.NewReader("id,consent_email_New Things\na,yes\n"), Auto, arriving(9))
		if err != nil || len(result.First) != 1 || !strings.Contains(result.First[0].String(), "consent_email_New Things") || !strings.Contains(result.First[0].String(), "lower-case letters") {
			t.Errorf("%+v", result)
		}
	})
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		kind, text string
		want       []string
	}{
		"CSV": {"orders", "id,customer_id,placed_at,total,items\n" +
			"1,c,2026-01-01,5,\n" + // line 2
			"2,c,yesterday,5,\n" +
			"3,c,2026-01-01,\"1,000\",\n" +
			"\"multi\nline\",c,2026-01-01,5,\n" + // lines 5 and 6
			",c,2026-01-01,5,\n" + // line 7
			"4,c,2026-01-01\n" +
			"5,c,2026-01-01,5,{}\n" +
			"6,c,2026-01-01,5,\"[{\"\"qty\"\":1}]\"\n" +
			"7,c,2026-01-01,5,\"[{\"\"quantity\"\":\"\"x\"\"}]\"\n" +
			"\"8,c,2026-01-01,5,\n" +
			"9,c\x00,2026-01-01,5,\n" +
			"\xff,c,2026-01-01,5,\n" +
			"10,,2026-01-01,5,\n" +
			"11,c,0001-01-01,5,\n" +
			"12,c,2026-01-01,9999999999999,\n" +
			"13,c,2026-01-01,,\n",
			[]string{
				`3|placed_at|"yesterday" is not a time`, `4|total|amount "1,000" is not a decimal`, `7|id|is empty`, `8||the row has 3 cells and the header names 5`,
				`9|items|is not a JSON array`, `10|items|item 1: "qty" is not known`, `11|items|item 1: quantity "x" is not a whole number`,
				`12||a quote that is not closed`, `13|customer_id|contains a NUL`, `14|id|is not UTF-8`, `15|customer_id|is empty`, `16|placed_at|`, `17|total|is larger than`, `18|total|is empty`,
			}},
		"JSON lines": {"customers", `{"id":"1","phone":"090-1234-5678"}` + "\n" + `{"id":1,"email":"nobody"}` + "\r\n\n" + `{"email":"a@b.example"}` + "\n[1]\n{\"id\":\n" +
			`{"id":"2","consent_sms":"perhaps","email":"x"}` + "\n" + `{"id":"3","attributes":"x"}` + "\n" + `{"id":"4","a\"b":1}` + "\n" + `{"id":"5","n":1e999}` + "\n" + `{"id":"6","n":"\u0000"}` + "\n" + `{"id":["7"]}` + "\n",
			[]string{
				`1|phone|"090-1234-5678" does not say its country`, `2|email|"nobody" is not an email address`, `4|id|is missing`, `5||the row is a JSON array`, `6||the row is not JSON`,
				`7|consent_sms|"perhaps" is neither`, `8|attributes|is not a JSON object`, `9|a"b|a name may not contain`, `10|n|the number 1e999 is too large`, `11|n|contains a NUL`, `12|id|is a JSON object or array`,
			}},
		"JSON of another kind": {"coupons", `{"pool":"p","code":"c","colour":"red"}` + "\n" + `{"pool":"p","code":"c","expires_at":5}`, []string{`1|colour|is not known: there are code, expires_at, pool`, `2|expires_at|"5" is not a time`}},
	} {
		t.Run(name, func(t *testing.T) {
			stores(t, func(t *testing.T, s *store.Store) {
				opts := arriving(1)
				opts.RefusedFile = filepath.Join(t.TempDir(), "refused.csv")
				opts.BatchRows = 3
				result := mustRun(t, s, test.kind, test.text, opts)
				if int(result.Refused) != len(test.want) || len(result.First) != len(test.want) || result.RefusedFile != opts.RefusedFile {
					t.Errorf("result %+v", result)
				}
				for i, got := range result.First {
					line := fmt.Sprintf("%d|%s|%s", got.Line, got.Column, got.Reason)
					prefix, part, _ := strings.Cut(test.want[min(i, len(test.want)-1)], "||")
					if part == "" && !strings.HasPrefix(line, prefix) || part != "" && (!strings.HasPrefix(line, prefix+"||") || !strings.Contains(line, part)) {
						t.Errorf("refusal %q, want %q", line, test.want[min(i, len(test.want)-1)])
					}
				}
				file, err := os.ReadFile(opts.RefusedFile)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.HasPrefix(file, []byte("line,column,reason,row\n")) || bytes.Count(file, []byte("\n")) < len(test.want)+1 {
					t.Errorf("the file of refused rows:\n%s", file)
				}
			})
		})
	}
}

func TestHeader(t *testing.T) {
	for name, test := range map[string]struct{ kind, text, want string }{
		"empty":             {"orders", "", "the file is empty"},
		"no id":             {"customers", "email\na@b.example\n", "no column id"},
		"unknown":           {"orders", "id,customer_id,placed_at,total,colour\n", "the column colour is not known: there are currency,"},
		"twice":             {"customers", "id,Email,email\n", "the column email twice"},
		"nameless":          {"customers", "id,,x\n", "column 2 has no name"},
		"a JSON array":      {"customers", " [{}]", "one object a line"},
		"UTF-16":            {"customers", "\xff\xfei\x00d\x00", "save it as UTF-8"},
		"compressed":        {"customers", "\x1f\x8b\x08", "gzip"},
		"no kind":           {"clients", "id\n", `"clients" cannot be imported: it is one of customers, orders`},
		"a broken header":   {"customers", "\"id\nx", "the header on line 1"},
		"other delimiters":  {"products", "id;name\n", "the column id;name is not known"},
		"whitespace header": {"products", "  \n", "column 1 has no name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), nil, "shop", test.kind, strings.NewReader(test.text), Auto, Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, zipped bool) string {
		var out bytes.Buffer
		out.WriteString(text)
		if zipped {
			out.Reset()
			w := gzip.NewWriter(&out)
			_, _ = io.WriteString(w, text)
			_ = w.Close()
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const csv, jsonl = "id,vip\na,\"{\"\"x\"\n", `{"id":"b"}` + "\n"
	stores(t, func(t *testing.T, s *store.Store) {
		for name, path := range map[string]string{
			"csv": write("c.csv", csv, false), "csv.gz": write("c.CSV.gz", csv, true), "jsonl": write("c.jsonl", jsonl, false),
			"ndjson.gz": write("c.ndjson.gz", jsonl, true), "json": write("c.json", jsonl, false),
		} {
			var last Progress
			result, err := File(t.Context(), s, "shop", "customers", path, nil, Options{Progress: func(p Progress) { last = p }})
			if err != nil || result.Counts.Total() != 1 || last.Rows != 1 || last.Bytes != last.Total || last.Total == 0 {
				t.Errorf("%s: %+v, %+v, %v", name, result, last, err)
			}
			if _, err := os.Stat(path + ".refused.csv"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: a file of refused rows is there: %v", name, err)
			}
		}
		t.Chdir(t.TempDir())
		result, err := File(t.Context(), s, "shop", "customers", "-", strings.NewReader(jsonl+"{}\n"), Options{})
		if err != nil || result.Unchanged != 1 || result.Refused != 1 || result.RefusedFile != "stdin.refused.csv" {
			t.Errorf("stdin: %+v, %v", result, err)
		}
		cut := write("cut.csv.gz", csv, true)
		if err := os.Truncate(cut, 20); err != nil {
			t.Fatal(err)
		}
		if result, err := File(t.Context(), s, "shop", "customers", cut, nil, Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a truncated file: %+v, %v", result, err)
		}
		for _, path := range []string{"c.txt", filepath.Join(dir, "none.csv"), write("plain.csv.gz", csv, false)} {
			if _, err := File(t.Context(), s, "shop", "customers", path, nil, Options{}); err == nil {
				t.Errorf("%s was imported", path)
			}
		}
		if _, err := File(t.Context(), s, "shop", "customers", filepath.Join(dir, "c.csv"), nil, Options{RefusedFile: "no/such/dir"}); err == nil || !strings.Contains(err.Error(), "--refused") {
			t.Errorf("without a place for refused rows: %v", err)
		}
	})
}

// TestBatches holds that where batches end makes no difference, and that the last of equal ids wins.
func TestBatches(t *testing.T) {
	var text strings.Builder
	text.WriteString("id,customer_id,placed_at,total\n")
	for i := range 100 {
		fmt.Fprintf(&text, "o%d,c%d,2026-01-%02d,%d\n", i%40, i%7, 1+i%28, i)
	}
	stores(t, func(t *testing.T, s *store.Store) {
		var rows, counts []string
		for _, size := range []int{1, 3, 1000} {
			ns := fmt.Sprint("shop", size)
			result, err := Run(t.Context(), s, ns, "orders", strings.NewReader(text.String()), CSV, Options{BatchRows: size})
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, dump(t, s, `SELECT id, customer_id, total FROM orders WHERE ns = '`+ns+`' ORDER BY id`))
			counts = append(counts, fmt.Sprintf("%+v", result))
			if wrong, err := s.CheckMetrics(t.Context(), ns); wrong != 0 || err != nil {
				t.Errorf("%d metrics are wrong, %v", wrong, err)
			}
		}
		for i := range rows {
			if rows[i] != rows[0] || counts[i] != counts[0] {
				t.Errorf("batches differ: %s\n%s\n%s\n%s", counts[0], counts[i], rows[0], rows[i])
			}
		}
		if !strings.Contains(rows[0], "o0|c3|800000\n") {
			t.Errorf("the last of o0 is the 80th row:\n%s", rows[0])
		}
	})
}

// TestConcurrent imports the same files at once, as two operators may.
func TestConcurrent(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for _, kind := range []string{"orders", "orders"} {
					result, err := Run(t.Context(), s, "shop", kind, &orderLines{count: 3000}, CSV, Options{BatchRows: 500})
					if err != nil || result.Rows != 3000 || result.Refused != 0 {
						t.Errorf("%+v, %v", result, err)
					}
				}
			})
		}
		wg.Wait()
		if got := dump(t, s, `SELECT count(*), sum(orders) FROM orders o, (SELECT sum(orders) AS orders FROM metrics) m GROUP BY m.orders`); got != "3000|9000000\n" {
			t.Errorf("orders and those counted in metrics, times: %s", got)
		}
		if wrong, err := s.CheckMetrics(t.Context(), "shop"); wrong != 0 || err != nil {
			t.Errorf("%d metrics are wrong, %v", wrong, err)
		}
	})
}

// TestStops holds that a stop keeps the batches before it, and the next run finishes the work.
func TestStops(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		broken := io.MultiReader(io.LimitReader(&orderLines{count: 1000}, 20_000), &failing{})
		result, err := Run(t.Context(), s, "shop", "orders", broken, CSV, Options{BatchRows: 100})
		if !errors.Is(err, errFailing) || result.New == 0 {
			t.Errorf("%+v, %v", result, err)
		}
		again, err := Run(t.Context(), s, "shop", "orders", &orderLines{count: 1000}, CSV, Options{})
		if err != nil || again.Unchanged != result.New || again.New != 1000-result.New {
			t.Errorf("after %+v: %+v, %v", result, again, err)
		}
	})
}

var errFailing = errors.New("the disk is gone")

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errFailing }
