// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
)

const signingKeyAt = "spec.email.dkim.privateKeySecretRef"

// dkimSecret names the Secret of a channel's signing key; empty where it signs nothing.
func dkimSecret(s *crm.ChannelConfigSpec) crm.ObjectName {
	if s.Email == nil || s.Email.DKIM == nil {
		return ""
	}
	return s.Email.DKIM.PrivateKeySecretRef.Name
}

// signing reads the key that a channel signs with, and the version of its Secret; nil where it signs nothing.
func (r *ChannelConfigReconciler) signing(ctx context.Context, config *crm.ChannelConfig) (*email.DKIM, string, error) {
	name := dkimSecret(&config.Spec)
	if name == "" {
		return nil, "", nil
	}
	secret, err := readSecret(ctx, r.Live, config.Namespace, signingKeyAt, name)
	if err != nil {
		return nil, "", err
	}
	d, err := dkimOf(config.Spec.Email.DKIM, secret)
	return d, string(secret.UID) + "/" + secret.ResourceVersion, err
}

func dkimOf(spec *crm.DKIM, secret *corev1.Secret) (*email.DKIM, error) {
	name := spec.PrivateKeySecretRef.Key
	text, err := secretKey(secret, signingKeyAt, name)
	if err != nil {
		return nil, err
	}
	key, warning, err := email.ParseDKIMKey([]byte(text))
	if err != nil {
		return nil, stalled(crm.ReasonSecretInvalid, "%s: key %q of Secret %q: %s", signingKeyAt, name, secret.Name, err)
	}
	return &email.DKIM{Domain: spec.Domain, Selector: spec.Selector, Key: key, Warning: warning}, nil
}

// writeSigning says whether recipients can verify signatures. A channel whose key is not in DNS still
// sends: the DNS that is asked here need not be the one that recipients ask.
func (r *ChannelConfigReconciler) writeSigning(config *crm.ChannelConfig, seen *checked, to conditions) {
	if dkimSecret(&config.Spec) == "" {
		to.remove(crm.ConditionDKIMVerified)
		return
	}
	s := seen.account.Signing
	if s == nil {
		to.setStatus(crm.ConditionDKIMVerified, metav1.ConditionUnknown, crm.ReasonNotChecked, "DNS was not asked for the key")
		return
	}
	switch s.Verified {
	case channel.SigningVerified:
		to.set(crm.ConditionDKIMVerified, true, crm.ReasonVerified, s.Message)
	case channel.SigningWrong:
		was := meta.FindStatusCondition(*to.list, crm.ConditionDKIMVerified)
		if was == nil || was.Message != s.Message {
			r.Recorder.Eventf(config, nil, "Warning", crm.ReasonDKIMRecordWrong, "Check", "%s", s.Message)
		}
		to.set(crm.ConditionDKIMVerified, false, crm.ReasonDKIMRecordWrong, s.Message)
	default:
		to.setStatus(crm.ConditionDKIMVerified, metav1.ConditionUnknown, crm.ReasonDNSUnavailable, s.Message)
	}
}
