// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// The two Scenarios: one lets everybody in at a moment, the other who puts something in the cart. What is sent
// says which message it is, so that what arrived can be told apart without asking the sender.
const (
	secrets = `apiVersion: v1
kind: Secret
metadata: {name: line}
stringData: {channelAccessToken: ` + sandbox.DefaultLINEToken + `, channelSecret: secret, touched: "$TOUCHED"}
---
apiVersion: v1
kind: Secret
metadata: {name: twilio}
stringData: {accountSID: ` + sandbox.DefaultTwilioSID + `, authToken: ` + sandbox.DefaultTwilioToken + `, touched: "$TOUCHED"}
---
apiVersion: v1
kind: Secret
metadata: {name: smtp}
stringData: {username: ` + sandbox.DefaultSMTPUser + `, password: ` + sandbox.DefaultSMTPPassword + `, touched: "$TOUCHED"}
`
	channels = `---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: line-main}
spec:
  line: {credentialsSecretRef: {name: line}, endpoint: "http://$HTTP"}
  rateLimit: {perSecond: $FAST}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: email-main}
spec:
  email:
    from: "Kaeru Shop <news@shop.example>"
    smtp: {host: "$SMTP_HOST", port: $SMTP_PORT, tls: Disabled, credentialsSecretRef: {name: smtp}}
  rateLimit: {perSecond: $SLOW}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: sms-main}
spec:
  sms: {twilio: {credentialsSecretRef: {name: twilio}, from: "+815012345678", endpoint: "http://$HTTP"}}
  rateLimit: {perSecond: $SLOW}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kaeru-shop}
data: {name: Kaeru Shop, url: "https://shop.example", timeZone: Asia/Tokyo, currency: JPY}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Segment
metadata: {name: everybody}
spec:
  match:
    all:
    - reachable: {channels: [line, email, sms], mode: All}
`
	sale = `---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: sale}
spec:
  segmentRef: {name: everybody}
  trigger: {schedule: {at: "$AT", startingDeadline: 6h}}
  dispatch: {shardSize: 40, parallelism: 4}
  steps:
  - name: mail
    email: {channel: email-main, subject: "Sale", text: "chaos sale mail {{ customer.id }} https://shop.example/sale ($TEXT)"}
  - name: push
    wait: {for: 4s}
    line: {channel: line-main, messages: [{type: text, text: "chaos sale push {{ customer.id }} ($TEXT)"}]}
`
	cart = `---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: cart}
spec:
  trigger: {event: {name: Product Added, startingDeadline: 6h}}
  dispatch: {shardSize: 40, parallelism: 4}
  steps:
  - name: text
    sms: {channel: sms-main, text: "chaos cart text {{ customer.id }} https://shop.example/cart"}
  - name: remind
    wait: {for: 3s}
    line: {channel: line-main, messages: [{type: text, text: "chaos cart remind {{ customer.id }}"}]}
`
)

// steps are the steps of each Scenario, in the order of the way.
var steps = map[string][]string{"sale": {"mail", "push"}, "cart": {"text", "remind"}}

func (r *round) fill(manifest string) string {
	host, port, _ := net.SplitHostPort(r.doubles.smtp.address())
	// What is sent takes about as long as things fail.
	slow := max(2, int(float64(r.lane.customers)/r.lane.during.Seconds()))
	return strings.NewReplacer("$HTTP", r.doubles.http.address(), "$SMTP_HOST", host, "$SMTP_PORT", port,
		"$AT", r.slot.UTC().Format(time.RFC3339), "$TEXT", r.text, "$TOUCHED", r.touched,
		"$SLOW", fmt.Sprint(slow), "$FAST", fmt.Sprint(2*slow)).Replace(manifest)
}

// kubectl is tried until the API server is there.
func (r *round) kubectl(ctx context.Context, stdin string, args ...string) error {
	for {
		cmd := r.lane.cluster.Command(ctx, append([]string{"-n", r.ns, "--request-timeout=10s"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (r *round) apply(ctx context.Context, manifest string) error {
	return r.kubectl(ctx, r.fill(manifest), "apply", "--server-side", "--force-conflicts", "-f", "-")
}

// importFile loads rows, again and again until the store takes them: that changes nothing where it had.
func (r *round) importFile(ctx context.Context, kind, name, rows string) error {
	file := filepath.Join(r.dir, name)
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		return err
	}
	for {
		cmd := exec.CommandContext(ctx, r.lane.binary, "import", "--store", r.dsn, "-n", r.ns, kind, file)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), fmt.Errorf("import of %s: %w: %s", kind, err, out))
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func customerID(i int) string { return fmt.Sprintf("c%04d", i) }

func (r *round) importCustomers(ctx context.Context) error {
	var rows bytes.Buffer
	fmt.Fprintln(&rows, "id,email,phone,line_user_id,consent_email,consent_line,consent_sms")
	for i := range r.lane.customers {
		id := customerID(i)
		fmt.Fprintf(&rows, "%s,%s@shop.example,+8190%08d,U%032x,true,true,true\n", id, id, i, i)
	}
	return r.importFile(ctx, "customers", "customers.csv", rows.String())
}

// importEvents lets everybody put something in the cart, a part of them at a time.
func (r *round) importEvents(ctx context.Context) error {
	const parts = 5
	for part := range parts {
		var rows bytes.Buffer
		fmt.Fprintln(&rows, "id,customer_id,name,occurred_at")
		for i := part; i < r.lane.customers; i += parts {
			fmt.Fprintf(&rows, "e%04d,%s,Product Added,%s\n", i, customerID(i), time.Now().UTC().Format(time.RFC3339Nano))
		}
		if err := r.importFile(ctx, "events", fmt.Sprintf("events-%d.csv", part), rows.String()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.lane.during / (2 * parts)):
		}
	}
	return nil
}
