// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// lineFact is an event as the store has it.
func (f *fixture) lineFacts() (out []string) {
	f.Helper()
	rows, err := f.st.Query(f.Context(), `SELECT customer_id, name, properties FROM events WHERE ns = 'shop' ORDER BY occurred_at, id`)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var customer, name, text string
		if err := rows.Scan(&customer, &name, &text); err != nil {
			f.Fatal(err)
		}
		var p map[string]any
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			f.Fatal(err)
		}
		if p["channel"] != "line-main" || !strings.HasPrefix(p["line_event_id"].(string), "line:") {
			f.Errorf("an event says %v", p)
		}
		delete(p, "channel")
		delete(p, "line_event_id")
		plain, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, customer+" "+strings.TrimPrefix(name, "LINE ")+" "+string(plain))
	}
	if err := rows.Err(); err != nil {
		f.Fatal(err)
	}
	return out
}

func (f *fixture) lineCustomer(id string) {
	f.Helper()
	f.exec(`INSERT INTO customers (ns, id, line_user_id, attributes, created_at, updated_at) VALUES ('shop', $1, $2, '{}', 0, 0)`, id, lineUser)
}

func (f *fixture) events(events ...string) {
	f.Helper()
	body := `{"destination":"U0","events":[` + strings.Join(events, ",") + `]}`
	if got := f.webhook(linePath, body, signLINE(secret, body)); got != http.StatusOK {
		f.Errorf("status %d", got)
	}
}

