// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/manager"
	"github.com/kaeru-dev/kaeru/internal/preview"
)

// previewing is what render and send-test have in common.
type previewing struct {
	namespace, dsn, publicURL, clockText, output, entry string
	files                                               []string
	question                                            preview.Question
	// cluster gives the resources of the cluster that kubeconfig names.
	cluster func() (client.Reader, error)
}

func (p *previewing) flags(cmd *cobra.Command, outputs string) {
	f := cmd.Flags()
	f.StringVarP(&p.namespace, "namespace", "n", "", "namespace of the shop")
	f.StringVar(&p.dsn, "store", os.Getenv(storeVariable), "DSN of the database ($"+storeVariable+")")
	f.StringVar(&p.publicURL, "public-url", os.Getenv("KAERU_PUBLIC_URL"), "how customers reach the gateway, as the manager has it ($KAERU_PUBLIC_URL)")
	f.StringVarP(&p.output, "output", "o", strings.Split(outputs, ",")[0], strings.ReplaceAll(outputs, ",", ", "))
	f.StringVar(&p.question.Variant, "variant", "", "the variant to make (default: the customer's own)")
	f.BoolVar(&p.question.Fallback, "fallback", false, "make what goes out where the step's own message cannot")
	f.StringVar(&p.entry, "entry", "", "JSON object to read as entry, such as the properties of an event (default: what let the customer in last)")
	f.StringVar(&p.clockText, "clock", os.Getenv(clockVariable), "for demos: business time ($"+clockVariable+")")
}

func (p *previewing) check(outputs string) error {
	if p.namespace == "" {
		return errors.New("--namespace is not set: a namespace is a shop, write -n NAMESPACE")
	}
	if !slices.Contains(strings.Split(outputs, ","), p.output) {
		return fmt.Errorf("--output %q: write one of %s", p.output, strings.ReplaceAll(outputs, ",", ", "))
	}
	if p.entry != "" {
		if err := json.Unmarshal([]byte(p.entry), &p.question.Entry); err != nil || p.question.Entry == nil {
			return errors.New(`--entry is no JSON object: write it like {"product_id": "p-1"}`)
		}
	}
	return nil
}

// source reads what was named on the command line. close ends it.
func (p *previewing) source(cmd *cobra.Command, needsStore bool) (s preview.Source, done func() error, err error) {
	s = preview.Source{Namespace: p.namespace, PublicURL: p.publicURL, Compiler: content.NewCompiler(content.Options{})}
	done = func() error {
		err := s.Compiler.Close()
		if s.Store != nil {
			err = errors.Join(err, s.Store.Close())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, done())
		}
	}()
	if s.Clock, err = clock.Parse(p.clockText); err != nil {
		return s, done, fmt.Errorf("--clock: %w", err)
	}
	if len(p.files) > 0 {
		s.Objects, err = preview.ReadFiles(p.files, p.namespace, cmd.InOrStdin())
	} else {
		s.Objects, err = p.cluster()
	}
	if err == nil && (p.dsn != "" || needsStore) {
		s.Store, err = openStore(cmd.Context(), p.dsn)
	}
	return s, done, err
}

// kubeconfig reads resources as the user whom kubeconfig names may.
func kubeconfig() (client.Reader, error) {
	kube, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w; set KUBECONFIG, or read files with -f", err)
	}
	c, err := client.New(kube, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return c, nil
}

func renderCommand() *cobra.Command {
	const outputs = "text,json,html,eml"
	p := &previewing{cluster: kubeconfig}
	var customer string
	var open bool
	cmd := &cobra.Command{
		Use:   "render -n NAMESPACE SCENARIO STEP [CUSTOMER]",
		Short: "Show the message of a step as a customer would get it, and whether it would go out",
		Long: `Show the message of a step as a customer would get it, and whether it would go out.

Resources come from the cluster, or with -f from files, so that a pull request can be looked at without one. The
customer comes from the store, or with --customer from a file. Nothing is written, no coupon is taken, and the
message's links neither count nor unsubscribe.`,
		Example: `  kaeru render -n shop second-purchase hello c-1042
  kaeru render -n shop second-purchase hello c-1042 --open
  kustomize build . | kaeru render -n shop -f - second-purchase hello --customer hanako.yaml -o html`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p.question.Scenario, p.question.Step = args[0], args[1]
			if err := p.check(outputs); err != nil {
				return err
			}
			switch {
			case len(args) == 3 && customer != "":
				return errors.New("CUSTOMER and --customer are two customers: write one of them")
			case len(args) == 3:
				p.question.Customer = args[2]
			case customer == "":
				return errors.New("no customer: write the id of one in the store, or describe one in a file with --customer")
			default:
				if p.question.Recipient, err = preview.ReadCustomer(customer); err != nil {
					return err
				}
			}
			if p.publicURL == "" {
				p.publicURL = preview.DefaultPublicURL
			}
			s, done, err := p.source(cmd, customer == "")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			made, err := preview.Render(cmd.Context(), s, p.question)
			if err != nil {
				return err
			}
			if open {
				return openInBrowser(cmd, made)
			}
			return made.Write(cmd.OutOrStdout(), p.output)
		},
	}
	p.flags(cmd, outputs)
	cmd.Flags().StringSliceVarP(&p.files, "filename", "f", nil, "file or directory of manifests to read instead of the cluster; - is standard input")
	cmd.Flags().StringVar(&customer, "customer", "", "JSON or YAML file that describes a customer, with the names that import has")
	cmd.Flags().BoolVar(&open, "open", false, "open the message in a browser")
	return cmd
}

