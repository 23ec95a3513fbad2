// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// What verifiers take (RFC 8301): shorter keys do not count, longer ones need not be taken.
const (
	minRSA  = 1024
	goodRSA = 2048
	maxRSA  = 4096
)

// maxKey is more than the largest key of these needs.
const maxKey = 32 << 10

const howToMakeKey = "make one with openssl genrsa 2048"

// ParseDKIMKey reads a private key in PEM: RSA in PKCS#1 or PKCS#8, Ed25519 in PKCS#8. warning is not
// empty where the key works and a better one should be made. Neither it nor the error tells of the key.
func ParseDKIMKey(text []byte) (key crypto.Signer, warning string, err error) {
	if len(text) > maxKey {
		return nil, "", fmt.Errorf("the key has more than %d bytes: put the private key alone there, in PEM", maxKey)
	}
	block, err := privateBlock(text)
	if err != nil {
		return nil, "", err
	}
	var parsed any
	if block.Type == "RSA PRIVATE KEY" {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, "", errors.New("the key is damaged: copy the whole PEM block, or " + howToMakeKey)
	}
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		return rsaKey(k)
	case ed25519.PrivateKey:
		return k, "", nil
	}
	return nil, "", errors.New("the key is neither RSA nor Ed25519, and DKIM knows no other: " + howToMakeKey)
}

func rsaKey(k *rsa.PrivateKey) (crypto.Signer, string, error) {
	switch bits := k.N.BitLen(); {
	case bits < minRSA:
		return nil, "", fmt.Errorf("the RSA key has %d bits, and mail providers ignore signatures of less than %d: %s", bits, minRSA, howToMakeKey)
	case bits > maxRSA:
		return nil, "", fmt.Errorf("the RSA key has %d bits, and mail providers need not verify more than %d: %s", bits, maxRSA, howToMakeKey)
	case bits < goodRSA:
		return k, fmt.Sprintf("the RSA key has %d bits, which some mail providers take for weak: %s", bits, howToMakeKey), nil
	}
	return k, "", nil
}

// privateBlock finds the private key among the blocks of a PEM file.
func privateBlock(text []byte) (*pem.Block, error) {
	found := ""
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, errors.New("the key is encrypted: store it without a passphrase, as openssl pkey writes it")
		case block.Type == "RSA PRIVATE KEY", block.Type == "PRIVATE KEY":
			return block, nil
		case block.Type == "EC PRIVATE KEY":
			return nil, errors.New("the key is neither RSA nor Ed25519, and DKIM knows no other: " + howToMakeKey)
		case block.Type == "OPENSSH PRIVATE KEY":
			return nil, errors.New("the key is in the format of OpenSSH: " + howToMakeKey)
		}
		found = block.Type
	}
	switch found {
	case "":
		return nil, errors.New("the key is not in PEM: it begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----")
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, errors.New("the key is the public one: it belongs in DNS, and the private one here")
	}
	return nil, errors.New("there is no private key: it begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----")
}
