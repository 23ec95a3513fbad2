// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// openStore opens the store that --store or KAERU_STORE names, and brings it up to date.
func openStore(ctx context.Context, dsn string) (*store.Store, error) {
	if dsn == "" {
		return nil, fmt.Errorf("--store is not set: write --store sqlite:///path/kaeru.db or a postgres:// DSN, or set %s", storeVariable)
	}
	st, err := store.Open(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := st.Migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bringing the store up to date: %w", err), st.Close())
	}
	return st, nil
}

func importCommand() *cobra.Command {
	var dsn, namespace, zone, refused, clockText, callingCode string
	cmd := &cobra.Command{
		Use:   "import -n NAMESPACE " + strings.Join(ingest.Kinds, "|") + " FILE",
		Short: "Load a shop's facts from CSV or JSON lines; doing it again changes nothing",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, path := args[0], args[1]
			if err := ingest.CheckKind(kind); err != nil {
				return err
			}
			if namespace == "" {
				return errors.New("--namespace is not set: a namespace is a shop, write -n NAMESPACE")
			}
			clk, err := clock.Parse(clockText)
			if err != nil {
				return fmt.Errorf("--clock: %w", err)
			}
			loc, err := time.LoadLocation(zone)
			if err != nil {
				return fmt.Errorf("--time-zone %q is not an IANA zone such as Asia/Tokyo", zone)
			}
			st, err := openStore(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			progress := newProgress(cmd.ErrOrStderr(), kind)
			result, err := ingest.File(cmd.Context(), st, namespace, kind, path, cmd.InOrStdin(), ingest.Options{
				Clock: clk, Location: loc, RefusedFile: refused, Progress: progress.show, CallingCode: callingCode,
			})
			progress.done()
			report(cmd.OutOrStdout(), kind, result)
			if err := errors.Join(err, st.Close()); err != nil {
				return err
			}
			if result.Refused > 0 {
				return fmt.Errorf("%d of %d rows were refused; correct them in %s and import them again", result.Refused, result.Rows, result.RefusedFile)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dsn, "store", os.Getenv(storeVariable), "DSN of the database ($"+storeVariable+")")
	f.StringVarP(&namespace, "namespace", "n", "", "namespace of the shop")
	f.StringVar(&zone, "time-zone", "UTC", "zone of times that name none")
	f.StringVar(&callingCode, "calling-code", "", "country calling code, such as 81, for phone numbers that begin with 0")
	f.StringVar(&refused, "refused", "", "file for refused rows (default: FILE.refused.csv)")
	f.StringVar(&clockText, "clock", os.Getenv(clockVariable), "for demos: business time ($"+clockVariable+")")
	return cmd
}

func report(w io.Writer, kind string, r ingest.Result) {
	for _, refusal := range r.First {
		fmt.Fprintln(w, refusal)
	}
	if more := r.Refused - int64(len(r.First)); more > 0 {
		fmt.Fprintf(w, "… and %d more, all in %s\n", more, r.RefusedFile)
	}
	fmt.Fprintf(w, "%s: %d rows, %d new, %d changed, %d unchanged, %d refused\n", kind, r.Rows, r.New, r.Changed, r.Unchanged, r.Refused)
}

// progress shows how far an import is: a bar on a terminal, else a line now and then.
type progress struct {
	w    io.Writer
	kind string
	bar  *progressbar.ProgressBar
	last time.Time
}

func newProgress(w io.Writer, kind string) *progress {
	p := &progress{w: w, kind: kind, last: time.Now()}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(kind),
			progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) show(now ingest.Progress) {
	if p.bar != nil {
		if now.Total > 0 {
			p.bar.ChangeMax64(now.Total)
		}
		p.bar.Describe(fmt.Sprintf("%s %d rows", p.kind, now.Rows))
		_ = p.bar.Set64(now.Bytes) // a bar that cannot be drawn is no reason to stop
		return
	}
	if time.Since(p.last) < 3*time.Second {
		return
	}
	p.last = time.Now()
	share := ""
	if now.Total > 0 {
		share = fmt.Sprintf(" (%d%%)", 100*now.Bytes/now.Total)
	}
	fmt.Fprintf(p.w, "%s: %d rows%s\n", p.kind, now.Rows, share)
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
