// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/hmac"
	"crypto/sha1" // Twilio's signature is HMAC-SHA1
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

const smsPath = "/v1/webhooks/sms/shop/sms-main"

// signTwilio signs as Twilio documents it, written without the SDK that verifies.
func signTwilio(key, address string, f url.Values) string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	text := address
	for _, name := range names {
		text += name + f[name][0]
	}
	h := hmac.New(sha1.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func (f *fixture) callback(id uuid.UUID, sid, status, code string) int {
	f.Helper()
	v := url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "To": {"+819012345678"}, "AccountSid": {"AC0"}}
	if code != "" {
		v.Set("ErrorCode", code)
	}
	path := smsPath
	if id != uuid.Nil {
		path += "?m=" + id.String()
	}
	return f.sendCallback(path, signTwilio(secret, publicURL+path, v), v)
}

func (f *fixture) sendCallback(path, signature string, v url.Values) int {
	f.Helper()
	r := request(http.MethodPost, path, v.Encode())
	r.Header.Set("Content-Type", form)
	r.Header.Set("X-Twilio-Signature", signature)
	return f.do(r).Code
}

func TestTwilioCallbacks(t *testing.T) {
	type told struct{ status, code string }
	cases := map[string]struct {
		state        string
		callbacks    []told // a minute apart
		want         marks
		wantReceipts string
		wantSuppress string
	}{
		"delivered": {
			state: "sent", callbacks: []told{{"sent", ""}, {"delivered", ""}},
			want: marks{state: "sent", provider: "SM1", delivered: "1m0s"}, wantReceipts: "accepted delivered",
		},
		"repeated": {
			state: "sent", callbacks: []told{{"delivered", ""}, {"delivered", ""}},
			want: marks{state: "sent", provider: "SM1", delivered: "0s"}, wantReceipts: "delivered",
		},
		"late": {
			state: "sent", callbacks: []told{{"delivered", ""}, {"sent", ""}, {"queued", ""}},
			want: marks{state: "sent", provider: "SM1", delivered: "0s"}, wantReceipts: "delivered accepted accepted",
		},
		"a failure never takes delivered back": {
			state: "sent", callbacks: []told{{"delivered", ""}, {"undelivered", "30003"}},
			want: marks{state: "sent", provider: "SM1", delivered: "0s"}, wantReceipts: "delivered undelivered",
		},
		"undelivered": {
			state: "sent", callbacks: []told{{"undelivered", "30003"}},
			want: marks{state: "sent", provider: "SM1", bounced: "0s"}, wantReceipts: "undelivered",
		},
		"undelivered, then failed": {
			state: "sent", callbacks: []told{{"undelivered", "30003"}, {"failed", "30003"}},
			want: marks{state: "sent", provider: "SM1", bounced: "0s"}, wantReceipts: "undelivered undelivered",
		},
		"opted out":           {state: "sent", callbacks: []told{{"failed", "21610"}}, want: marks{state: "sent", provider: "SM1", bounced: "0s"}, wantReceipts: "undelivered", wantSuppress: "RecipientOptedOut"},
		"unknown number":      {state: "sent", callbacks: []told{{"undelivered", "30005"}}, want: marks{state: "sent", provider: "SM1", bounced: "0s"}, wantReceipts: "undelivered", wantSuppress: "RecipientInvalid"},
		"landline":            {state: "sent", callbacks: []told{{"undelivered", "30006"}}, want: marks{state: "sent", provider: "SM1", bounced: "0s"}, wantReceipts: "undelivered", wantSuppress: "RecipientInvalid"},
		"heals what is lost":  {state: "unknown", callbacks: []told{{"sent", ""}}, want: marks{state: "sent", provider: "SM1", ended: "0s"}, wantReceipts: "accepted"},
		"before the answer":   {state: "sending", callbacks: []told{{"delivered", ""}}, want: marks{state: "sent", provider: "SM1", ended: "0s", delivered: "0s"}, wantReceipts: "delivered"},
		"nothing is revived":  {state: "cancelled", callbacks: []told{{"delivered", ""}}, want: marks{state: "cancelled", delivered: "0s"}, wantReceipts: "delivered"},
		"a status of tomorow": {state: "sent", callbacks: []told{{"teleported", ""}}, want: marks{state: "sent", provider: "SM1"}, wantReceipts: "accepted"},
	}
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				id := f.message("sms", "sms-main", tt.state)
				if tt.state == "sent" {
					f.exec(`UPDATE messages SET provider_id = 'SM1' WHERE id = $1`, id.String())
				}
				for i, c := range tt.callbacks {
					f.clock.SetTime(start.Add(time.Duration(i) * time.Minute))
					if got := f.callback(id, "SM1", c.status, c.code); got != http.StatusNoContent {
						f.Errorf("status %d", got)
					}
				}
				if diff := cmp.Diff(tt.want, f.marks(id), cmp.AllowUnexported(marks{})); diff != "" {
					f.Error(diff)
				}
				if got := f.receipts(id); got != tt.wantReceipts {
					f.Errorf("receipts %q, want %q", got, tt.wantReceipts)
				}
				want := 0
				if tt.wantSuppress != "" {
					want = f.count(`SELECT COUNT(*) FROM suppressions WHERE ns = 'shop' AND channel = 'sms' AND address = '+819012345678' AND reason = $1`, tt.wantSuppress)
					if want != 1 {
						f.Error("the number is not suppressed for that reason")
					}
				}
				if got := f.count(`SELECT COUNT(*) FROM suppressions`); got != want {
					f.Errorf("%d suppressions, want %d", got, want)
				}
			})
		}
	})
}

