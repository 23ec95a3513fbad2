// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Options say how a control plane is started.
type Options struct {
	// Dir holds the state, logs, pid files and kubeconfig; it stays afterwards, and what etcd holds
	// is there again at the next start. Empty is a temporary directory that is removed at the end.
	Dir string
	// CRDs are files or directories of CustomResourceDefinitions to install.
	CRDs []string
}

// Cluster is a running etcd and Kubernetes API server. No controllers run in it but your own: no
// Jobs are worked off, nothing is garbage collected and a deleted namespace stays Terminating.
type Cluster struct {
	// Config is for a client that may do everything.
	Config *rest.Config
	// Kubeconfig is a file for the same, Kubectl the program to use it with.
	Kubeconfig, Kubectl string

	group *group
}

// StartControlPlane starts etcd and the API server on free loopback ports and waits until they
// answer. They end with Stop, or with this process. The programs are built on the first use on a
// machine, which takes minutes and is told on standard error.
func StartControlPlane(ctx context.Context, options Options) (*Cluster, error) {
	assets, err := controlPlaneAssets(ctx)
	if err != nil {
		return nil, err
	}
	var c *Cluster
	err = retryPorts(func() (err error) {
		c, err = startControlPlane(ctx, assets, options.Dir)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{
		Paths: options.CRDs, ErrorIfPathMissing: true, MaxTime: time.Minute, PollInterval: 50 * time.Millisecond,
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("install the CRDs: %w", err), c.Stop())
	}
	return c, nil
}

// Stop ends the servers, the API server first.
func (c *Cluster) Stop() error { return c.group.stop(syscall.SIGTERM) }

// Command is kubectl with these arguments, as the client that may do everything.
func (c *Cluster) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
}

func startControlPlane(ctx context.Context, assets, dir string) (_ *Cluster, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	g, err := newGroup(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.stop(syscall.SIGKILL))
		}
	}()
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcdURL, peerURL := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	if _, err := g.start("etcd", nil, filepath.Join(assets, "etcd"),
		"--data-dir", g.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
		"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL,
		"--initial-cluster", "default="+peerURL, "--force-new-cluster="+fmt.Sprint(exists(g.path("etcd"))),
	); err != nil {
		return nil, err
	}
	token := rand.Text()
	if err := os.WriteFile(g.path("tokens.csv"), []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the API server's tokens: %w", err)
	}
	signingKey := g.path("service-account.key")
	if err := writeSigningKey(signingKey); err != nil {
		return nil, err
	}
	pki := g.path("pki")
	if err := os.RemoveAll(pki); err != nil { // so that the certificate below is this start's
		return nil, fmt.Errorf("remove old certificates: %w", err)
	}
	server, err := g.start("kube-apiserver", nil, filepath.Join(assets, "kube-apiserver"),
		"--etcd-servers", etcdURL, "--cert-dir", pki,
		"--bind-address", "127.0.0.1", "--secure-port", ports[2],
		// A loopback address can't be the endpoint of the Service kubernetes, which nothing here uses.
		"--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none",
		"--service-cluster-ip-range", "10.0.0.0/24", "--allow-privileged=true",
		"--authorization-mode", "RBAC", "--token-auth-file", g.path("tokens.csv"),
		// Nothing here makes the service accounts that this plugin would wait for.
		"--disable-admission-plugins", "ServiceAccount",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", signingKey, "--service-account-signing-key-file", signingKey,
	)
	if err != nil {
		return nil, err
	}
	c := &Cluster{group: g, Kubeconfig: g.path("kubeconfig"), Kubectl: filepath.Join(assets, "kubectl")}
	err = server.await(ctx, func(ctx context.Context) error {
		// The server signs its own certificate, so that file is also what to trust.
		ca, err := os.ReadFile(filepath.Join(pki, "apiserver.crt"))
		if err != nil {
			return err
		}
		c.Config = &rest.Config{
			Host: "https://127.0.0.1:" + ports[2], BearerToken: token,
			TLSClientConfig: rest.TLSClientConfig{CAData: ca},
			QPS:             1000, Burst: 2000, // the defaults, 5 and 10, are for a shared server
		}
		return readyz(ctx, c.Config)
	})
	if err != nil {
		return nil, err
	}
	return c, writeKubeconfig(c)
}

func readyz(ctx context.Context, config *rest.Config) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /readyz: %s", response.Status)
	}
	return nil
}

// writeSigningKey keeps a key that is there: what an earlier start signed stays valid.
func writeSigningKey(file string) error {
	if exists(file) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service account key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the service account key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write the service account key: %w", err)
	}
	return nil
}

func writeKubeconfig(c *Cluster) error {
	const name = "kaeru"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: c.Config.Host, CertificateAuthorityData: c.Config.CAData}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: c.Config.BearerToken}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, c.Kubeconfig); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

// controlPlaneAssets is the directory with etcd, kube-apiserver and kubectl, built if need be.
func controlPlaneAssets(ctx context.Context) (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	script := filepath.Join(root, "hack", "controlplane", "build.sh")
	cmd := exec.CommandContext(ctx, script)
	cmd.Stderr = os.Stderr // it says there what takes so long
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w (run it by itself to see why; KUBEBUILDER_ASSETS may name a directory with etcd, kube-apiserver and kubectl instead)", script, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// repositoryRoot is the nearest directory above the working directory that is this repository's.
func repositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "hack", "controlplane", "build.sh")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("hack/controlplane/build.sh is in no directory above %s: run this inside the repository", start)
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
