// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

const (
	channelID     = "1234567890"
	channelSecret = "0123456789abcdef0123456789abcdef"
)

// keys are a private key as PEM and as a JSON Web Key, and its public half.
type keys struct{ pem, jwk, public string }

var makeKeys = sync.OnceValue(func() keys {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	text := func(k any) string {
		out, err := json.Marshal(jose.JSONWebKey{Key: k, KeyID: "kid-1", Algorithm: "RS256", Use: "sig"})
		if err != nil {
			panic(err)
		}
		return string(out)
	}
	return keys{string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), text(key), text(&key.PublicKey)}
})

func issuing(t *testing.T) (*sandbox.Sandbox, func() int) {
	t.Helper()
	box, err := sandbox.Start(t.Context(), sandbox.Config{
		LINE: []sandbox.LINEChannel{{
			Token: "long-lived", DisplayName: "Kaeru", ChannelID: channelID, Secret: channelSecret,
			PublicKeys: map[string]json.RawMessage{"kid-1": json.RawMessage(makeKeys().public)},
		}},
		Faults: []sandbox.Fault{{ID: "count", Provider: "line", Operation: "token", Effect: sandbox.FaultEffect{Delay: sandbox.Duration(20 * time.Millisecond)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box, func() int {
		faults, err := box.Client().Faults(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			if f.ID == "count" {
				return f.Seen
			}
		}
		return -1
	}
}

func open(t *testing.T, c Config, box *sandbox.Sandbox) *Sender {
	t.Helper()
	c.Endpoint = box.URLs().LINE
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestTokensAreIssued(t *testing.T) {
	box, _ := issuing(t)
	k := makeKeys()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	wrong := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)}))
	tests := map[string]struct {
		config Config
		want   string // in what is refused
	}{
		"by the secret":                   {Config{ChannelID: channelID, ChannelSecret: channelSecret}, ""},
		"by a key in PEM":                 {Config{ChannelID: channelID, ChannelSecret: channelSecret, PrivateKey: k.pem, KeyID: "kid-1"}, ""},
		"by a JSON Web Key":               {Config{ChannelID: channelID, PrivateKey: k.jwk}, ""},
		"of version 2.1":                  {Config{ChannelID: channelID, ChannelSecret: channelSecret, PrivateKey: k.jwk, TokenKind: TokenV21}, ""},
		"with the wrong secret":           {Config{ChannelID: channelID, ChannelSecret: "guessedsecret"}, "LINE issued no channel access token: it answered 400: invalid_client"},
		"with the wrong channel":          {Config{ChannelID: "1", ChannelSecret: channelSecret}, "it answered 400: invalid_client"},
		"with another key":                {Config{ChannelID: channelID, PrivateKey: wrong, KeyID: "kid-1"}, "the signature is not valid"},
		"with a key that is not LINE's":   {Config{ChannelID: channelID, PrivateKey: k.pem, KeyID: "kid-2"}, "kid is no key of the channel's"},
		"of version 2.1 with another key": {Config{ChannelID: channelID, PrivateKey: wrong, KeyID: "kid-1", TokenKind: TokenV21}, "the signature is not valid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t, tt.config, box)
			_, err := s.Check(t.Context())
			o := s.Send(t.Context(), message(), nil)
			if tt.want == "" {
				if err != nil || o.End != channel.Sent {
					t.Errorf("%v %+v", err, o)
				}
				return
			}
			var e *channel.CheckError
			if !errors.As(err, &e) || !e.Permanent || e.Reason != channel.ReasonCredentialsInvalid || !strings.Contains(e.Message, tt.want) {
				t.Errorf("%v", err)
			}
			if o.End != channel.Retry || o.Ambiguous || o.Pause == nil || o.Reason != channel.ReasonCredentialsInvalid {
				t.Errorf("%+v", o)
			}
			channeltest.NoneOf(t, o.Detail+err.Error(), tt.config.ChannelSecret+"x", "guessedsecret", "PRIVATE KEY", userID)
		})
	}
}

func TestCredentialsThatCannotBe(t *testing.T) {
	k := makeKeys()
	for name, c := range map[string]Config{
		"an id alone":              {ChannelID: channelID},
		"a key without its id":     {ChannelID: channelID, PrivateKey: k.pem},
		"no key":                   {ChannelID: channelID, PrivateKey: "hello", KeyID: "kid-1"},
		"a public key":             {ChannelID: channelID, PrivateKey: k.public},
		"an unknown kind":          {ChannelID: channelID, PrivateKey: k.jwk, TokenKind: "v3"},
		"version 2.1 by a secret":  {ChannelID: channelID, ChannelSecret: channelSecret, TokenKind: TokenV21},
		"half a key, not repeated": {ChannelID: channelID, PrivateKey: `{"kty":"RSA","d":"s3cr3t"`, KeyID: "kid-1"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: it was taken", name)
		} else {
			channeltest.NoneOf(t, err.Error(), "s3cr3t", channelSecret)
		}
	}
}

// A token is renewed before it ends, and by one request, however many messages go out meanwhile.
func TestTokensAreRenewed(t *testing.T) {
	box, issued := issuing(t)
	now := clocktesting.NewFakePassiveClock(time.Now())
	s := open(t, Config{ChannelID: channelID, ChannelSecret: channelSecret, Clock: now}, box)
	all := func() {
		t.Helper()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
					t.Errorf("%+v", o)
				}
			})
		}
		wg.Wait()
	}
	renewed := func(want int) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for issued() != want {
			if time.Now().After(deadline) {
				t.Fatalf("%d tokens were issued, want %d", issued(), want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	all()
	renewed(1)
	now.SetTime(now.Now().Add(9 * time.Minute))
	all()
	renewed(1)
	now.SetTime(now.Now().Add(3 * time.Minute)) // three of fifteen are left
	all()
	renewed(2)
	// Where none can be had, the old one goes on being used.
	if _, err := box.Client().AddFault(t.Context(), sandbox.Fault{ID: "count", Provider: "line", Operation: "token", Effect: sandbox.FaultEffect{Status: 500}}); err != nil {
		t.Fatal(err)
	}
	now.SetTime(now.Now().Add(12 * time.Minute))
	all()
	now.SetTime(now.Now().Add(time.Hour)) // but not when it is over
	if o := s.Send(t.Context(), message(), nil); o.End != channel.Retry || o.Ambiguous || o.Pause != nil || o.Reason != channel.ReasonProviderFailing {
		t.Errorf("%+v", o)
	}
}

// LINE 401: the token is renewed once and the push repeated under its key; else the channel pauses.
func TestRefusedTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		config Config
		times  int
		want   channel.End
		issued int
	}{
		"once":         {Config{ChannelID: channelID, ChannelSecret: channelSecret}, 1, channel.Sent, 2},
		"twice":        {Config{ChannelID: channelID, ChannelSecret: channelSecret}, 2, channel.Retry, 2},
		"a fixed one":  {Config{ChannelAccessToken: "long-lived"}, 1, channel.Retry, 0},
		"a wrong one":  {Config{ChannelAccessToken: "nonsense"}, 0, channel.Retry, 0},
		"never at all": {Config{ChannelID: channelID, ChannelSecret: channelSecret}, 0, channel.Sent, 1},
	} {
		t.Run(name, func(t *testing.T) {
			box, issued := issuing(t)
			s := open(t, tt.config, box)
			if tt.times > 0 {
				if _, err := box.Client().AddFault(t.Context(), sandbox.Fault{Provider: "line", Operation: "push", Match: sandbox.FaultMatch{Count: tt.times}, Effect: sandbox.FaultEffect{Status: 401}}); err != nil {
					t.Fatal(err)
				}
			}
			m := message()
			var b begun
			o := s.Send(t.Context(), m, b.begin)
			if o.End != tt.want || b.times != 1 || o.Ambiguous {
				t.Errorf("%+v, begun %d times", o, b.times)
			}
			if tt.want == channel.Retry && (o.Pause == nil || o.Pause.Reason != channel.ReasonCredentialsInvalid || !o.Pause.Until.IsZero()) {
				t.Errorf("pause %+v", o.Pause)
			}
			if n := issued(); n != tt.issued {
				t.Errorf("%d tokens were issued, want %d", n, tt.issued)
			}
			got, err := box.Client().All(t.Context(), sandbox.Query{})
			if err != nil || tt.want == channel.Sent != (len(got) == 1) || len(got) == 1 && got[0].Key != m.Key.String() {
				t.Errorf("%d messages, %v", len(got), err)
			}
		})
	}
}

// LINE has room for 30 tokens of version 2.1; who ends gives theirs back.
func TestTokensAreGivenBack(t *testing.T) {
	box, _ := issuing(t)
	for i := range 35 {
		s, err := New(Config{Endpoint: box.URLs().LINE, ChannelID: channelID, ChannelSecret: channelSecret, PrivateKey: makeKeys().jwk, TokenKind: TokenV21})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(t.Context()); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