func TestTwilioCallbackForWhichMessage(t *testing.T) {
	stores(t, func(f *fixture) {
		byProvider, elsewhere := f.message("sms", "sms-main", "sent"), f.message("sms", "sms-other", "sent")
		f.exec(`UPDATE messages SET provider_id = 'SM7' WHERE id = $1`, byProvider.String())
		for _, c := range []struct {
			id  uuid.UUID
			sid string
		}{{uuid.Nil, "SM7"}, {uuid.Nil, "SM8"}, {elsewhere, "SM9"}, {uuid.New(), "SM10"}} {
			if got := f.callback(c.id, c.sid, "delivered", ""); got != http.StatusNoContent {
				f.Errorf("%v: status %d", c, got)
			}
		}
		if f.marks(byProvider).delivered == "" {
			f.Error("the message was not found by the provider's id")
		}
		if f.marks(elsewhere).delivered != "" {
			f.Error("a channel told of another channel's message")
		}
	})
}

func TestTwilioSignatures(t *testing.T) {
	f := newSQLite(t)
	id := f.message("sms", "sms-main", "sent")
	v := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	path := smsPath + "?m=" + id.String()
	good := signTwilio(secret, publicURL+path, v)
	for name, tt := range map[string]struct {
		path, signature string
		form            url.Values
		want            int
	}{
		"none":                       {path, "", v, http.StatusForbidden},
		"another key's":              {path, signTwilio("other", publicURL+path, v), v, http.StatusForbidden},
		"of another address":         {path, signTwilio(secret, "http://127.0.0.1:8080"+path, v), v, http.StatusForbidden},
		"of another message":         {smsPath + "?m=" + uuid.NewString(), good, v, http.StatusForbidden},
		"of another form":            {path, good, url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"failed"}}, http.StatusForbidden},
		"a form that says nothing":   {path, signTwilio(secret, publicURL+path, nil), nil, http.StatusBadRequest},
		"a channel that is not":      {"/v1/webhooks/sms/shop/none", "", v, http.StatusNotFound},
		"a channel of LINE's":        {"/v1/webhooks/sms/shop/line-main", "", v, http.StatusNotFound},
		"a channel without a secret": {"/v1/webhooks/sms/shop/half-made", signTwilio("", publicURL+"/v1/webhooks/sms/shop/half-made", v), v, http.StatusNotFound},
		"too long":                   {path, good, url.Values{"x": {strings.Repeat("x", maxForm)}}, http.StatusBadRequest},
		"good":                       {path, good, v, http.StatusNoContent},
		"with the port":              {path, signTwilio(secret, publicURL+":443"+path, v), v, http.StatusNoContent},
		"with the fragment":          {path, signTwilio(secret, publicURL+path+callbackPolicy, v), v, http.StatusNoContent},
	} {
		before := f.count(`SELECT COUNT(*) FROM receipts`)
		if got := f.sendCallback(tt.path, tt.signature, tt.form); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
		if after := f.count(`SELECT COUNT(*) FROM receipts`); tt.want != http.StatusNoContent && after != before {
			t.Errorf("%s: was recorded", name)
		}
	}
	if f.marks(id).delivered == "" {
		t.Error("a good signature was not enough")
	}
}
