// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func sandboxCommand() *cobra.Command {
	c := sandbox.Config{}
	var file, clockText string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run doubles of LINE, Twilio and SMTP, with a page that shows each message as its recipient sees it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if file != "" {
				flags := c
				if c, err = readSandbox(file); err != nil {
					return err
				}
				if cmd.Flags().Changed("http-address") || c.HTTPAddress == "" {
					c.HTTPAddress = flags.HTTPAddress
				}
				if cmd.Flags().Changed("smtp-address") || c.SMTPAddress == "" {
					c.SMTPAddress = flags.SMTPAddress
				}
				if cmd.Flags().Changed("journal") {
					c.Journal = flags.Journal
				}
				if cmd.Flags().Changed("time-zone") {
					c.TimeZone = flags.TimeZone
				}
				if cmd.Flags().Changed("returns") {
					c.Returns = flags.Returns
				}
				c.Presets = append(c.Presets, flags.Presets...)
			}
			if c.Clock, err = clock.Parse(clockText); err != nil {
				return fmt.Errorf("--clock: %w", err)
			}
			s, err := sandbox.Start(cmd.Context(), c)
			if err != nil {
				return err
			}
			u := s.URLs()
			fmt.Fprintf(cmd.OutOrStdout(), "inbox   %s\nLINE    %s   (channelAccessToken %s)\nTwilio  %s   (accountSID %s, authToken %s)\nSMTP    %s   (username %s, password %s)\n",
				u.Inbox, u.LINE, sandbox.DefaultLINEToken, u.Twilio, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken,
				u.SMTP, sandbox.DefaultSMTPUser, sandbox.DefaultSMTPPassword)
			<-s.Done()
			return s.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.HTTPAddress, "http-address", sandbox.DefaultHTTPAddress, "where LINE, Twilio and the inbox listen")
	f.StringVar(&c.SMTPAddress, "smtp-address", sandbox.DefaultSMTPAddress, "where SMTP listens")
	f.StringVar(&c.Journal, "journal", "", "file that keeps what arrived over a restart")
	f.StringVar(&c.TimeZone, "time-zone", "", "zone of the times on the page (default: this machine's)")
	f.StringArrayVar(&c.Presets, "fault", nil, "failure by name, such as line-500 or line-500:count=3,to=U0*; may be repeated; `kaeru sandbox faults` lists them")
	f.StringVar(&c.Returns, "returns", "", "where bounces and complaints about mail go: smtp://host:port, or an http(s) address")
	f.StringVar(&file, "config", "", "YAML file with accounts, recipients and faults")
	f.StringVar(&clockText, "clock", os.Getenv(clockVariable), "for demos: business time ($"+clockVariable+")")
	cmd.AddCommand(sandboxFaultsCommand())
	return cmd
}

func readSandbox(file string) (sandbox.Config, error) {
	var c sandbox.Config
	text, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("--config: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, &c); err != nil {
		return c, errors.Join(fmt.Errorf("--config %s", file), err)
	}
	return c, nil
}
