// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	twilioclient "github.com/twilio/twilio-go/client"
	twilioapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// receiver collects the status callbacks whose signature is right.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	forms []url.Values
	bad   int
	fail  int // so many answers are 503
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		v := twilioclient.NewRequestValidator(sandbox.DefaultTwilioToken)
		r.mu.Lock()
		defer r.mu.Unlock()
		if !v.ValidateBody(r.URL+req.URL.RequestURI(), body, req.Header.Get("X-Twilio-Signature")) {
			r.bad++
		}
		if r.fail > 0 {
			r.fail--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		form, _ := url.ParseQuery(string(body))
		form.Set("query", req.URL.RawQuery)
		r.forms = append(r.forms, form)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() (forms []url.Values, bad int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]url.Values(nil), r.forms...), r.bad
}

func quick(c sandbox.Config) sandbox.Config {
	c.SentAfter, c.DeliveredAfter = sandbox.Duration(5*time.Millisecond), sandbox.Duration(20*time.Millisecond)
	return c
}

func TestTwilioCallbacks(t *testing.T) {
	gone := "+819000000009"
	s := start(t, quick(sandbox.Config{
		Recipients: []sandbox.Recipient{{Channel: "sms", ID: gone, State: "unreachable"}},
		Faults: []sandbox.Fault{{
			Provider: "twilio", Operation: "delivery", Match: sandbox.FaultMatch{To: "+8180*"}, Effect: sandbox.FaultEffect{Code: 30007},
		}},
	}))
	tests := map[string]struct{ to, end, code string }{
		"delivered":   {"+819012345678", "delivered", ""},
		"unreachable": {gone, "undelivered", "30003"},
		"by a fault":  {"+818011112222", "undelivered", "30007"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			p := sms(tt.to, "やあ").SetStatusCallback(r.URL + "/cb?d=1&x=%E3%81%82#rc=2")
			m, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(p)
			if err != nil || *m.Status != "queued" {
				t.Fatalf("%+v %v, want queued", m, err)
			}
			eventually(t, "two callbacks", func() bool { forms, _ := r.got(); return len(forms) == 2 })
			forms, bad := r.got()
			if bad != 0 {
				t.Errorf("%d callbacks have a wrong signature", bad)
			}
			if forms[0].Get("MessageStatus") != "sent" || forms[1].Get("MessageStatus") != tt.end || forms[1].Get("ErrorCode") != tt.code {
				t.Errorf("callbacks %v", forms)
			}
			if f := forms[1]; f.Get("MessageSid") != *m.Sid || f.Get("To") != tt.to || f.Get("AccountSid") != sandbox.DefaultTwilioSID || f.Get("query") != "d=1&x=%E3%81%82" {
				t.Errorf("callback %v", f)
			}
			got, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).FetchMessage(*m.Sid, nil)
			if err != nil || *got.Status != tt.end {
				t.Errorf("fetched %+v %v, want %s", got, err, tt.end)
			}
		})
	}
}

func TestTwilioCallbackRetry(t *testing.T) {
	tests := map[string]struct {
		fragment string
		want     int
	}{
		"a 5xx is lost by default":  {"", 1},
		"unless the URL says retry": {"#rc=3&rp=5xx", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, quick(sandbox.Config{}))
			r := newReceiver(t)
			r.fail = 1
			m, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(
				sms("+819012345678", "x").SetStatusCallback(r.URL + "/cb" + tt.fragment))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the callbacks", func() bool { forms, _ := r.got(); return len(forms) >= tt.want })
			time.Sleep(150 * time.Millisecond)
			if forms, _ := r.got(); len(forms) != tt.want {
				t.Errorf("%d callbacks for %s, want %d", len(forms), *m.Sid, tt.want)
			}
		})
	}
}

