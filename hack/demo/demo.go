// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/mattn/go-isatty"
	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const namespace = "shop"

// Business time is the demo's own, so that every run is the same. It opens at noon on a Monday, and
// stays close to that until everything is in place; the days that count begin on the Tuesday.
var (
	tokyo    = time.FixedZone("JST", 9*60*60)
	opening  = time.Date(2026, 11, 30, 12, 0, 0, 0, tokyo)
	firstDay = time.Date(2026, 12, 1, 0, 0, 0, 0, tokyo)
	// lastHour comes when all that was sent is answered, and well before the sixth run.
	lastHour = firstDay.Add(5*24*time.Hour + 5*time.Hour + 30*time.Minute)
)

// runs is how often the daily scenario runs, at ten.
const runs = 5

func slot(run int) time.Time { return firstDay.AddDate(0, 0, run).Add(10 * time.Hour) }

// speeds are business time to real time: an hour a second, or less where the machine is busy with
// other things. A run must be sent within the day, or its messages are not worth sending any more.
var speeds = []int{3600, 1800, 900}

type demo struct {
	root, dir, binary string
	cluster           *testenv.Cluster
	web               *website
	sandbox, manager  *process
	shop              *shop
	clock             *clock.Scaled
	people            *people
	api               *sandbox.Client
	// starting is how long the manager took to be there, and ready how long the samples took then.
	starting, ready time.Duration

	inbox, smtp, gateway, metrics, health string
}

// newDemo finds the repository and makes a directory for what the demo writes.
func newDemo() (*demo, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	d := &demo{root: root, binary: filepath.Join(root, "bin", "kaeru")}
	for _, file := range []string{d.binary, filepath.Join(root, "config", "samples", "demo")} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("%w: run `make demo` in the repository's own directory", err)
		}
	}
	addresses, err := freeAddresses(5)
	if err != nil {
		return nil, err
	}
	d.inbox, d.smtp, d.gateway, d.metrics, d.health = addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
	if d.dir, err = os.MkdirTemp("", "kaeru-demo-"); err != nil {
		return nil, fmt.Errorf("make a directory for the demo: %w", err)
	}
	// Where a link leads, a kustomization's relative path would not.
	if d.dir, err = filepath.EvalSymlinks(d.dir); err != nil {
		return nil, fmt.Errorf("make a directory for the demo: %w", err)
	}
	return d, nil
}