func TestLINEEventsAreFacts(t *testing.T) {
	const hello = `{"type":"text","id":"m1","text":"焙じ茶はありますか","quoteToken":"q"}`
	at := start.Add(-time.Minute).UnixMilli()
	unknown := "line:" + lineUser
	cases := map[string]struct {
		customer string
		webhooks [][]string
		want     []string
	}{
		"a message":                   {"anna", [][]string{{said("01A", at, hello)}}, []string{`anna Message Received {"message_id":"m1","text":"焙じ茶はありますか","type":"text"}`}},
		"of somebody unknown":         {"", [][]string{{said("01A", at, hello)}}, []string{unknown + ` Message Received {"message_id":"m1","text":"焙じ茶はありますか","type":"text"}`}},
		"delivered twice":             {"anna", [][]string{{said("01A", at, hello)}, {strings.ReplaceAll(said("01A", at, hello), "Redelivery\":false", "Redelivery\":true")}}, []string{`anna Message Received {"message_id":"m1","text":"焙じ茶はありますか","type":"text"}`}},
		"twice in one webhook":        {"anna", [][]string{{said("01A", at, hello), said("01A", at, hello)}}, []string{`anna Message Received {"message_id":"m1","text":"焙じ茶はありますか","type":"text"}`}},
		"a sticker":                   {"anna", [][]string{{said("01A", at, `{"type":"sticker","id":"m2","packageId":"446","stickerId":"1988","stickerResourceType":"STATIC"}`)}}, []string{`anna Message Received {"message_id":"m2","package_id":"446","sticker_id":"1988","type":"sticker"}`}},
		"a picture":                   {"anna", [][]string{{said("01A", at, `{"type":"image","id":"m3","contentProvider":{"type":"line"},"quoteToken":"q"}`)}}, []string{`anna Message Received {"message_id":"m3","type":"image"}`}},
		"a place":                     {"anna", [][]string{{said("01A", at, `{"type":"location","id":"m4","title":"店","address":"東京都","latitude":35.5,"longitude":139.25}`)}}, []string{`anna Message Received {"address":"東京都","latitude":35.5,"longitude":139.25,"message_id":"m4","title":"店","type":"location"}`}},
		"a kind of tomorrow":          {"anna", [][]string{{said("01A", at, `{"type":"hologram","id":"m5"}`)}}, []string{`anna Message Received {"type":"hologram"}`}},
		"a NUL, and too much of it":   {"anna", [][]string{{said("01A", at, `{"type":"text","id":"m6","text":"a\u0000`+strings.Repeat("あ", 6000)+`","quoteToken":"q"}`)}}, []string{`anna Message Received {"message_id":"m6","text":"a` + strings.Repeat("あ", 4999) + `","type":"text"}`}},
		"a postback":                  {"anna", [][]string{{about("postback", "01A", at, `"replyToken":"r","postback":{"data":"question=tea&answer=green&x=1&x=2"}`)}}, []string{`anna Postback Received {"answer":"green","data":"question=tea\u0026answer=green\u0026x=1\u0026x=2","question":"tea","x":"1"}`}},
		"one with a date":             {"anna", [][]string{{about("postback", "01A", at, `"postback":{"data":"visit","params":{"date":"2026-03-09","evil":"x"}}`)}}, []string{`anna Postback Received {"data":"visit","date":"2026-03-09"}`}},
		"data cannot name our fields": {"anna", [][]string{{about("postback", "01A", at, `"postback":{"data":"line_event_id=line%3Ax&channel=other&data=y"}`)}}, []string{`anna Postback Received {"data":"line_event_id=line%3Ax\u0026channel=other\u0026data=y"}`}},
		"follow and unfollow": {"", [][]string{{about("unfollow", "01B", at+1, "")}, {about("follow", "01A", at, `"replyToken":"r","follow":{"isUnblocked":false}`)}},
			[]string{unknown + ` Followed {"unblocked":false}`, unknown + ` Unfollowed {}`}},
		"in a group":       {"anna", [][]string{{strings.Replace(said("01A", at, hello), `"type":"user"`, `"type":"group","groupId":"C1"`, 1)}}, nil},
		"of another time":  {"anna", [][]string{{said("01A", -9e15, hello)}}, nil},
		"from tomorrow":    {"anna", [][]string{{said("01A", start.Add(time.Hour).UnixMilli(), hello)}}, []string{`anna Message Received {"message_id":"m1","text":"焙じ茶はありますか","type":"text"}`}},
		"taken back":       {"anna", [][]string{{said("01A", at, hello)}, {about("unsend", "01B", at+9, `"unsend":{"messageId":"m1"}`)}, {said("01A", at, hello)}}, []string{`anna Message Received {"message_id":"m1","type":"text"}`, `anna Message Unsent {"message_id":"m1"}`}},
		"before it came":   {"anna", [][]string{{about("unsend", "01B", at+9, `"unsend":{"messageId":"m1"}`)}, {said("01A", at, hello)}}, []string{`anna Message Received {"message_id":"m1","type":"unsent"}`, `anna Message Unsent {"message_id":"m1"}`}},
		"both at once":     {"anna", [][]string{{said("01A", at, hello), about("unsend", "01B", at+9, `"unsend":{"messageId":"m1"}`)}}, []string{`anna Message Received {"message_id":"m1","type":"unsent"}`, `anna Message Unsent {"message_id":"m1"}`}},
		"another's nonce":  {"anna", [][]string{{about("accountLink", "01A", at, `"replyToken":"r","link":{"result":"ok","nonce":"guessed"}`)}}, nil},
		"nobody linked":    {"anna", [][]string{{about("accountLink", "01A", at, `"link":{"result":"failed","nonce":"guessed"}`)}}, nil},
		"kinds of no user": {"anna", [][]string{{about("membership", "01A", at, ""), about("things", "01B", at, ""), `{}`, `null`}}, nil},
	}
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				if tt.customer != "" {
					f.lineCustomer(tt.customer)
				}
				for _, events := range tt.webhooks {
					f.events(events...)
				}
				if got := f.lineFacts(); strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
					f.Errorf("facts\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
			})
		}
	})
}