func TestTwilioRefusals(t *testing.T) {
	s := start(t, sandbox.Config{
		Twilio: []sandbox.TwilioAccount{{
			SID: sandbox.DefaultTwilioSID, AuthToken: sandbox.DefaultTwilioToken,
			APIKeys: map[string]string{"SK00000000000000000000000000000001": "keysecret"}, Numbers: []string{"+815012345678"},
		}},
		Recipients: []sandbox.Recipient{
			{Channel: "sms", ID: "+81312345678", State: "landline"},
			{Channel: "sms", ID: "+819000000001", State: "opted-out"},
			{Channel: "sms", ID: "+819000000002", State: "invalid"},
		},
		Faults: []sandbox.Fault{
			{Provider: "twilio", Operation: "create", Match: sandbox.FaultMatch{To: "+819000000429"}, Effect: sandbox.FaultEffect{Status: 429}},
		},
	})
	tests := map[string]struct {
		name, password string
		params         *twilioapi.CreateMessageParams
		status, code   int
	}{
		"wrong token":   {sandbox.DefaultTwilioSID, "wrong", sms("+819012345678", "x"), 401, 20003},
		"unknown key":   {"SK99", "keysecret", sms("+819012345678", "x"), 401, 20003},
		"no number":     {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("090-1234-5678", "x"), 400, 21211},
		"invalid":       {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+819000000002", "x"), 400, 21211},
		"landline":      {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+81312345678", "x"), 400, 21614},
		"opted out":     {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+819000000001", "x"), 400, 21610},
		"no body":       {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+819012345678", ""), 400, 21602},
		"long body":     {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+819012345678", strings.Repeat("x", 1601)), 400, 21617},
		"not our from":  {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+819012345678", "x").SetFrom("+15005550006"), 400, 21606},
		"too many":      {sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken, sms("+819000000429", "x"), 429, 20429},
		"API key works": {"SK00000000000000000000000000000001", "keysecret", sms("+819012345678", "x"), 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := twilioAPI(t, s, tt.name, tt.password).CreateMessage(tt.params)
			if tt.status == 0 {
				if err != nil || !strings.HasPrefix(*m.Sid, "SM") {
					t.Fatalf("%+v %v", m, err)
				}
				return
			}
			if status, code := twilioCode(t, err); status != tt.status || code != tt.code {
				t.Errorf("got %d %d, want %d %d", status, code, tt.status, tt.code)
			}
		})
	}
	if n := len(messages(t, s, sandbox.Query{})); n != 1 {
		t.Errorf("%d messages arrived, want the API key's one", n)
	}
}

func TestTwilioHTML503(t *testing.T) {
	s := start(t, sandbox.Config{Faults: []sandbox.Fault{{Provider: "twilio", Operation: "create", Effect: sandbox.FaultEffect{Status: 503}}}})
	_, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(sms("+819012345678", "x"))
	var rest *twilioclient.TwilioRestError
	if err == nil || errors.As(err, &rest) {
		t.Errorf("got %v, want an error that is not Twilio's JSON", err)
	}
}

func TestTwilioLookup(t *testing.T) {
	s := start(t, quick(sandbox.Config{}))
	api := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken)
	to := "+819012345678"
	for _, body := range []string{"one", "two", "three"} {
		if _, err := api.CreateMessage(sms(to, body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.CreateMessage(sms("+818000000000", "other")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "delivery", func() bool {
		stats, err := s.Client().Stats(t.Context())
		return err == nil && stats.Channels["sms"].Statuses["delivered"] == 4
	})
	list := func(edit func(*twilioapi.ListMessageParams)) []string {
		p := &twilioapi.ListMessageParams{}
		edit(p)
		found, err := api.ListMessage(p)
		if err != nil {
			t.Fatal(err)
		}
		var bodies []string
		for _, m := range found {
			bodies = append(bodies, *m.Body)
		}
		return bodies
	}
	now := time.Now().UTC()
	tests := map[string]struct {
		edit func(*twilioapi.ListMessageParams)
		want string
	}{
		"to":             {func(p *twilioapi.ListMessageParams) { p.SetTo(to) }, "three two one"},
		"paged":          {func(p *twilioapi.ListMessageParams) { p.SetTo(to).SetPageSize(2) }, "three two one"},
		"sent after":     {func(p *twilioapi.ListMessageParams) { p.SetTo(to).SetDateSentAfter(now.Add(-time.Hour)) }, "three two one"},
		"sent later":     {func(p *twilioapi.ListMessageParams) { p.SetTo(to).SetDateSentAfter(now.Add(time.Hour)) }, ""},
		"sent before":    {func(p *twilioapi.ListMessageParams) { p.SetTo(to).SetDateSentBefore(now.Add(-time.Hour)) }, ""},
		"sent that day":  {func(p *twilioapi.ListMessageParams) { p.SetTo(to).SetDateSent(time.Now().UTC()) }, "three two one"},
		"all, and limit": {func(p *twilioapi.ListMessageParams) { p.SetLimit(2) }, "other three"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(list(tt.edit), " "); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
	account, err := api.FetchAccount(sandbox.DefaultTwilioSID)
	if err != nil || *account.Status != "active" || *account.FriendlyName != "Kaeru Shop" {
		t.Errorf("account %+v %v", account, err)
	}
	if _, err := api.FetchMessage("SM00000000000000000000000000000000", nil); err == nil {
		t.Error("a message that was never sent was found")
	}
}

func TestTwilioMessagingService(t *testing.T) {
	s := start(t, sandbox.Config{SentAfter: sandbox.Duration(time.Hour)})
	p := &twilioapi.CreateMessageParams{}
	p.SetTo("+819012345678").SetMessagingServiceSid("MG" + strings.Repeat("0", 32)).SetBody("x")
	m, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(p)
	if err != nil || *m.Status != "accepted" || *m.NumSegments != "0" || m.From != nil {
		t.Errorf("%+v %v, want accepted with 0 segments and no sender yet", m, err)
	}
}
