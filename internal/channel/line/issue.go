// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/line/line-bot-sdk-go/v8/linebot/channel_access_token"
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// Kinds of tokens that a private key gets.
const (
	// TokenStateless holds for 15 minutes; there may be any number of them.
	TokenStateless = "stateless"
	// TokenV21 holds for as long as it says; there may be 30 at a time.
	TokenV21 = "v2.1"
)

const (
	grantType     = "client_credentials"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	audience      = "https://api.line.me/"
	assertionLife = 10 * time.Minute
	// v21Life is how long a token of version 2.1 is asked for: long for LINE's part, and short enough that those
	// which a crash left behind do not add up to 30.
	v21Life = 6 * time.Hour
)

// issuedTo issues tokens to a channel: by its secret, or by a key of which LINE has the public half.
type issuedTo struct {
	api             channel_access_token.ChannelAccessTokenAPI
	id, secret, kid string
	key             *rsa.PrivateKey // nil where the secret counts
	v21             bool
	clock           clock.PassiveClock
	neverTell       []string
}

func newIssuer(c Config, endpoint string, transport http.RoundTripper) (*issuedTo, error) {
	a := &issuedTo{id: c.ChannelID, secret: c.ChannelSecret, kid: c.KeyID, clock: c.Clock, neverTell: []string{c.ChannelSecret}}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	switch {
	case c.PrivateKey == "" && c.ChannelSecret == "":
		return nil, errors.New("channelID alone issues no tokens: put channelSecret, or privateKey and keyID, into the Secret")
	case c.PrivateKey == "" && c.TokenKind != "" && c.TokenKind != TokenStateless:
		return nil, fmt.Errorf("tokenKind %s needs privateKey and keyID in the Secret", c.TokenKind)
	case c.TokenKind != "" && c.TokenKind != TokenStateless && c.TokenKind != TokenV21:
		return nil, errors.New("tokenKind is neither stateless nor v2.1")
	}
	if c.PrivateKey != "" {
		key, kid, err := readKey(c.PrivateKey)
		if err != nil {
			return nil, err
		}
		if a.kid == "" {
			a.kid = kid
		}
		if a.kid == "" {
			return nil, errors.New("keyID is empty: put the key id that LINE gave the public key into the Secret")
		}
		a.key, a.v21 = key, c.TokenKind == TokenV21
	}
	api, err := channel_access_token.NewChannelAccessTokenAPI(
		channel_access_token.WithHTTPClient(client), channel_access_token.WithEndpoint(endpoint))
	if err != nil {
		return nil, fmt.Errorf("making the LINE client: %w", err)
	}
	a.api = *api
	return a, nil
}

// readKey reads a private key as LINE's console gives it, a JSON Web Key, or as PEM. It repeats nothing of it.
func readKey(text string) (key *rsa.PrivateKey, kid string, err error) {
	wrong := errors.New("privateKey is no RSA key: put the private key, as a JSON Web Key or as PEM, into the Secret")
	var found any
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if found, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			if found, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
				return nil, "", wrong
			}
		}
	} else {
		var web jose.JSONWebKey
		if json.Unmarshal([]byte(text), &web) != nil {
			return nil, "", wrong
		}
		found, kid = web.Key, web.KeyID
	}
	key, ok := found.(*rsa.PrivateKey)
	if !ok {
		return nil, "", wrong
	}
	return key, kid, nil
}

func (a *issuedTo) secrets() []string { return a.neverTell }

func (a *issuedTo) issue(ctx context.Context) (string, time.Duration, error) {
	api := a.api
	call := api.WithContext(ctx)
	assertion, kind := "", ""
	if a.key != nil {
		var err error
		if assertion, err = a.assert(); err != nil {
			return "", 0, err
		}
		kind = assertionType
	}
	var res *http.Response
	var err error
	var token string
	var seconds int32
	if a.v21 {
		var got *channel_access_token.IssueChannelAccessTokenResponse
		if res, got, err = call.IssueChannelTokenByJWTWithHttpInfo(grantType, kind, assertion); got != nil { //nolint:bodyclose // the SDK has closed it
			token, seconds = got.AccessToken, got.ExpiresIn
		}
	} else {
		id, secret := a.id, a.secret
		if a.key != nil {
			id, secret = "", ""
		}
		var got *channel_access_token.IssueStatelessChannelAccessTokenResponse
		if res, got, err = call.IssueStatelessChannelTokenWithHttpInfo(grantType, kind, assertion, id, secret); got != nil { //nolint:bodyclose // the SDK has closed it
			token, seconds = got.AccessToken, got.ExpiresIn
		}
	}
	if token == "" || seconds <= 0 {
		return "", 0, a.refusal(res, err)
	}
	return token, time.Duration(seconds) * time.Second, nil
}

// refusal is why there is no token.
func (a *issuedTo) refusal(res *http.Response, err error) error {
	if res == nil {
		return &issueError{words: channel.Redact(errorText(err), "", a.neverTell...)}
	}
	var e channel_access_token.ErrorResponse
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // the SDK left it to be read again
	_ = json.Unmarshal(body, &e)                            // what is not JSON says nothing
	words := strings.Trim(e.Error+": "+e.ErrorDescription, ": ")
	if words == "" {
		words = "without a reason"
	}
	return &issueError{status: res.StatusCode, words: channel.Redact(words, "", a.neverTell...)}
}

// assert is a JWT that says who asks.
func (a *issuedTo) assert() (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: a.key, KeyID: a.kid}}, options)
	if err != nil {
		return "", errors.New("the private key cannot sign")
	}
	claims := map[string]any{"iss": a.id, "sub": a.id, "aud": audience, "exp": a.clock.Now().Add(assertionLife).Unix()}
	if a.v21 {
		claims["token_exp"] = int64(v21Life.Seconds())
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", errors.New("the private key cannot sign")
	}
	return text, nil
}

// revoke ends a token of version 2.1. The others cannot be revoked, and are soon over.
func (a *issuedTo) revoke(ctx context.Context, token string) error {
	if !a.v21 || a.secret == "" {
		return nil
	}
	api := a.api
	_, err := api.WithContext(ctx).RevokeChannelTokenByJWT(a.id, a.secret, token)
	if err != nil {
		return errors.New("revoking a channel access token: LINE did not do so")
	}
	return nil
}
