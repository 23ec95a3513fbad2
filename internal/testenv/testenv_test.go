// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
)

func TestControlPlaneAnswersKeepsItsStateAndEnds(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"created", "exists"} {
		cluster, err := StartControlPlane(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		client, err := discovery.NewDiscoveryClientForConfig(cluster.Config)
		if err != nil {
			t.Fatal(err)
		}
		version, err := client.ServerVersion()
		if err != nil {
			t.Fatal(err)
		}
		if version.Major != "1" || version.Minor == "" {
			t.Errorf("the API server calls itself %q: its version is not stamped, so it serves the wrong APIs", version)
		}
		out, _ := cluster.Command(t.Context(), "create", "namespace", "shop").CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("kubectl create namespace: %s, want …%s", out, want)
		}
		if err := cluster.Stop(); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.pid")); len(left) != 0 {
			t.Errorf("%v are left after Stop", left)
		}
	}
}

func TestNamespacesDiffer(t *testing.T) {
	a, b := Namespace(t), Namespace(t)
	if a == b {
		t.Errorf("both namespaces are %s", a)
	}
	crds := ControlPlane(t).Run(t, "", "api-resources", "--api-group=crm.kaeru.dev", "--output=name")
	for _, kind := range []string{"segments", "scenarios", "channelconfigs"} {
		if !strings.Contains(crds, kind+".crm.kaeru.dev") {
			t.Errorf("%s is not served: %s", kind, crds)
		}
	}
}

func TestDatabasesAreEmptyAndApart(t *testing.T) {
	open := func() *sql.DB {
		db, err := sql.Open("pgx", Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	for range 2 { // the second would fail if it saw the first one's table
		if _, err := open().ExecContext(t.Context(), `CREATE TABLE customers (id text PRIMARY KEY)`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSQLiteIsAnAbsoluteFileThatIsNotThere(t *testing.T) {
	file, ok := strings.CutPrefix(SQLite(t), "sqlite://")
	if !ok || !filepath.IsAbs(file) || exists(file) {
		t.Errorf("%q is not the address of a new file", file)
	}
}

// TestServersEndWithTheirProcess starts this test binary again, kills it where it can clean nothing
// up, and looks whether the server it had started goes.
func TestServersEndWithTheirProcess(t *testing.T) {
	if os.Getenv("KAERU_TESTENV_CHILD") != "" {
		s, err := StartPostgres(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(s.group.dir)
		select {} // until it is killed
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "KAERU_TESTENV_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := bufio.NewReader(out).ReadString('\n')
	dir = strings.TrimSpace(dir)
	if err != nil || !exists(dir) {
		t.Fatalf("the child started no server in %q: %v", dir, err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "postgres.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	alive := func() bool {
		return exec.CommandContext(t.Context(), "kill", "-0", strings.TrimSpace(string(pid))).Run() == nil
	}
	for deadline := time.Now().Add(20 * time.Second); alive() || exists(dir); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("20 seconds after its process was killed the server is alive: %t, its directory there: %t", alive(), exists(dir))
		}
	}
}
