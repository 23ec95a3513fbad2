// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

const (
	// maxFile bounds one file of manifests.
	maxFile = 16 << 20
	// maxFiles bounds a directory.
	maxFiles = 10_000
)

// Files are resources that were read from files instead of a cluster. They are a client.Reader for what a
// message is made of: Scenarios, ChannelConfigs and ConfigMaps. What else is in the files is passed over.
type Files struct {
	namespace string
	objects   map[string]client.Object
}

var _ client.Reader = (*Files)(nil)

// ReadFiles reads manifests from files and directories, and from stdin where a path is "-". Resources that name
// no namespace are taken as being in namespace; those of others are passed over.
func ReadFiles(paths []string, namespace string, stdin io.Reader) (*Files, error) {
	f := &Files{namespace: namespace, objects: map[string]client.Object{}}
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); path != "-" && err == nil && info.IsDir() {
			if files, err = manifestsIn(path); err != nil {
				return nil, err
			}
		}
		for _, name := range files {
			if err := f.read(name, stdin); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

// manifestsIn lists the YAML and JSON files below a directory, without hidden ones.
func manifestsIn(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
			return fs.SkipDir
		case entry.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			files = append(files, path)
		}
		if len(files) > maxFiles {
			return fmt.Errorf("%s holds more than %d manifests: name those that are needed", root, maxFiles)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading directory: %w", err)
	}
	return files, nil
}

func (f *Files) read(name string, stdin io.Reader) error {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading manifests: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if len(text) > maxFile {
		return fmt.Errorf("%s is larger than %d MiB", name, maxFile>>20)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f.add(document)
		}
		if err != nil {
			return fmt.Errorf("%s, document %d: %w", name, n, err)
		}
	}
}

// add keeps a document of a kind that a message is made of.
func (f *Files) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return fmt.Errorf("it is not YAML: %w", err)
	}
	var o client.Object
	switch kind.GroupVersionKind() {
	case crm.GroupVersion.WithKind("Scenario"):
		o = &crm.Scenario{}
	case crm.GroupVersion.WithKind("ChannelConfig"):
		o = &crm.ChannelConfig{}
	case corev1.SchemeGroupVersion.WithKind("ConfigMap"):
		o = &corev1.ConfigMap{}
	default:
		return nil
	}
	if err := yaml.UnmarshalStrict(document, o); err != nil {
		return fmt.Errorf("%s: %w", kind.Kind, err)
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(f.namespace)
	}
	if o.GetNamespace() != f.namespace {
		return nil
	}
	key := keyOf(o, o.GetName())
	if f.objects[key] != nil {
		return fmt.Errorf("%s %q is there twice: leave one of them out", kind.Kind, o.GetName())
	}
	f.objects[key] = o
	return nil
}

func keyOf(o client.Object, name string) string { return fmt.Sprintf("%T/%s", o, name) }

// Get gives what the files have.
func (f *Files) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	found := f.objects[keyOf(into, key.Name)]
	if found == nil || key.Namespace != f.namespace {
		return apierrors.NewNotFound(schema.GroupResource{Resource: strings.TrimPrefix(fmt.Sprintf("%T", into), "*")}, key.Name)
	}
	switch to := into.(type) {
	case *crm.Scenario:
		found.(*crm.Scenario).DeepCopyInto(to)
	case *crm.ChannelConfig:
		found.(*crm.ChannelConfig).DeepCopyInto(to)
	case *corev1.ConfigMap:
		found.(*corev1.ConfigMap).DeepCopyInto(to)
	}
	return nil
}

// List is not needed to make a message.
func (f *Files) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("files cannot be listed")
}
