// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func lineError(t *testing.T, res *http.Response) messaging_api.ErrorResponse {
	t.Helper()
	var e messaging_api.ErrorResponse
	if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLINERetryKey(t *testing.T) {
	s := start(t, sandbox.Config{})
	api := lineAPI(t, s, sandbox.DefaultLINEToken)
	key := uuid.NewString()
	first, body, err := pushText(api, user, "やあ", key)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := pushText(api, user, "やあ", strings.ToUpper(key))
	if err == nil || again.StatusCode != http.StatusConflict {
		t.Fatalf("repeat: %v %v, want 409", again.StatusCode, err)
	}
	e := lineError(t, again)
	if e.Message != "The retry key is already accepted" || len(e.SentMessages) != 1 || e.SentMessages[0].Id != body.SentMessages[0].Id {
		t.Errorf("409 says %+v, want the first push's sentMessages %+v", e, body.SentMessages)
	}
	if got, want := again.Header.Get("X-Line-Accepted-Request-Id"), first.Header.Get("X-Line-Request-Id"); got != want || got == "" {
		t.Errorf("accepted request id %q, want %q", got, want)
	}
	if again.Header.Get("X-Line-Request-Id") == first.Header.Get("X-Line-Request-Id") {
		t.Error("two requests have the same id")
	}
	if n := len(messages(t, s, sandbox.Query{})); n != 1 {
		t.Errorf("%d messages arrived, want 1", n)
	}
	if res, _, err := pushText(api, user, "やあ", "not-a-uuid"); err == nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("a retry key that is no UUID: %v, want 400", err)
	}
}

func TestLINERetryKeyRace(t *testing.T) {
	s := start(t, sandbox.Config{})
	key := uuid.NewString()
	var accepted, conflicts atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		api := lineAPI(t, s, sandbox.DefaultLINEToken)
		wg.Go(func() {
			switch res, _, err := pushText(api, user, "once", key); {
			case err == nil:
				accepted.Add(1)
			case res != nil && res.StatusCode == http.StatusConflict:
				conflicts.Add(1)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 || conflicts.Load() != 7 {
		t.Errorf("%d accepted and %d conflicts, want 1 and 7", accepted.Load(), conflicts.Load())
	}
}

func TestLINERefusals(t *testing.T) {
	s := start(t, sandbox.Config{
		Recipients: []sandbox.Recipient{{Channel: "line", ID: "U" + strings.Repeat("f", 32), State: "unknown"}},
	})
	tests := map[string]struct {
		token, to string
		want      int
		message   string
	}{
		"bad token":       {"wrong", user, 401, "Authentication failed due to the following reason"},
		"not a user id":   {sandbox.DefaultLINEToken, "taro", 400, "Failed to send messages"},
		"a user not here": {sandbox.DefaultLINEToken, "U" + strings.Repeat("f", 32), 400, "Failed to send messages"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res, _, err := pushText(lineAPI(t, s, tt.token), tt.to, "x", uuid.NewString())
			if err == nil || res.StatusCode != tt.want {
				t.Fatalf("got %v, want %d", err, tt.want)
			}
			if e := lineError(t, res); !strings.HasPrefix(e.Message, tt.message) {
				t.Errorf("message %q, want %q", e.Message, tt.message)
			}
			if res.Header.Get("X-Line-Request-Id") == "" {
				t.Error("the answer has no request id")
			}
		})
	}
	if n := len(messages(t, s, sandbox.Query{})); n != 0 {
		t.Errorf("%d messages arrived, want none", n)
	}
}

func TestLINEMonthlyLimitAndBlockedUser(t *testing.T) {
	blocked := "U" + strings.Repeat("b", 32)
	s := start(t, sandbox.Config{
		LINE: []sandbox.LINEChannel{
			{Name: "small", Token: "t-small", DisplayName: "Small", BasicID: "@small", MonthlyLimit: 2},
			{Name: "large", Token: "t-large", DisplayName: "Large", BasicID: "@large"},
		},
		Recipients: []sandbox.Recipient{{Channel: "line", ID: blocked, State: "blocked"}},
	})
	small, large := lineAPI(t, s, "t-small"), lineAPI(t, s, "t-large")
	for _, to := range []string{user, blocked, user} {
		if _, _, err := pushText(small, to, "x", uuid.NewString()); err != nil {
			t.Fatal(err)
		}
	}
	res, _, err := pushText(small, user, "x", uuid.NewString())
	if err == nil || res.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("over the limit: %v, want 429", err)
	}
	if e := lineError(t, res); e.Message != "You have reached your monthly limit." {
		t.Errorf("429 says %q", e.Message)
	}
	if _, _, err := pushText(large, user, "x", uuid.NewString()); err != nil {
		t.Errorf("the other channel: %v", err)
	}
	quota, err := small.GetMessageQuota()
	if err != nil || quota.Type != "limited" || quota.Value != 2 {
		t.Errorf("quota %+v %v, want limited 2", quota, err)
	}
	used, err := small.GetMessageQuotaConsumption()
	if err != nil || used.TotalUsage != 2 {
		t.Errorf("consumption %+v %v, want 2: the blocked user is not counted", used, err)
	}
	if none, err := large.GetMessageQuota(); err != nil || none.Type != "none" {
		t.Errorf("quota without a limit: %+v %v", none, err)
	}
	if got := messages(t, s, sandbox.Query{To: blocked}); len(got) != 1 || got[0].Status != "blocked" {
		t.Errorf("the blocked user's message: %+v", got)
	}
	info, err := large.GetBotInfo()
	if err != nil || info.DisplayName != "Large" || info.BasicId != "@large" || !strings.HasPrefix(info.UserId, "U") {
		t.Errorf("bot info %+v %v", info, err)
	}
	if p, err := small.GetProfile(user); err != nil || p.UserId != user || p.DisplayName == "" {
		t.Errorf("profile %+v %v", p, err)
	}
	if _, err := small.GetProfile(blocked); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("profile of a blocked user: %v, want 404", err)
	}
}