// close ends everything that was started. What was written stays where something went wrong.
func (d *demo) close(failed error) error {
	var errs []error
	errs = append(errs, d.manager.stop(), d.sandbox.stop())
	if d.web != nil {
		errs = append(errs, d.web.server.Close())
	}
	if d.cluster != nil {
		errs = append(errs, d.cluster.Stop())
	}
	if failed != nil && !errors.Is(failed, context.Canceled) {
		fmt.Fprintf(os.Stderr, "\nThe logs and the database are in %s\n", d.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

func (d *demo) startCluster(ctx context.Context) (err error) {
	d.cluster, err = testenv.StartControlPlane(ctx, testenv.Options{
		Dir: filepath.Join(d.dir, "cluster"), CRDs: []string{filepath.Join(d.root, "config", "crd", "bases")},
	})
	if err != nil {
		return err
	}
	say("kube-apiserver at %s", d.cluster.Config.Host)
	return nil
}

// tempo sets business time and how fast it passes from now on. Programs that read it are to be started again.
func (d *demo) tempo(business time.Time, factor int) (err error) {
	d.clock, err = clock.NewScaled(business, time.Now(), factor)
	return err
}

func (d *demo) startSandbox(ctx context.Context) (err error) {
	if d.web, err = startWebsite(); err != nil {
		return err
	}
	d.shop = newShop(d.web.url, opening)
	d.web.stock(d.shop.products)
	if err := d.tempo(opening, 1); err != nil {
		return err
	}
	gone, err := d.configureSandbox()
	if err != nil {
		return err
	}
	if err := d.runSandbox(ctx); err != nil {
		return err
	}
	say("inbox at http://%s/ (%d addresses lead nowhere: mailboxes that are gone, landlines, accounts that block the shop)", d.inbox, gone)
	return nil
}

// configureSandbox writes down what the account is called and where nobody is at home.
func (d *demo) configureSandbox() (gone int, err error) {
	c := sandbox.Config{LINE: []sandbox.LINEChannel{{
		Name: "line-main", Token: sandbox.DefaultLINEToken, DisplayName: "蛙屋", BasicID: sandbox.DefaultLINEBasicID,
	}}}
	for _, who := range d.shop.customers {
		for _, channel := range channels {
			if state := who.gone[channel]; state != "" {
				c.Recipients = append(c.Recipients, sandbox.Recipient{Channel: channel, ID: who.address[channel], State: state})
			}
		}
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("write the sandbox's configuration: %w", err)
	}
	if err := os.WriteFile(d.sandboxConfig(), text, 0o600); err != nil {
		return 0, fmt.Errorf("write the sandbox's configuration: %w", err)
	}
	return len(c.Recipients), nil
}

func (d *demo) sandboxConfig() string { return filepath.Join(d.dir, "sandbox.yaml") }

func (d *demo) runSandbox(ctx context.Context) (err error) {
	d.sandbox, err = start("sandbox", d.dir, filepath.Join(d.dir, "cluster"), nil, d.binary, "sandbox",
		"--config", d.sandboxConfig(), "--http-address", d.inbox, "--smtp-address", d.smtp, "--journal", filepath.Join(d.dir, "sandbox.journal"),
		"--time-zone", "Asia/Tokyo", "--clock", d.clock.String())
	if err != nil {
		return err
	}
	d.api = sandbox.NewClient("http://" + d.inbox)
	return d.sandbox.answers(ctx, "http://"+d.inbox+"/api/stats")
}

func (d *demo) store() string {
	return "sqlite://" + filepath.ToSlash(filepath.Join(d.dir, "kaeru.db"))
}

func (d *demo) importShop(ctx context.Context) error {
	for _, file := range []struct {
		kind string
		text []byte
	}{
		{"products", d.shop.productsCSV()},
		{"customers", d.shop.customersCSV()},
		{"orders", ordersCSV(d.shop.orders)},
	} {
		path := filepath.Join(d.dir, file.kind+".csv")
		if err := os.WriteFile(path, file.text, 0o600); err != nil {
			return fmt.Errorf("write the shop's %s: %w", file.kind, err)
		}
		out, err := d.load(ctx, file.kind, path, nil)
		if err != nil {
			return err
		}
		say("kaeru import -n %s %s %s", namespace, file.kind, filepath.Base(path))
		say("  %s", out)
	}
	return nil
}

// load runs kaeru import and returns what it reports.
func (d *demo) load(ctx context.Context, kind, path string, stdin []byte) (string, error) {
	cmd := exec.CommandContext(ctx, d.binary, "import", "-n", namespace, "--store", d.store(), "--clock", d.clock.String(),
		"--refused", filepath.Join(d.dir, kind+".refused.csv"), kind, path)
	var out, progress bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &progress
	if stdin == nil && isatty.IsTerminal(os.Stderr.Fd()) {
		cmd.Stderr = os.Stderr // its progress bar
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kaeru import %s: %w\n%s%s", kind, err, out.String(), progress.String())
	}
	return strings.TrimSpace(out.String()), nil
}

func (d *demo) startManager(ctx context.Context) (err error) {
	began := time.Now()
	if err := d.runManager(ctx); err != nil {
		return err
	}
	d.starting = time.Since(began)
	say("gateway at http://%s, metrics at http://%s/metrics", d.gateway, d.metrics)
	return nil
}

func (d *demo) runManager(ctx context.Context) (err error) {
	d.manager, err = start("manager", d.dir, filepath.Join(d.dir, "cluster"), []string{"KUBECONFIG=" + d.cluster.Kubeconfig}, d.binary, "manager",
		"--store", d.store(), "--gateway-address", d.gateway, "--public-url", "http://"+d.gateway,
		"--metrics-address", d.metrics, "--health-address", d.health, "--clock", d.clock.String())
	if err != nil {
		return err
	}
	return d.manager.answers(ctx, "http://"+d.health+"/readyz")
}

// overlay puts this run's ports over config/samples/demo.
var overlay = template.Must(template.New("").Parse(`# Written by make demo: config/samples/demo with the ports of this run.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- {{.Samples}}
patches:
- patch: '{"apiVersion": "crm.kaeru.dev/v1alpha1", "kind": "ChannelConfig", "metadata": {"name": "line-main", "namespace": "shop"}, "spec": {"line": {"endpoint": "http://{{.HTTP}}"}}}'
- patch: '{"apiVersion": "crm.kaeru.dev/v1alpha1", "kind": "ChannelConfig", "metadata": {"name": "sms-main", "namespace": "shop"}, "spec": {"sms": {"twilio": {"endpoint": "http://{{.HTTP}}"}}}}'
- patch: '{"apiVersion": "crm.kaeru.dev/v1alpha1", "kind": "ChannelConfig", "metadata": {"name": "email-main", "namespace": "shop"}, "spec": {"email": {"smtp": {"host": "{{.Host}}", "port": {{.Port}}}}}}'
- patch: '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kaeru-shop", "namespace": "shop"}, "data": {"url": "{{.Web}}"}}'
`))

func (d *demo) overlayDir() string { return filepath.Join(d.dir, "samples") }

func (d *demo) apply(ctx context.Context) error {
	root, err := filepath.EvalSymlinks(filepath.Join(d.root, "config", "samples", "demo"))
	if err != nil {
		return fmt.Errorf("find the samples: %w", err)
	}
	samples, err := filepath.Rel(d.overlayDir(), root)
	if err != nil {
		return fmt.Errorf("find the samples: %w", err)
	}
	host, port, _ := strings.Cut(d.smtp, ":")
	var text bytes.Buffer
	if err := overlay.Execute(&text, map[string]string{
		"Samples": filepath.ToSlash(samples), "HTTP": d.inbox, "Host": host, "Port": port, "Web": d.web.url,
	}); err != nil {
		return fmt.Errorf("write the samples' ports: %w", err)
	}
	if err := os.MkdirAll(d.overlayDir(), 0o700); err != nil {
		return fmt.Errorf("write the samples' ports: %w", err)
	}
	if err := os.WriteFile(filepath.Join(d.overlayDir(), "kustomization.yaml"), text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the samples' ports: %w", err)
	}
	began := time.Now()
	out, err := d.kubectl(ctx, "apply", "--server-side", "-k", d.overlayDir())
	if err != nil {
		return err
	}
	show(strings.ReplaceAll(out, " serverside-applied", ""))
	out, err = d.kubectl(ctx, "wait", "--for=condition=Ready", "-n", namespace, "channelconfigs,segments,scenarios", "--all", "--timeout=90s")
	if err != nil {
		said, _ := d.kubectl(ctx, "get", "channelconfigs,segments,scenarios", "-n", namespace)
		return fmt.Errorf("%w\n%s", err, said)
	}
	d.ready = time.Since(began)
	say("kubectl wait --for=condition=Ready: all %d are", strings.Count(out, "condition met"))
	return nil
}

func (d *demo) kubectl(ctx context.Context, args ...string) (string, error) {
	cmd := d.cluster.Command(ctx, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("kubectl %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), problems.String())
	}
	return out.String(), nil
}

func say(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

func show(text string) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		fmt.Println("   " + line)
	}
}
