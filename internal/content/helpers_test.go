// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
)

var (
	testKey     = []byte("0123456789abcdef0123456789abcdef")
	testMessage = uuid.MustParse("6ba7b810-9dad-51d1-80b4-00c04fd430c8")
	testCompile = NewCompiler(Options{})
)

func TestMain(m *testing.M) {
	code := m.Run()
	_ = testCompile.Close()
	os.Exit(code)
}

func testSigner(t testing.TB) *Signer {
	t.Helper()
	s, err := NewSigner("https://k.example", testKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testLinks(t testing.TB) Links {
	return Links{Signer: testSigner(t), Namespace: "shop", Message: testMessage, Clicks: true, Opens: true}
}

func testData(t testing.TB) *Data {
	t.Helper()
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	return &Data{
		Customer: map[string]any{
			"first_name": "花子", "evil": "a\r\nBcc: x@y.example", "markup": `<a href="https://evil.example">x</a>`,
			"quoted": `"}],"x":{`, "site": "https://evil.example/me",
			"host": "evil.example", "tail": ".evil.example/a",
		},
		Entry:  map[string]any{"url": "https://evil.example/e", "product": map[string]any{"url": "https://shop.example/p1"}},
		Coupon: map[string]any{"code": "KAERU15", "expires_at": time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)},
		Recommendations: []map[string]any{
			{"name": "Soap & Co", "price": 1200.0, "url": "https://shop.example/p1?a=1&b=2", "image_url": "https://img.example/1.png"},
			{"name": "Tea", "price": 800.0, "url": "https://shop.example/p2", "image_url": "https://img.example/2.png"},
		},
		Shop:     map[string]any{"name": "Kaeru Shop", "url": "https://shop.example"},
		Location: tokyo,
		Currency: "JPY",
	}
}

func mustEmail(t testing.TB, src EmailSource) *Email {
	t.Helper()
	e, err := testCompile.CompileEmail(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func wantError(t *testing.T, err error, field string, line int, message string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Field != field || e.Line != line || !contains(e.Message, message) {
		t.Errorf("got %v, want %s: line %d: …%s…", err, field, line, message)
	}
}