// What a user says is put before the scenarios that listen to it, once, and what answers it is kept apart.
func TestLINEMessagesArrive(t *testing.T) {
	stores(t, func(f *fixture) {
		f.lineCustomer("anna")
		f.exec(`INSERT INTO listeners (ns, scenario, kind, name, param, late) VALUES ('shop', 'answer', 'event', 'LINE Message Received', 0, 3600000)`)
		message := said("01A", start.UnixMilli(), `{"type":"text","id":"m1","text":"お茶","quoteToken":"q"}`)
		f.events(message)
		f.events(message)
		if n := f.count(`SELECT COUNT(*) FROM arrivals WHERE scenario = 'answer' AND customer_id = 'anna' AND ref = 'line:01A'`); n != 1 {
			f.Errorf("%d arrivals", n)
		}
		var facts string
		if err := f.st.QueryRow(f.Context(), `SELECT facts FROM arrivals`).Scan(&facts); err != nil || strings.Contains(facts, "reply-") {
			f.Errorf("%s %v", facts, err)
		}
		if n := f.count(`SELECT COUNT(*) FROM line_replies WHERE event_id = 'line:01A' AND channel = 'line-main' AND token = 'reply-01A' AND message_id IS NULL AND expires_at > $1`, time.Now().UnixMilli()); n != 1 {
			f.Errorf("%d tokens", n)
		}
		// Before anybody has decided about it, it is taken back.
		f.events(about("unsend", "01B", start.UnixMilli(), `"unsend":{"messageId":"m1"}`))
		if err := f.st.QueryRow(f.Context(), `SELECT facts FROM arrivals`).Scan(&facts); err != nil || strings.Contains(facts, "お茶") {
			f.Errorf("%s %v", facts, err)
		}
	})
}

func TestFollowingIsAConsent(t *testing.T) {
	cases := map[string]struct {
		before, source string
		events         []string
		want           string
	}{
		"nothing known":          {"", "", []string{event("follow", 10)}, "granted follow"},
		"granted before":         {"granted", "import", []string{event("follow", 10)}, "granted import"},
		"withdrawn before":       {"withdrawn", "unsubscribe", []string{event("unfollow", 9), event("follow", 10)}, "withdrawn unsubscribe"},
		"by a file":              {"withdrawn", "import", []string{event("follow", 10)}, "withdrawn import"},
		"who left has consented": {"", "", []string{event("follow", 10), event("unfollow", 11)}, "granted follow"},
		"a message is none":      {"", "", []string{said("01A", 10, `{"type":"text","id":"1","text":"hi","quoteToken":"q"}`)}, ""},
	}
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				f.lineCustomer("anna")
				if tt.before != "" {
					f.exec(`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) VALUES ('shop', 'anna', 'line', $1, $2, 0)`, tt.before, tt.source)
				}
				f.events(tt.events...)
				got := ""
				err := f.st.QueryRow(f.Context(), `SELECT state || ' ' || source FROM consents WHERE ns = 'shop' AND customer_id = 'anna' AND channel = 'line'`).Scan(&got)
				if err != nil && !store.IsNotFound(err) || got != tt.want {
					f.Errorf("consent %q, want %q: %v", got, tt.want, err)
				}
				reach := 0
				if strings.HasPrefix(tt.want, "granted") && !strings.Contains(name, "left") {
					reach = store.ReachLINE
				}
				if n := f.count(`SELECT reach FROM customers WHERE id = 'anna'`); n != reach {
					f.Errorf("reach %d, want %d", n, reach)
				}
			})
		}
	})
}

// link asks for the address of LINE's page.
func (f *fixture) link(key, body string) (int, string) {
	f.Helper()
	r := request(http.MethodPost, "/v1/line/link", body)
	r.SetBasicAuth(key, "")
	w := f.do(r)
	var answer struct{ URL string }
	_ = json.Unmarshal(w.Body.Bytes(), &answer) // an error's is text
	return w.Code, answer.URL
}

