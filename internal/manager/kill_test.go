// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// recipients of the run that the manager is killed in.
const recipients = 5000

const everybody = channels + `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Segment
metadata: {name: everybody}
spec:
  match:
    all:
    - reachable: {channels: [line, email], mode: All}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: sale}
spec:
  segmentRef: {name: everybody}
  trigger: {schedule: {at: "$AT"}}
  dispatch: {shardSize: 500, parallelism: 4}
  steps:
  - name: mail
    email: {channel: email-main, subject: "Sale", text: "{{ customer.id }} https://shop.example/sale"}
  - name: push
    line: {channel: line-main, messages: [{type: text, text: "{{ customer.id }} https://shop.example/sale"}]}
`

// TestKilledMidRun kills the manager's process with SIGKILL in the middle of a run and starts it
// again: nobody gets a message twice, and nobody is left out.
func TestKilledMidRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute a store: run without -short")
	}
	binary := buildBinary(t)
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, clock.Real())
		var customers strings.Builder
		customers.WriteString("id,email,line_user_id,consent_email,consent_line\n")
		for i := range recipients {
			fmt.Fprintf(&customers, "k%04d,k%04d@shop.example,U%032x,true,true\n", i, i, i)
		}
		s.ingest("customers", customers.String())

		kill := s.process(binary)
		at := time.Now().Add(8 * time.Second).UTC().Format(time.RFC3339)
		s.apply(strings.ReplaceAll(everybody, "$AT", at))
		s.ready("scenario/sale")
		s.eventually(2*time.Minute, func() error {
			if got := s.total(); got < recipients/2 {
				return fmt.Errorf("%d messages arrived", got)
			}
			return nil
		})
		kill()
		if got := s.total(); got >= 2*recipients {
			t.Fatalf("the run was over before the manager was killed")
		}
		s.process(binary)
		s.eventually(3*time.Minute, func() error {
			got := s.scenario("sale").Status
			if got.LastRun == nil || len(got.Active) > 0 {
				return fmt.Errorf("the run is not over: %s", show(got))
			}
			return nil
		})
		s.checkRun()
	})
}

// total is how many messages have arrived.
func (s *shop) total() (n int) {
	stats, err := s.sandbox.Client().Stats(s.t.Context())
	must(s.t, err)
	for _, c := range stats.Channels {
		n += c.Messages
	}
	return n
}

// checkRun compares what the status says with what the doubles have.
func (s *shop) checkRun() {
	s.t.Helper()
	got := s.scenario("sale").Status
	mail, push := got.Steps[0], got.Steps[1]
	mails, pushes := s.perRecipient("email"), s.perRecipient("line")
	s.t.Logf("mails: %d sent, %d unknown, %d arrived; pushes: %d sent, %d arrived", mail.Sent, mail.Unknown, len(mails), push.Sent, len(pushes))
	// LINE knows a message by its retry key: what was under way is sent again, and taken once.
	if push.Sent != recipients || len(pushes) != recipients {
		s.t.Errorf("pushes: %s", show(push))
	}
	// Nobody can ask a mail server what it took: the few that were under way are shown as unknown.
	if mail.Sent+mail.Unknown != recipients || mail.Unknown > 64 || int64(len(mails)) < mail.Sent || len(mails) > recipients {
		s.t.Errorf("mails: %s", show(mail))
	}
	if run := got.LastRun; run.Planned != 2*recipients || run.Sent+run.Unknown != 2*recipients {
		s.t.Errorf("run: %s", show(run))
	}
	var job batchv1.Job
	must(s.t, s.client.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: got.LastRun.Job}, &job))
	if job.Status.Succeeded != 20 || *job.Spec.Completions != 20 {
		s.t.Errorf("the Job is not complete: %s", show(job.Status))
	}
}

// perRecipient counts who got a message, and fails for who got two.
func (s *shop) perRecipient(channel string) map[string]int {
	s.t.Helper()
	out := map[string]int{}
	for _, m := range s.arrived(channel) {
		if out[m.To]++; out[m.To] == 2 {
			s.t.Errorf("%s got two messages on %s", m.To, channel)
		}
	}
	return out
}

func buildBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "kaeru")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/kaeru-dev/kaeru/cmd/kaeru").CombinedOutput()
	if err != nil {
		t.Fatalf("building the binary: %v\n%s", err, out)
	}
	return binary
}

// process runs the manager as a process of its own, until kill or the end of the test.
func (s *shop) process(binary string) (kill func()) {
	s.t.Helper()
	log, err := os.CreateTemp(s.t.TempDir(), "manager-*.log")
	must(s.t, err)
	cmd := exec.CommandContext(context.Background(), binary, "manager", "--store", s.dsn, "--gateway-address", s.public,
		"--metrics-address", "0", "--health-address", "0", "--log-format", "console")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig)
	cmd.Stdout, cmd.Stderr = log, log
	must(s.t, cmd.Start())
	ended := false
	kill = func() {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Kill() // SIGKILL; an error means that it is gone already
		_ = cmd.Wait()
	}
	s.t.Cleanup(func() {
		kill()
		if text, err := os.ReadFile(log.Name()); err == nil && s.t.Failed() {
			s.t.Logf("the manager said:\n%s", text)
		}
	})
	return kill
}
