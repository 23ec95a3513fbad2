// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	annasPhone = "+819012345678"
	shopsPhone = "+815012345678"
)

// phone is a telephone at the sandbox that writes to the gateway through a socket.
type phone struct {
	*fixture
	box *sandbox.Client
	url string
}

func newPhone(f *fixture) *phone {
	f.Helper()
	box, err := sandbox.Start(f.Context(), sandbox.Config{Twilio: []sandbox.TwilioAccount{{SID: sandbox.DefaultTwilioSID, AuthToken: secret}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = box.Close() })
	var g *Gateway
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.ServeHTTP(w, r) }))
	f.Cleanup(server.Close)
	g = f.open(server.URL)
	return &phone{fixture: f, box: box.Client(), url: server.URL + smsPath}
}

// say sends a text, and holds the answer against an empty one.
func (p *phone) say(m sandbox.SMSSaid) sandbox.SMSHeard {
	p.Helper()
	if m.From == "" {
		m.From = annasPhone
	}
	m.To, m.URL = shopsPhone, p.url
	heard, err := p.box.Say(p.Context(), m)
	if err != nil {
		p.Fatal(err)
	}
	if heard.Status != http.StatusOK || heard.Body != noReply {
		p.Errorf("%q was answered with %d %q", m.Text, heard.Status, heard.Body)
	}
	return heard
}

// annaSays makes a customer with a number, and with a consent of some source; an empty state is none.
func (f *fixture) annaSays(state, source string) {
	f.Helper()
	err := f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertCustomers(f.Context(), "shop", []store.Customer{{ID: "anna", Phone: store.Value(annasPhone)}}, start.Add(-time.Hour))
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	if state != "" {
		if err := f.st.SetConsent(f.Context(), "shop", "anna", store.ChannelSMS, state, source, start.Add(-time.Hour)); err != nil {
			f.Fatal(err)
		}
	}
}

// standing is what the store says of anna's texts.
func (f *fixture) standing() string {
	f.Helper()
	var state, reason string
	if err := f.st.QueryRow(f.Context(), `SELECT COALESCE((SELECT state || ' ' || source FROM consents WHERE ns = 'shop' AND customer_id = 'anna' AND channel = 'sms'), 'none')`).Scan(&state); err != nil {
		f.Fatal(err)
	}
	if err := f.st.QueryRow(f.Context(), `SELECT COALESCE((SELECT reason FROM suppressions WHERE ns = 'shop' AND channel = 'sms' AND address = $1), '')`, annasPhone).Scan(&reason); err != nil {
		f.Fatal(err)
	}
	return strings.TrimSpace(state + " " + reason)
}

