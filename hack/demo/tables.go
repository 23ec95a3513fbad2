// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// tables show what an operator sees.
func (d *demo) tables(ctx context.Context) error {
	scenarios, err := list[crm.ScenarioList](ctx, d, "scenarios")
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "   STEP\tSENT\tDELIVERED\tOPENED\tCLICKED\tCONVERTED\tFAILED\tSKIPPED")
	for i := range scenarios.Items {
		for _, s := range scenarios.Items[i].Status.Steps {
			_, _ = fmt.Fprintf(w, "   %s/%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", scenarios.Items[i].Name, s.Name,
				s.Sent, s.Delivered, s.Opened, s.Clicked, s.Converted, s.Failed, s.Skipped)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	out, err := d.kubectl(ctx, "get", "segments,scenarios,channelconfigs,jobs", "-n", namespace)
	if err != nil {
		return err
	}
	fmt.Printf("\n$ kubectl get segments,scenarios,channelconfigs,jobs -n %s\n\n%s", namespace, out)
	return nil
}

func (d *demo) whereNext() {
	fmt.Printf(`
It stays up, now in the machine's own time, until you press Ctrl-C.

  Read what the customers got    http://%s/
  Ask the API server             export KUBECONFIG=%s PATH=%s:$PATH
                                 kubectl get scenario second-purchase -n shop -o yaml
                                 kubectl explain scenario.spec.steps
  Change something               edit %s
                                 kubectl apply --server-side -k %s
  Who is in a segment            bin/kaeru audience -n shop f2-candidates --store %s
  What the manager says          less %s
`, d.inbox, d.cluster.Kubeconfig, filepath.Dir(d.cluster.Kubectl),
		filepath.Join("config", "samples", "shop", "second-purchase.yaml"), d.overlayDir(), d.store(), filepath.Join(d.dir, "manager.log"))
}
