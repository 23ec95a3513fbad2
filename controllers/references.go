// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// readShop reads the shop's ConfigMap, which need not be there.
func readShop(ctx context.Context, r client.Reader, namespace string) (journey.Shop, error) {
	var m corev1.ConfigMap
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: crm.ShopConfigMap}, &m)
	if apierrors.IsNotFound(err) {
		return journey.Shop{}, nil
	}
	if err != nil {
		return journey.Shop{}, fmt.Errorf("reading ConfigMap %s: %w", crm.ShopConfigMap, err)
	}
	shop := journey.Shop{
		Name: m.Data["name"], URL: m.Data["url"], TimeZone: m.Data["timeZone"], Currency: m.Data["currency"],
		Language: m.Data["language"], DormantAfter: m.Data["dormantAfter"], LowStock: m.Data["lowStock"],
	}
	if _, err := shop.Location(); err != nil {
		return journey.Shop{}, stalled(crm.ReasonConfigMapInvalid, "ConfigMap %s: %s", crm.ShopConfigMap, err)
	}
	if shop.Purposes, err = journey.ReadPurposes(m.Data["purposes"]); err != nil {
		return journey.Shop{}, stalled(crm.ReasonConfigMapInvalid, "ConfigMap %s: %s", crm.ShopConfigMap, err)
	}
	if shop.DormantAfter != "" {
		if _, err := crm.ParseDuration(shop.DormantAfter); err != nil {
			return journey.Shop{}, stalled(crm.ReasonConfigMapInvalid, "ConfigMap %s: dormantAfter: %s", crm.ShopConfigMap, err)
		}
	}
	return shop, nil
}

// readKey reads one key of a ConfigMap.
func readKey(ctx context.Context, r client.Reader, namespace, path string, ref crm.KeyReference) (string, error) {
	var m corev1.ConfigMap
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: string(ref.Name)}, &m)
	if apierrors.IsNotFound(err) {
		return "", stalled(crm.ReasonConfigMapNotFound, "%s: ConfigMap %q does not exist: create it, with the key %q", path, ref.Name, ref.Key)
	}
	if err != nil {
		return "", fmt.Errorf("reading ConfigMap %s: %w", ref.Name, err)
	}
	text, ok := m.Data[ref.Key]
	if !ok {
		return "", stalled(crm.ReasonConfigMapInvalid, "%s: ConfigMap %q has no key %q", path, ref.Name, ref.Key)
	}
	if text == "" {
		return "", stalled(crm.ReasonConfigMapInvalid, "%s: key %q of ConfigMap %q is empty", path, ref.Key, ref.Name)
	}
	return text, nil
}

// readSecret reads a Secret, from the API server each time: its data is not kept in a cache.
func readSecret(ctx context.Context, r client.Reader, namespace, path string, name crm.ObjectName) (*corev1.Secret, error) {
	var s corev1.Secret
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: string(name)}, &s)
	if apierrors.IsNotFound(err) {
		return nil, stalled(crm.ReasonSecretNotFound, "%s: Secret %q does not exist: create it in namespace %s", path, name, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return &s, nil
}

// secretKey gives one key of a Secret, without what editors leave at the end.
func secretKey(s *corev1.Secret, path, key string) (string, error) {
	v := trimSpace(s.Data[key])
	if v == "" {
		return "", stalled(crm.ReasonSecretInvalid, "%s: Secret %q has no key %q, or it is empty", path, s.Name, key)
	}
	return v, nil
}
