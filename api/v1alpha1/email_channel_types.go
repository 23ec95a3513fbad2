// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// EmailChannel is a sender address and its relay.
type EmailChannel struct {
	// from is the sender as recipients see it, such as "Kaeru Shop <news@shop.example>".
	// +required
	// +kubebuilder:validation:Pattern=`^([^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$`
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	From string `json:"from"`
	// replyTo is the address that answers go to. Default: from.
	// +optional
	ReplyTo EmailAddress `json:"replyTo,omitempty"`
	// smtp is the relay that takes the mails.
	// +required
	SMTP SMTPRelay `json:"smtp"`
	// dkim signs each mail. Default: the relay's business.
	// +optional
	DKIM *DKIM `json:"dkim,omitempty"`
	// returnPath is the address that bounces go to. Default: the address of from.
	// +optional
	ReturnPath EmailAddress `json:"returnPath,omitempty"`
	// tracking says whether opens and clicks are measured. Default: both are.
	// +optional
	Tracking *Tracking `json:"tracking,omitempty"`
}

// EmailAddress is a bare address, without a display name.
// +kubebuilder:validation:Pattern=`^[^<>@\s]+@[^<>@\s]+$`
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=320
type EmailAddress string

// SMTPRelay is a mail server that takes our mails.
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.tls != 'Disabled' || self.host == 'localhost' || (isIP(self.host) && ip(self.host).isLoopback()) || (has(self.allowPlaintext) && self.allowPlaintext == 'Accepted')",message="tls Disabled sends passwords and mails in clear text: use STARTTLS or Implicit, or say it twice with allowPlaintext: Accepted"
// +kubebuilder:validation:XValidation:rule="!has(self.allowPlaintext) || (has(self.tls) && self.tls == 'Disabled')",message="allowPlaintext belongs to tls Disabled: remove it or set tls: Disabled"
type SMTPRelay struct {
	// host is the relay's name or address.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9:._-]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host"`
	// port the relay listens on. Default 587 with STARTTLS, 465 with Implicit, 25 with Disabled.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// tls is STARTTLS, Implicit (TLS from the first byte) or Disabled (loopback only, or said twice
	// with allowPlaintext). Default STARTTLS, which is required of the relay, not tried.
	// +optional
	TLS TLSMode `json:"tls,omitempty"`
	// allowPlaintext says a second time that tls Disabled is meant for a host that is not loopback.
	// +optional
	// +kubebuilder:validation:Enum=Accepted
	AllowPlaintext string `json:"allowPlaintext,omitempty"`
	// credentialsSecretRef names a Secret with the keys username and password. Default: no login.
	// +optional
	CredentialsSecretRef *LocalReference `json:"credentialsSecretRef,omitempty"`
	// maxConnections is how many connections are held open to the relay. Default 8.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxConnections int32 `json:"maxConnections,omitempty"`
}

// TLSMode says how a connection is protected.
// +kubebuilder:validation:Enum=STARTTLS;Implicit;Disabled
type TLSMode string

// The TLS modes.
const (
	TLSStartTLS TLSMode = "STARTTLS"
	TLSImplicit TLSMode = "Implicit"
	TLSDisabled TLSMode = "Disabled"
)

// DKIM signs mails in the name of a domain.
type DKIM struct {
	// domain that signs, the d= of the signature: that of from, or one of the same organisation.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=253
	Domain string `json:"domain"`
	// selector of the key in DNS, the s= of the signature.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._-]+$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Selector string `json:"selector"`
	// privateKeySecretRef names the Secret and the key that hold the private key in PEM: RSA of 1024 to
	// 4096 bits in PKCS#1 or PKCS#8, or Ed25519 in PKCS#8.
	// +required
	PrivateKeySecretRef KeyReference `json:"privateKeySecretRef"`
}

// Tracking says what of a mail's fate is measured.
type Tracking struct {
	// opens is Enabled (a pixel in HTML mails) or Disabled. Default Enabled.
	// +optional
	Opens Switch `json:"opens,omitempty"`
	// clicks is Enabled (links lead through Kaeru) or Disabled. Default Enabled.
	// +optional
	Clicks Switch `json:"clicks,omitempty"`
}

// Switch turns something on or off.
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

// The positions of a Switch.
const (
	Enabled  Switch = "Enabled"
	Disabled Switch = "Disabled"
)
