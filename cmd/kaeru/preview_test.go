// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kaeru-dev/kaeru/internal/manager"
	"github.com/kaeru-dev/kaeru/internal/preview"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const rendered = `apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: email-main}
spec:
  email:
    from: Kaeru Shop <news@shop.example>
    smtp: {host: "$HOST", port: $PORT, tls: Disabled, credentialsSecretRef: {name: smtp}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: hello}
spec:
  trigger: {event: {name: Signed Up}}
  steps:
  - name: mail
    email: {channel: email-main, subject: 'Hello {{ customer.name }}', text: 'Plan {{ entry.plan | default: "none" }}: {{ links.unsubscribe }}'}
  - name: bye
    exit: {}
`

// runPreview runs one of the two commands.
func runPreview(t *testing.T, cluster func() (client.Reader, error), stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := renderCommand()
	if args[0] == "send-test" {
		cmd = sendTestCommandIn(cluster)
	}
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetArgs(args[1:])
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRenderCommand(t *testing.T) {
	t.Setenv(storeVariable, "")
	manifests := strings.NewReplacer("$HOST", "smtp.shop.example", "$PORT", "25").Replace(rendered)
	ann := written(t, "ann.yaml", "{id: ann, email: ann@shop.example, name: Ann, consent_email: true}")
	got, err := runPreview(t, nil, manifests, "render", "-n", "shop", "-f", "-", "hello", "mail", "--customer", ann, "--entry", `{"plan": "yearly"}`)
	want := `SCENARIO   hello, revision `
	if err != nil || !strings.HasPrefix(got, want) || !strings.Contains(got, "\nSENT       yes, if it were due now\nSUBJECT    Hello Ann\n\nPlan yearly: https://links.example/u/") {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err = runPreview(t, nil, manifests, "render", "-n", "shop", "-f", "-", "hello", "mail", "--customer", ann, "-o", "eml"); err != nil || !strings.Contains(got, "To: <ann@shop.example>") {
		t.Errorf("%v\n%s", err, got)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no namespace":   {[]string{"-f", "-", "hello", "mail", "ann"}, "write -n NAMESPACE"},
		"no form":        {[]string{"-n", "shop", "-o", "pdf", "hello", "mail", "ann"}, `--output "pdf": write one of text, json, html, eml`},
		"no customer":    {[]string{"-n", "shop", "-f", "-", "hello", "mail"}, "no customer: write the id"},
		"two customers":  {[]string{"-n", "shop", "-f", "-", "hello", "mail", "ann", "--customer", ann}, "write one of them"},
		"no store":       {[]string{"-n", "shop", "-f", "-", "hello", "mail", "ann"}, "--store is not set"},
		"no entry":       {[]string{"-n", "shop", "-f", "-", "hello", "mail", "--customer", ann, "--entry", "[1]"}, "--entry is no JSON object"},
		"no file":        {[]string{"-n", "shop", "-f", "/nowhere", "hello", "mail", "--customer", ann}, "/nowhere"},
		"nothing to see": {[]string{"-n", "shop", "-f", "-", "hello", "bye", "--customer", ann}, `step "bye" sends no message`},
	} {
		if got, err := runPreview(t, nil, manifests, append([]string{"render"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("%s: %v, want %q, and printed %q", name, err, c.want, got)
		}
	}
}

// TestSendTestCommand sends through the API server's Secret and the double of SMTP.
func TestSendTestCommand(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	kube, err := client.New(cluster.Config, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	reader := func() (client.Reader, error) { return kube, nil }
	ns := testenv.Namespace(t)
	box, err := sandbox.Start(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	host, port, err := net.SplitHostPort(box.URLs().SMTP)
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "smtp"}, StringData: map[string]string{"username": sandbox.DefaultSMTPUser, "password": sandbox.DefaultSMTPPassword}}
	if err := kube.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	cluster.Run(t, strings.NewReplacer("$HOST", host, "$PORT", port).Replace(rendered), "apply", "--server-side", "-n", ns, "-f", "-")
	dsn := "sqlite://" + filepath.Join(t.TempDir(), "kaeru.db")
	st, err := openStore(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	err = st.Tx(t.Context(), func(tx *store.Tx) error {
		granted := map[string]string{"email": store.ConsentGranted}
		_, err := tx.UpsertCustomers(t.Context(), ns, []store.Customer{
			{ID: "staff-1", Email: store.Value("one@shop.example"), Attributes: map[string]json.RawMessage{"name": json.RawMessage(`"Ann"`)}, Consents: granted},
			{ID: "staff-2", Email: store.Value("two@shop.example"), Consents: granted},
		}, testNow)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	send := func(args ...string) (string, error) {
		t.Helper()
		return runPreview(t, reader, "", append([]string{"send-test", "-n", ns, "--store", dsn, "--public-url", "https://crm.shop.example", "hello", "mail"}, args...)...)
	}
	got, err := send("--to", "staff-1")
	if err != nil || !strings.Contains(got, "staff-1    o…@shop.example   email-main   sent") {
		t.Errorf("%v\n%s", err, got)
	}
	// One lacks a name: the table tells, and so does the exit code.
	got, err = send("--to", "staff-2,staff-1,staff-1", "-o", "json")
	var results []preview.Result
	if err == nil || err.Error() != "1 of 2 messages were not sent" || json.Unmarshal([]byte(got), &results) != nil || len(results) != 2 ||
		results[0].State != "sent" || results[0].Key == "" || results[1].Reason != "MissingValue" || !strings.Contains(results[1].Message, "customer.name has no value") {
		t.Errorf("%v\n%s", err, got)
	}
	all, err := box.Client().All(t.Context(), sandbox.Query{})
	if err != nil || len(all) != 2 || all[0].Subject != "[TEST] Hello Ann" || all[0].Key == all[1].Key {
		t.Errorf("%v, %+v", err, all)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nobody":        {nil, "--to is not set"},
		"too many":      {[]string{"--to", strings.Repeat("x,", 10) + "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u"}, "a test goes to 20 customers at most"},
		"an unknown":    {[]string{"--to", "staff-1,who"}, `customer "who" is not known`},
		"no public URL": {[]string{"--to", "staff-1", "--public-url", ""}, "--public-url is not set"},
		"a form":        {[]string{"--to", "staff-1", "-o", "eml"}, "write one of table, json"},
	} {
		if got, err := send(c.args...); err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("%s: %v, want %q, and printed %q", name, err, c.want, got)
		}
	}
}