func TestTextsThatComeIn(t *testing.T) {
	cases := map[string]struct {
		state, source, suppressed string
		says                      []sandbox.SMSSaid
		want                      string
		events                    int
	}{
		"STOP":                      {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "STOP"}}, want: "withdrawn sms RecipientOptedOut"},
		"in Japanese":               {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "配信停止"}}, want: "withdrawn sms RecipientOptedOut"},
		"wide, with a stop":         {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: " ＳＴＯＰ。\n"}}, want: "withdrawn sms RecipientOptedOut"},
		"half-width":                {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "ｽﾄｯﾌﾟ"}}, want: "withdrawn sms RecipientOptedOut"},
		"a word of the service":     {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "もういいです", OptOutType: "STOP"}}, want: "withdrawn sms RecipientOptedOut"},
		"not the whole message":     {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "please don't stop"}}, want: "granted import", events: 1},
		"a question":                {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "YES"}, {Text: "いつ届きますか"}}, want: "granted import", events: 2},
		"HELP":                      {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "HELP"}}, want: "granted import"},
		"START after STOP":          {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "STOP"}, {Text: "start!"}}, want: "granted sms"},
		"再開 after STOP":             {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "停止"}, {Text: "再開"}}, want: "granted sms"},
		"START after unsubscribing": {state: "withdrawn", source: "unsubscribe", says: []sandbox.SMSSaid{{Text: "START"}}, want: "withdrawn unsubscribe"},
		"START of a number that is suppressed otherwise": {state: "granted", source: "import", suppressed: "Operator", says: []sandbox.SMSSaid{{Text: "START"}}, want: "granted import Operator"},
		"STOP without a consent":                         {says: []sandbox.SMSSaid{{Text: "QUIT"}}, want: "withdrawn sms RecipientOptedOut"},
		"STOP again after START":                         {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "STOP", MessageSID: "SM1"}, {Text: "START"}, {Text: "STOP", MessageSID: "SM1"}}, want: "granted sms"},
		"a text twice":                                   {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "hello", MessageSID: "SM2"}, {Text: "hello", MessageSID: "SM2"}}, want: "granted import", events: 1},
		"who writes can be reached":                      {state: "granted", source: "import", suppressed: "RecipientUnreachable", says: []sandbox.SMSSaid{{Text: "hello"}}, want: "granted import", events: 1},
		"STOP of somebody unknown":                       {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "STOP", From: "+819099999999"}}, want: "granted import"},
		"a text of somebody unknown":                     {state: "granted", source: "import", says: []sandbox.SMSSaid{{Text: "hello", From: "+819099999999"}}, want: "granted import"},
	}
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				f.exec(`DELETE FROM customers`)
				f.exec(`DELETE FROM events`)
				f.annaSays(tt.state, tt.source)
				p := newPhone(f)
				if tt.suppressed != "" {
					if err := f.st.Suppress(t.Context(), "shop", store.ChannelSMS, annasPhone, tt.suppressed, start); err != nil {
						t.Fatal(err)
					}
				}
				for i, m := range tt.says {
					f.clock.SetTime(start.Add(time.Duration(i) * time.Minute))
					p.say(m)
				}
				if got := f.standing(); got != tt.want {
					f.Errorf("%q, want %q", got, tt.want)
				}
				if n := f.count(`SELECT COUNT(*) FROM events WHERE name = 'SMS Received' AND customer_id = 'anna'`); n != tt.events {
					f.Errorf("%d events, want %d", n, tt.events)
				}
				// Who can be reached is kept with the customer, and must not lag behind.
				reached := f.count(`SELECT COUNT(*) FROM customers WHERE id = 'anna' AND reach <> 0`)
				if (reached == 1) != (strings.HasPrefix(tt.want, "granted") && len(strings.Fields(tt.want)) == 2) {
					f.Errorf("reach is %d with %q", reached, f.standing())
				}
			})
		}
	})
}

// TestTextIsAFact: what a customer writes is before the scenarios that listen to it, and STOP counts as an
// unsubscription from the last text.
func TestTextIsAFact(t *testing.T) {
	stores(t, func(f *fixture) {
		f.annaSays("granted", "import")
		f.exec(`INSERT INTO listeners (ns, scenario, kind, name, param, late) VALUES ('shop', 'answers', 'event', 'SMS Received', 0, 3600000)`)
		id := f.message("sms", "sms-main", "sent")
		p := newPhone(f)
		p.say(sandbox.SMSSaid{Text: "サイズ交換できますか"})
		if n := f.count(`SELECT COUNT(*) FROM arrivals WHERE scenario = 'answers' AND customer_id = 'anna'`); n != 1 {
			f.Errorf("%d arrivals", n)
		}
		var text string
		if err := f.st.QueryRow(t.Context(), `SELECT CAST(properties AS TEXT) FROM events`).Scan(&text); err != nil {
			f.Fatal(err)
		}
		var properties map[string]string
		if err := json.Unmarshal([]byte(text), &properties); err != nil || properties["text"] != "サイズ交換できますか" || properties["channel"] != "sms-main" {
			f.Errorf("properties are %s", text)
		}
		p.say(sandbox.SMSSaid{Text: "停止"})
		if got := f.receipts(id); got != "received received unsubscribed" && got != "received unsubscribed received" {
			f.Errorf("receipts %q", got)
		}
	})
}

