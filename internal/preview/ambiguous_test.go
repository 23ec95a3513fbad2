// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"net"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const tried = `[
 {"name": "mail", "email": {"channel": "email-main", "subject": "s", "text": "t"}},
 {"name": "push", "line": {"channel": "line-main", "messages": [{"type": "text", "text": "t"}]}},
 {"name": "text", "sms": {"channel": "sms-main", "text": "t https://shop.example/a"}}]`

// TestTestsWhoseAnswerIsLost: what the provider may have is found out, or said to be unknown, and goes out once.
func TestTestsWhoseAnswerIsLost(t *testing.T) {
	cluster := testenv.ControlPlane(t)
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, crm.AddToScheme(scheme))
	kube, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	must(t, err)
	ns := testenv.Namespace(t)
	resolveAfter = []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond}
	fault := func(provider, operation string, times int, e sandbox.FaultEffect) sandbox.Fault {
		return sandbox.Fault{Provider: provider, Operation: operation, Match: sandbox.FaultMatch{Count: times}, Effect: e}
	}
	cut := sandbox.FaultEffect{Accept: true, Drop: true}
	tests := map[string]struct {
		step       string
		fault      sandbox.Fault
		want       string
		taken      int
		suppressed bool
	}{
		"LINE, taken and cut":     {step: "push", fault: fault("line", "push", 1, cut), want: "sent", taken: 1},
		"LINE, cut":               {step: "push", fault: fault("line", "push", 1, sandbox.FaultEffect{Drop: true}), want: "sent", taken: 1},
		"LINE is away":            {step: "push", fault: fault("line", "push", 0, sandbox.FaultEffect{Status: 500}), want: "unknown ProviderFailing", taken: 0},
		"LINE, too fast":          {step: "push", fault: fault("line", "push", 0, sandbox.FaultEffect{Status: 429}), want: "failed RateLimited", taken: 0},
		"Twilio, taken and cut":   {step: "text", fault: fault("twilio", "create", 1, cut), want: "sent", taken: 1},
		"Twilio, a wrong number":  {step: "text", fault: fault("twilio", "create", 0, sandbox.FaultEffect{Status: 400, Code: 21211}), want: "failed RecipientInvalid", suppressed: true},
		"SMTP, cut after the dot": {step: "mail", fault: fault("smtp", "data", 1, cut), want: "unknown OutcomeLost", taken: 1},
		"SMTP, refused":           {step: "mail", fault: fault("smtp", "rcpt", 0, sandbox.FaultEffect{Status: 451}), want: "failed RecipientUnreachable"},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		st, err := store.Open(t.Context(), dsn)
		must(t, err)
		t.Cleanup(func() { _ = st.Close() })
		must(t, st.Migrate(t.Context()))
		compiler := content.NewCompiler(content.Options{})
		t.Cleanup(func() { _ = compiler.Close() })
		granted := map[string]string{"email": "granted", "line": "granted", "sms": "granted"}
		must(t, st.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(t.Context(), ns, []store.Customer{{
				ID: "ann", Email: store.Value("ann@shop.example"), Phone: store.Value("+819012345678"), LineUserID: store.Value("U00000000000000000000000000000001"), Consents: granted,
			}}, time.Now())
			return err
		}))
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				_, err := st.Exec(t.Context(), `DELETE FROM suppressions`)
				must(t, err)
				box, err := sandbox.Start(t.Context(), sandbox.Config{Faults: []sandbox.Fault{tt.fault}})
				must(t, err)
				defer func() { _ = box.Close() }()
				s := Source{Objects: kube, Namespace: ns, Store: st, Clock: clock.RealClock{}, PublicURL: "https://crm.shop.example", Compiler: compiler}
				resources(t, cluster, ns, box)
				results, err := Test(t.Context(), s, Question{Scenario: "hello", Step: tt.step}, []string{"ann"})
				must(t, err)
				r := results[0]
				if got := strings.TrimSpace(r.State + " " + r.Reason); got != tt.want {
					t.Errorf("%s, want %s: %s", got, tt.want, r.Message)
				}
				all, err := box.Client().All(t.Context(), sandbox.Query{})
				must(t, err)
				if len(all) != tt.taken {
					t.Errorf("%d were taken, want %d", len(all), tt.taken)
				}
				var state string
				must(t, st.QueryRow(t.Context(), `SELECT state FROM test_messages WHERE id = $1`, r.Key).Scan(&state))
				if state != r.State {
					t.Errorf("it is recorded as %s", state)
				}
				var suppressed int
				must(t, st.QueryRow(t.Context(), `SELECT COUNT(*) FROM suppressions`).Scan(&suppressed))
				if (suppressed == 1) != tt.suppressed {
					t.Errorf("%d suppressions", suppressed)
				}
				if strings.Contains(r.Message, "819012345678") || strings.Contains(r.Message, "ann@") {
					t.Errorf("it tells an address: %s", r.Message)
				}
			})
		}
	})
}

// resources are the channels with the addresses of a sandbox, and a scenario.
func resources(t *testing.T, cluster *testenv.Cluster, ns string, box *sandbox.Sandbox) {
	t.Helper()
	u := box.URLs()
	host, port, err := net.SplitHostPort(u.SMTP)
	must(t, err)
	cluster.Run(t, strings.NewReplacer("$LINE", u.LINE, "$TWILIO", u.Twilio, "$HOST", host, "$PORT", port, "$STEPS", tried,
		"$SID", sandbox.DefaultTwilioSID, "$TOKEN", sandbox.DefaultTwilioToken, "$PUSH", sandbox.DefaultLINEToken,
		"$USER", sandbox.DefaultSMTPUser, "$PASSWORD", sandbox.DefaultSMTPPassword).Replace(`
apiVersion: v1
kind: Secret
metadata: {name: all}
stringData: {channelAccessToken: $PUSH, channelSecret: secret, accountSID: $SID, authToken: $TOKEN, username: $USER, password: $PASSWORD}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: line-main}
spec: {line: {credentialsSecretRef: {name: all}, endpoint: "$LINE"}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: email-main}
spec: {email: {from: news@shop.example, smtp: {host: "$HOST", port: $PORT, tls: Disabled, credentialsSecretRef: {name: all}}}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: sms-main}
spec: {sms: {twilio: {credentialsSecretRef: {name: all}, from: "+815012345678", endpoint: "$TWILIO"}}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: hello}
spec: {trigger: {event: {name: Signed Up}}, steps: $STEPS}
`), "apply", "--server-side", "--force-conflicts", "-n", ns, "-f", "-")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
