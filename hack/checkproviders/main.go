// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command checkproviders holds what Kaeru sends to LINE and Twilio against their published OpenAPI
// descriptions, and so what the sandbox's doubles answer. For each description Prism, a validating proxy,
// stands between the real senders and the doubles, and says of each request and answer what is against the
// description. LINE's webhooks are read as their description's examples have them.
//
//	checkproviders DIR
//
// DIR holds line-messaging-api.yml and twilio-api-v2010.json, and may hold
// line-channel-access-token.yml and line-webhook.yml.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "checkproviders: "+err.Error())
		os.Exit(1)
	}
}

// operation is one of ours: it makes requests, and says whether they came out as they should.
type operation struct {
	name string
	do   func(ctx context.Context, endpoint string) error
	// wrong is one that is against the description: were it accepted, nothing would be checked.
	wrong bool
}

// description is a provider's, with what is checked against it.
type description struct {
	provider, file string
	operations     []operation
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("name the directory that holds the descriptions: make check-providers OPENAPI=DIR")
	}
	installed, err := testenv.InstallNPM(ctx, filepath.Join("hack", "checkproviders"))
	if err != nil {
		return err
	}
	double, err := sandbox.Start(ctx, sandbox.Config{
		SentAfter: sandbox.Duration(10 * time.Millisecond), DeliveredAfter: sandbox.Duration(10 * time.Millisecond),
	})
	if err != nil {
		return err
	}
	defer func() { _ = double.Close() }()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = out.Flush() }()
	fmt.Fprintln(out, "PROVIDER\tOPERATION\tREQUESTS\tANSWERS\tSENT AS")
	for _, d := range []description{
		{provider: "LINE", file: "line-messaging-api.yml", operations: lineOperations()},
		{provider: "Twilio", file: "twilio-api-v2010.json", operations: twilioOperations()},
	} {
		file := filepath.Join(args[0], d.file)
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("the description of %s: %w", d.provider, err)
		}
		if err := check(ctx, out, installed, file, double.URLs().Inbox, d); err != nil {
			return err
		}
	}
	return checkWebhooks(ctx, out, filepath.Join(args[0], "line-webhook.yml"))
}

// check runs a provider's operations through Prism, and ends at the first that is refused.
func check(ctx context.Context, out *tabwriter.Writer, installed, file, upstream string, d description) error {
	p, err := startPrism(ctx, installed, file, upstream)
	if err != nil {
		return err
	}
	defer p.stop()
	w, err := watch(p.url)
	if err != nil {
		return err
	}
	defer w.close()
	for _, o := range d.operations {
		err := o.do(ctx, w.url)
		seen := w.take()
		if len(seen) == 0 && err == nil {
			err = errors.New("it made no request")
		}
		requests, answers := "accepted", "as described"
		var against []string
		for _, x := range seen {
			if len(x.request) > 0 {
				requests = "REFUSED"
			}
			switch {
			case len(x.answer) > 0:
				answers = "NOT as described"
			case x.undescribed && answers == "as described":
				answers = "status not described"
			}
			for _, v := range append(x.request, x.answer...) {
				against = append(against, fmt.Sprintf("%s %s: %s", x.method, x.path, v))
			}
		}
		if o.wrong {
			fmt.Fprintf(out, "%s\t%s\t%s\t\t%s\n", d.provider, o.name, strings.Replace(requests, "REFUSED", "refused, as it must be", 1), lines(seen))
			if requests == "accepted" {
				return fmt.Errorf("%s, %s: it is against the description, and was accepted: the check checks nothing", d.provider, o.name)
			}
			continue
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", d.provider, o.name, requests, answers, lines(seen))
		if len(against) > 0 {
			return fmt.Errorf("%s, %s:\n  %s", d.provider, o.name, join(against))
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", d.provider, o.name, err)
		}
	}
	return nil
}
