// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// npmTimeout bounds an installation. The first one fetches all packages.
const npmTimeout = 5 * time.Minute

// NPM installs the npm packages that the package.json and package-lock.json in dir name, and returns a
// directory with their node_modules. It is shared by all who have the same lock file, in a cache that
// may be deleted at any time; nobody may write there. A script elsewhere finds the packages with
// NODE_PATH=<directory>/node_modules, and require.
func NPM(tb testing.TB, dir string) string {
	tb.Helper()
	installed, err := installNPM(tb.Context(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	return installed
}

var npmManifests = []string{"package.json", "package-lock.json"}

func installNPM(ctx context.Context, dir string) (_ string, err error) {
	manifests := make([][]byte, len(npmManifests))
	hash := sha256.New()
	for i, name := range npmManifests {
		if manifests[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("read what to install: %w", err)
		}
		_, _ = hash.Write(manifests[i])
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "npm")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	dest := filepath.Join(cache, hex.EncodeToString(hash.Sum(nil)))
	if exists(dest) { // it appears whole or not at all
		return dest, nil
	}
	unlock, err := lockFile(dest + ".lock")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if exists(dest) {
		return dest, nil // another process was here while this one waited
	}
	work, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		return "", fmt.Errorf("make a directory to install into: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }() // gone by then, if all went well
	for i, name := range npmManifests {
		if err := os.WriteFile(filepath.Join(work, name), manifests[i], 0o600); err != nil {
			return "", fmt.Errorf("write what to install: %w", err)
		}
	}
	if err := npmCI(ctx, work); err != nil {
		return "", err
	}
	if err := os.Rename(work, dest); err != nil {
		return "", fmt.Errorf("keep what was installed: %w", err)
	}
	return dest, nil
}

// npmCI installs what the lock file names and nothing else, and runs none of its scripts.
func npmCI(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("there is no npm on PATH: `make deps` installs it, or says how")
	}
	ctx, cancel := context.WithTimeout(ctx, npmTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return nil
}

// cacheDir is where programs that are installed once are kept: the same as in hack/cache.sh.
func cacheDir() (string, error) {
	if dir := os.Getenv("KAERU_CACHE"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "kaeru"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w", err)
	}
	return filepath.Join(home, ".cache", "kaeru"), nil
}

// lockFile waits until no other process, and nobody in this one, has locked the file.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f.Close, nil // which unlocks
}