// openInBrowser writes the message to a file that only its user may read, and opens it.
func openInBrowser(cmd *cobra.Command, made *preview.Preview) error {
	file, err := os.CreateTemp("", "kaeru-*.html")
	if err != nil {
		return fmt.Errorf("--open: %w", err)
	}
	if _, err := file.WriteString(made.HTML()); err != nil {
		return errors.Join(fmt.Errorf("--open: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("--open: %w", err)
	}
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	fmt.Fprintln(cmd.OutOrStdout(), file.Name())
	if err := exec.CommandContext(cmd.Context(), program, file.Name()).Run(); err != nil { //nolint:gosec // a name that was made here
		return fmt.Errorf("--open: %s did not open it: %w; open the file that is named above yourself", program, err)
	}
	return nil
}

func sendTestCommand() *cobra.Command { return sendTestCommandIn(kubeconfig) }

func sendTestCommandIn(cluster func() (client.Reader, error)) *cobra.Command {
	const outputs = "table,json"
	p := &previewing{cluster: cluster}
	var to []string
	cmd := &cobra.Command{
		Use:   "send-test -n NAMESPACE SCENARIO STEP --to CUSTOMER[,CUSTOMER…]",
		Short: "Send the message of a step to a few customers now, as a test that nothing counts",
		Long: `Send the message of a step to a few customers now, as a test that nothing counts.

The message leaves through the step's channel, with the credentials that the cluster has. It has a key of its own, so
the customers' real messages are still to come. Reports, caps, goals and guardrails know nothing of it. Consent,
suppressions and a channel's allowList hold as always; in mode Sandbox nothing leaves.`,
		Example: `  kaeru send-test -n shop second-purchase hello --to staff-001,staff-002`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p.question.Scenario, p.question.Step = args[0], args[1]
			if err := p.check(outputs); err != nil {
				return err
			}
			if to = slices.DeleteFunc(to, func(id string) bool { return id == "" }); len(to) == 0 {
				return errors.New("--to is not set: write the ids of customers, such as --to staff-001,staff-002")
			}
			slices.Sort(to)
			to = slices.Compact(to)
			if p.publicURL == "" {
				return errors.New("--public-url is not set: write the address that the manager has, so that links lead somewhere, or set KAERU_PUBLIC_URL")
			}
			s, done, err := p.source(cmd, true)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			results, err := preview.Test(cmd.Context(), s, p.question, to)
			return errors.Join(printResults(cmd, results, p.output), err, allSent(results))
		},
	}
	p.flags(cmd, outputs)
	cmd.Flags().StringSliceVar(&to, "to", nil, "ids of the customers to send to")
	return cmd
}

func printResults(cmd *cobra.Command, results []preview.Result, output string) error {
	if output == "json" {
		if results == nil {
			results = []preview.Result{}
		}
		return printJSON(cmd.OutOrStdout(), results)
	}
	if len(results) == 0 {
		return nil
	}
	rows := [][]string{{"CUSTOMER", "TO", "CHANNEL", "STATE", "ID", "REASON", "MESSAGE"}}
	for _, r := range results {
		rows = append(rows, []string{r.Customer, r.To, r.Channel, r.State, r.ProviderID, r.Reason, r.Message})
	}
	return printRows(cmd.OutOrStdout(), rows)
}

// allSent is an error, and so the exit code, where one message was not sent.
func allSent(results []preview.Result) error {
	not := 0
	for i := range results {
		if !results[i].OK() {
			not++
		}
	}
	if not > 0 {
		return fmt.Errorf("%d of %d messages were not sent", not, len(results))
	}
	return nil
}