func TestLINERateLimit(t *testing.T) {
	s := start(t, sandbox.Config{LINE: []sandbox.LINEChannel{{Name: "slow", Token: "t", RatePerSecond: 1}}})
	api := lineAPI(t, s, "t")
	key := uuid.NewString()
	if _, _, err := pushText(api, user, "x", uuid.NewString()); err != nil {
		t.Fatal(err)
	}
	res, _, err := pushText(api, user, "x", key)
	if err == nil || res.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("second in a second: %v, want 429", err)
	}
	if e := lineError(t, res); e.Message != "The API rate limit has been exceeded. Try again later." {
		t.Errorf("429 says %q", e.Message)
	}
}

func TestLINEMessageObjects(t *testing.T) {
	s := start(t, sandbox.Config{})
	api := lineAPI(t, s, sandbox.DefaultLINEToken)
	if _, err := api.ValidatePush(&messaging_api.ValidateMessageRequest{
		Messages: []messaging_api.MessageInterface{messaging_api.TextMessage{Text: "ok"}},
	}); err != nil {
		t.Errorf("a good message does not validate: %v", err)
	}
	req := &messaging_api.PushMessageRequest{To: user, CustomAggregationUnits: []string{}, Messages: []messaging_api.MessageInterface{
		messaging_api.TextMessage{Text: "fine"},
		messaging_api.FlexMessage{AltText: "", Contents: messaging_api.FlexBubble{}},
	}}
	res, _, err := api.PushMessageWithHttpInfo(req, uuid.NewString())
	if err == nil || res.StatusCode != http.StatusBadRequest {
		t.Fatalf("a Flex message without altText: %v, want 400", err)
	}
	e := lineError(t, res)
	if len(e.Details) == 0 || e.Details[0].Property != "messages[1].altText" {
		t.Errorf("details %+v, want messages[1].altText", e.Details)
	}
}

func TestLINEFaultAfterAcceptance(t *testing.T) {
	effects := map[string]sandbox.FaultEffect{
		"500 although accepted":  {Status: 500, Accept: true},
		"cut after acceptance":   {Drop: true, Accept: true},
		"503 before acceptance":  {Status: 503},
		"cut before acceptance":  {Drop: true},
		"429 before acceptance":  {Status: 429},
		"a page of HTML instead": {Status: 502, Body: "<html>bad gateway</html>"},
	}
	for name, effect := range effects {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{Faults: []sandbox.Fault{{
				Provider: "line", Operation: "push", Match: sandbox.FaultMatch{To: user, Count: 1}, Effect: effect,
			}}})
			api := lineAPI(t, s, sandbox.DefaultLINEToken)
			key := uuid.NewString()
			res, _, err := pushText(api, user, "x", key)
			if err == nil {
				t.Fatal("the first push succeeded")
			}
			if effect.Status != 0 && res.StatusCode != effect.Status {
				t.Errorf("status %d, want %d", res.StatusCode, effect.Status)
			}
			res, _, err = pushText(api, user, "x", key)
			if effect.Accept && (err == nil || res.StatusCode != http.StatusConflict) {
				t.Errorf("the retry: %v, want 409", err)
			}
			if !effect.Accept && err != nil {
				t.Errorf("the retry: %v, want success", err)
			}
			stats, err := s.Client().Stats(context.Background())
			if err != nil || stats.Channels["line"].Messages != 1 {
				t.Errorf("%+v %v, want one message", stats, err)
			}
		})
	}
}
