// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import "context"

// InstallNPM is NPM for commands that are no tests.
func InstallNPM(ctx context.Context, dir string) (string, error) { return installNPM(ctx, dir) }
