// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/osteele/tuesday"
)

// addShop adds what a shop's messages need: amounts, dates in the shop's zone, honorifics.
func addShop(c *meteredFilters, location *time.Location, currency string) {
	c.AddFilter("yen", func(v any) (string, error) { return formatMoney(v, "JPY") })
	c.AddFilter("money", func(v any, in func(string) string) (string, error) { return formatMoney(v, in(currency)) })
	c.AddFilter("sama", func(s string) string { return honorific(s, "様") })
	c.AddFilter("san", func(s string) string { return honorific(s, "さん") })
	c.AddFilter("date_ja", func(v any, form func(string) string) (string, error) {
		t, err := date(v, location)
		if err != nil {
			return "", err
		}
		switch form("") {
		case "":
			return fmt.Sprintf("%d月%d日(%s)", t.Month(), t.Day(), weekday(t)), nil
		case "full":
			return fmt.Sprintf("%d年%d月%d日(%s)", t.Year(), t.Month(), t.Day(), weekday(t)), nil
		case "era":
			return era(t)
		case "time":
			return fmt.Sprintf("%d月%d日(%s)%d:%02d", t.Month(), t.Day(), weekday(t), t.Hour(), t.Minute()), nil
		}
		return "", filterError(`write it without an argument, or with "full", "era" or "time"`)
	})
	c.AddFilter("date", func(v any, format func(string) string) (string, error) {
		t, err := date(v, location)
		if err != nil {
			return "", err
		}
		f := format("%Y-%m-%d")
		// A width would have the library write that many characters.
		if len(f) > 200 || wideDirective.MatchString(f) {
			return "", filterError("the format is too long")
		}
		return tuesday.Strftime(f, t)
	})
}

var wideDirective = regexp.MustCompile(`%[-_^#0:]*\d{2}`)

func weekday(t time.Time) string {
	return []string{"日", "月", "火", "水", "木", "金", "土"}[t.Weekday()]
}

// eras begin at midnight in Japan. Before 1873 the calendar was another.
var eras = []struct {
	name             string
	year, month, day int
}{{"令和", 2019, 5, 1}, {"平成", 1989, 1, 8}, {"昭和", 1926, 12, 25}, {"大正", 1912, 7, 30}, {"明治", 1873, 1, 1}}

// meijiFirst is the first year of the era that began before the calendar did.
const meijiFirst = 1868

func era(t time.Time) (string, error) {
	day := t.Year()*10000 + int(t.Month())*100 + t.Day()
	for _, e := range eras {
		if day < e.year*10000+e.month*100+e.day {
			continue
		}
		first := e.year
		if e.name == "明治" {
			first = meijiFirst
		}
		year := strconv.Itoa(t.Year() - first + 1)
		if year == "1" {
			year = "元"
		}
		return fmt.Sprintf("%s%s年%d月%d日(%s)", e.name, year, t.Month(), t.Day(), weekday(t)), nil
	}
	return "", filterError("the date is before 1873, which has no such form")
}

func honorific(name, suffix string) string {
	name = strings.TrimSpace(name)
	if name == "" || strings.HasSuffix(name, suffix) {
		return name
	}
	return name + suffix
}

// dateLayouts are the forms that facts come in. Without a zone a time is the shop's.
var dateLayouts = []string{
	time.RFC3339Nano, "2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006/01/02",
	"2006/1/2", "2006-01-02 15:04:05 -0700", "20060102",
}

func date(v any, location *time.Location) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v.In(location), nil
	case string:
		for _, layout := range dateLayouts {
			if t, err := time.ParseInLocation(layout, strings.TrimSpace(v), location); err == nil {
				return t.In(location), nil
			}
		}
	}
	return time.Time{}, errNotDate
}

// currencies have a sign of their own, and digits after the point.
var currencies = map[string]struct {
	sign   string
	digits int
}{
	"JPY": {"¥", 0}, "USD": {"$", 2}, "EUR": {"€", 2}, "GBP": {"£", 2}, "KRW": {"₩", 0}, "TWD": {"NT$", 0},
	"CNY": {"CN¥", 2}, "THB": {"฿", 2}, "VND": {"₫", 0}, "IDR": {"Rp", 0},
}

// formatMoney rounds half away from zero, as receipts do.
func formatMoney(v any, currency string) (string, error) {
	n, err := number(v)
	if err != nil {
		return "", err
	}
	if math.Abs(n) >= 1e15 {
		return "", filterError("the amount is too large")
	}
	form, ok := currencies[currency]
	if !ok {
		form.digits = 2
		if currency == "" {
			return "", filterError("no currency is known: write money: \"JPY\", or set currency in the shop's ConfigMap")
		}
	}
	scale := math.Pow10(form.digits)
	// A hair is added, for 1.005 lies below itself in binary.
	rounded := math.Round(math.Abs(n)*scale+1e-9) / scale
	digits, fraction, _ := strings.Cut(strconv.FormatFloat(rounded, 'f', form.digits, 64), ".")
	var b strings.Builder
	if n < 0 && rounded != 0 {
		b.WriteByte('-')
	}
	b.WriteString(form.sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if fraction != "" {
		b.WriteString("." + fraction)
	}
	if form.sign == "" {
		b.WriteString(" " + currency)
	}
	return b.String(), nil
}