func TestLinkLINE(t *testing.T) {
	const good = `{"userId":"anna","channel":"line-main","linkToken":"token-1"}`
	stores(t, func(f *fixture) {
		for name, tt := range map[string]struct {
			key, body string
			want      int
		}{
			"no key":             {"", good, http.StatusUnauthorized},
			"another key":        {"guessed", good, http.StatusUnauthorized},
			"no JSON":            {writeKey, `hello`, http.StatusBadRequest},
			"too long":           {writeKey, `{"userId":"` + strings.Repeat("a", maxLinkBody) + `"}`, http.StatusBadRequest},
			"no customer":        {writeKey, `{"channel":"line-main","linkToken":"t"}`, http.StatusBadRequest},
			"no token":           {writeKey, `{"userId":"anna","channel":"line-main"}`, http.StatusBadRequest},
			"a channel of SMS":   {writeKey, `{"userId":"anna","channel":"sms-main","linkToken":"t"}`, http.StatusBadRequest},
			"a channel not here": {writeKey, `{"userId":"anna","channel":"none","linkToken":"t"}`, http.StatusBadRequest},
		} {
			if got, _ := f.link(tt.key, tt.body); got != tt.want {
				f.Errorf("%s: status %d, want %d", name, got, tt.want)
			}
		}
		nonce := func() string {
			status, address := f.link(writeKey, good)
			u, err := url.Parse(address)
			if status != http.StatusOK || err != nil || u.Host != "access.line.me" || u.Query().Get("linkToken") != "token-1" || len(u.Query().Get("nonce")) < 10 {
				f.Fatalf("status %d, %s %v", status, address, err)
			}
			return u.Query().Get("nonce")
		}
		linked := func(id, nonce string) {
			f.events(about("accountLink", id, start.UnixMilli(), `"replyToken":"r-`+id+`","link":{"result":"ok","nonce":"`+nonce+`"}`))
		}
		whose := func() (id string) {
			err := f.st.QueryRow(f.Context(), `SELECT id FROM customers WHERE ns = 'shop' AND line_user_id = $1`, lineUser).Scan(&id)
			if err != nil {
				f.Error(err)
			}
			return id
		}
		f.events(event("follow", 5))
		if got := whose(); got != "line:"+lineUser {
			f.Errorf("the user is %s's", got)
		}
		old := nonce()
		f.exec(`UPDATE line_links SET expires_at = 0`)
		linked("01A", old)
		if got := whose(); got != "line:"+lineUser {
			f.Errorf("with an old nonce the user is %s's", got)
		}
		used := nonce()
		linked("01B", used)
		if got := whose(); got != "anna" {
			f.Errorf("the user is %s's", got)
		}
		if f.count(`SELECT COUNT(*) FROM events WHERE name = 'LINE Account Linked' AND customer_id = 'anna'`) != 1 {
			f.Error("the fact is not there")
		}
		if f.count(`SELECT COUNT(*) FROM consents WHERE customer_id = 'anna' AND channel = 'line' AND state = 'granted'`) != 1 {
			f.Error("what was said by following is not the customer's")
		}
		if n := f.count(`SELECT COUNT(*) FROM line_links`); n != 0 {
			f.Errorf("%d nonces are left", n)
		}
		if f.count(`SELECT COUNT(*) FROM events WHERE name = 'LINE Followed' AND customer_id = 'anna'`) != 1 || f.count(`SELECT COUNT(*) FROM customers WHERE id = $1`, "line:"+lineUser) != 0 {
			f.Error("who was unknown is still somebody else")
		}
		// Linked with another account, the user is that one's, and the first stays who they are.
		status, address := f.link(writeKey, strings.Replace(good, "anna", "berta", 1))
		u, err := url.Parse(address)
		if status != http.StatusOK || err != nil {
			f.Fatal(status, err)
		}
		linked("01D", u.Query().Get("nonce"))
		if got := whose(); got != "berta" || f.count(`SELECT COUNT(*) FROM customers WHERE id = 'anna' AND line_user_id IS NULL`) != 1 {
			f.Errorf("the user is %s's", got)
		}
		// A nonce counts once, whoever comes with it.
		linked("01C", used)
		if whose() != "berta" || f.count(`SELECT COUNT(*) FROM events WHERE id = 'line:01C'`) != 0 {
			f.Error("a used nonce linked")
		}
	})
}

// The signature is also the one that LINE's own SDK takes.
func TestLINESignatureOfTheSDK(t *testing.T) {
	body := `{"destination":"U0","events":[` + event("follow", 1) + `]}`
	if !webhook.ValidateSignature(secret, signLINE(secret, body), []byte(body)) {
		t.Error("the tests sign in another way than LINE does")
	}
}