func TestForgedTexts(t *testing.T) {
	f := newSQLite(t)
	f.annaSays("granted", "import")
	v := url.Values{"MessageSid": {"SM1"}, "SmsStatus": {"received"}, "Body": {"STOP"}, "From": {annasPhone}, "To": {shopsPhone}}
	for name, tt := range map[string]struct {
		path, signature string
		want            int
	}{
		"no signature":    {smsPath, "", http.StatusForbidden},
		"another's":       {smsPath, signTwilio("another", publicURL+smsPath, v), http.StatusForbidden},
		"of another path": {smsPath, signTwilio(secret, publicURL+smsPath+"/", v), http.StatusForbidden},
		"no channel":      {"/v1/webhooks/sms/shop/none", signTwilio(secret, publicURL+"/v1/webhooks/sms/shop/none", v), http.StatusNotFound},
	} {
		if got := f.sendCallback(tt.path, tt.signature, v); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if got := f.standing(); got != "granted import" {
		t.Errorf("a forged text was believed: %s", got)
	}
	if got := f.sendCallback(smsPath, signTwilio(secret, publicURL+smsPath, v), v); got != http.StatusOK || f.standing() != "withdrawn sms RecipientOptedOut" {
		t.Errorf("a signed text: %d, %s", got, f.standing())
	}
}

func TestTextsAndCallbacksAreToldApart(t *testing.T) {
	cases := map[string]struct {
		form string
		want bool
	}{
		"a text":                       {"MessageSid=SM1&SmsStatus=received&Body=a&From=%2B819012345678", true},
		"an empty text":                {"MessageSid=SM1&SmsStatus=received&Body=&From=%2B819012345678", true},
		"a callback":                   {"MessageSid=SM1&MessageStatus=delivered&SmsStatus=delivered", false},
		"a callback with a body":       {"MessageSid=SM1&MessageStatus=received&SmsStatus=received&Body=STOP", false},
		"a callback of another status": {"MessageSid=SM1&SmsStatus=sent&Body=STOP", false},
		"without a SID":                {"SmsStatus=received&Body=STOP", false},
		"not a form":                   {"%zz", false},
	}
	for name, tt := range cases {
		if _, got := parseInbound([]byte(tt.form)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// FuzzTextThatComesIn: whatever a signed text says, it is taken, is kept in a form that both stores hold, and
// asks for something only by the words that are known.
func FuzzTextThatComesIn(f *testing.F) {
	f.Add("MessageSid=SM1&SmsStatus=received&Body=STOP&From=%2B819012345678")
	f.Add("MessageSid=SM1&SmsStatus=received&Body=%EF%BC%B3%EF%BC%B4%EF%BC%AF%EF%BC%B0&From=x&OptOutType=START")
	f.Add("MessageSid=%00&SmsStatus=received&Body=%FF%00")
	f.Add("MessageSid=SM1&MessageStatus=delivered&ErrorCode=30005&To=%2B819012345678")
	f.Fuzz(func(t *testing.T, form string) {
		c, isCallback := parseCallback(url.Values{}, []byte(form))
		if isCallback && (c.sid == "" || c.status == "" || strings.Contains(c.sid+c.status+c.errorCode+c.to, "\x00")) {
			t.Errorf("a callback of %+v", c)
		}
		m, ok := parseInbound([]byte(form))
		if !ok {
			return
		}
		if m.sid == "" || strings.ContainsRune(m.text+m.sid, 0) || len([]rune(m.text)) > maxInbound {
			t.Errorf("it was read as %+v", m)
		}
		if m.from != "" {
			if again, err := store.NormalizeAddress(store.ChannelSMS, m.from); err != nil || again != m.from {
				t.Errorf("%q is no number: %v", m.from, err)
			}
		}
		if m.asks != keywordNone && len(m.text) > longestKeyword && !strings.Contains(form, "OptOutType") {
			t.Errorf("a text of %d bytes asks for %s", len(m.text), m.asks)
		}
	})
}
