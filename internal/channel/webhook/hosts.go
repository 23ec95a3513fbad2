// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Hosts are those that webhooks may call: names, with a port where it is not the scheme's own, and
// *.name for all below a name. Nobody is allowed by none.
type Hosts []string

// ParseHosts reads hosts from a list with commas.
func ParseHosts(list string) (Hosts, error) {
	var hosts Hosts
	for _, host := range strings.Split(list, ",") {
		host = strings.ToLower(strings.TrimSpace(host))
		if host == "" {
			continue
		}
		name := strings.TrimPrefix(host, "*.")
		if u, err := url.Parse("//" + name); err != nil || u.Host != name || u.Hostname() == "" || strings.ContainsAny(name, "*/@") {
			return nil, fmt.Errorf("%q is no host: write it like hooks.shop.example, hooks.shop.example:8443 or *.shop.example", host)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// Allow says whether an address may be called.
func (h Hosts) Allow(u *url.URL) bool {
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == map[string]string{"https": "443", "http": "80"}[u.Scheme] && port != "" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	for _, allowed := range h {
		below, wild := strings.CutPrefix(allowed, "*")
		if host == allowed || wild && strings.HasSuffix(host, below) && net.ParseIP(u.Hostname()) == nil {
			return true
		}
	}
	return false
}

// String writes hosts as ParseHosts reads them.
func (h Hosts) String() string { return strings.Join(h, ",") }
