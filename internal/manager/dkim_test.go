// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const signing = `
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: email-signed}
spec:
  email:
    from: "Kaeru Shop <news@shop.example>"
    smtp: {host: "$SMTP_HOST", port: $SMTP_PORT, tls: Disabled, credentialsSecretRef: {name: smtp}}
    dkim: {domain: $DOMAIN, selector: kaeru1, privateKeySecretRef: {name: dkim, key: tls.key}}
`

// zone is what DNS says, which changes.
type zone struct {
	mu      sync.Mutex
	records map[string]string
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if r, ok := z.records[name]; ok {
		return []string{r}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z *zone) publish(name, record string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[name] = record
}

func (s *shop) channel(name string) *crm.ChannelConfig {
	s.t.Helper()
	var out crm.ChannelConfig
	must(s.t, s.client.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: name}, &out))
	return &out
}

// says waits for a condition with these words.
func (s *shop) says(kind, reason, words string) {
	s.t.Helper()
	s.eventually(30*time.Second, func() error {
		c := meta.FindStatusCondition(s.channel("email-signed").Status.Conditions, kind)
		if c == nil || c.Reason != reason || !strings.Contains(c.Message, words) {
			return fmt.Errorf("%s is %s, want %s: …%s…", kind, show(c), reason, words)
		}
		return nil
	})
}

func keyOf(t *testing.T, bits int) (secret, record string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: dkim}\ndata: {tls.key: " + base64.StdEncoding.EncodeToString(text) + "}\n",
		"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
}

// TestSigningKeys goes from a key that is not there to one that recipients find: each time the channel
// says in one sentence what is missing.
func TestSigningKeys(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	dns := &zone{records: map[string]string{}}
	s.resolver = dns
	s.start()
	s.apply(channels + strings.Replace(signing, "$DOMAIN", "relay.example", 1))
	s.says(crm.ConditionStalled, crm.ReasonSecretNotFound, `spec.email.dkim.privateKeySecretRef: Secret "dkim" does not exist`)
	s.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: dkim}\nstringData: {other: x}\n")
	s.says(crm.ConditionStalled, crm.ReasonSecretInvalid, `Secret "dkim" has no key "tls.key"`)
	s.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: dkim}\nstringData: {tls.key: my-secret-words}\n")
	s.says(crm.ConditionStalled, crm.ReasonSecretInvalid, `key "tls.key" of Secret "dkim": the key is not in PEM`)
	if strings.Contains(show(s.channel("email-signed").Status), "my-secret-words") {
		t.Error("the status holds what the Secret holds")
	}
	weak, weakRecord := keyOf(t, 1024)
	s.apply(weak)
	s.says(crm.ConditionStalled, crm.ReasonInvalidSpec, "spec.email: dkim.domain relay.example and the domain of from, shop.example, do not belong together")

	s.apply(strings.Replace(signing, "$DOMAIN", "shop.example", 1))
	s.ready("channelconfig/email-signed")
	s.says(crm.ConditionDKIMVerified, crm.ReasonDKIMRecordWrong, "DNS has no TXT record at kaeru1._domainkey.shop.example: publish "+weakRecord)
	again := func() {
		t.Helper()
		s.cluster.Run(t, "", "annotate", "--overwrite", "-n", s.ns, "channelconfig/email-signed", crm.AnnotationRequestedAt+"="+time.Now().Format(time.RFC3339Nano))
	}
	dns.publish("kaeru1._domainkey.shop.example.", weakRecord)
	again()
	s.says(crm.ConditionDKIMVerified, crm.ReasonVerified, "is this channel's; the RSA key has 1024 bits")
	good, goodRecord := keyOf(t, 2048)
	s.apply(good) // a Secret that changes is seen by itself
	s.says(crm.ConditionDKIMVerified, crm.ReasonDKIMRecordWrong, "holds another key than the Secret: publish "+goodRecord)
	dns.publish("kaeru1._domainkey.shop.example.", goodRecord)
	again()
	s.says(crm.ConditionDKIMVerified, crm.ReasonVerified, "is this channel's")
	s.apply(strings.Replace(signing, "    dkim: {domain: $DOMAIN, selector: kaeru1, privateKeySecretRef: {name: dkim, key: tls.key}}\n", "", 1))
	s.eventually(30*time.Second, func() error {
		if c := meta.FindStatusCondition(s.channel("email-signed").Status.Conditions, crm.ConditionDKIMVerified); c != nil {
			return fmt.Errorf("a channel that signs nothing says %s", show(c))
		}
		return nil
	})
}
