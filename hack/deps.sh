#!/usr/bin/env bash
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the tests need beside Go: PostgreSQL's server programs (the tests start a server of
# their own with them), Node.js with npm (the official clients of others run against the gateway), a
# Chromium (pages are looked at in it) and a C compiler (for the race detector). On Debian and Ubuntu
# as root it installs what is missing; elsewhere it says what to install. Where all is there it does nothing.
set -euo pipefail

say() { echo "deps: $*" >&2; }

have_postgres() {
  [[ -n ${KAERU_TEST_POSTGRES:-} ]] && return
  if command -v initdb >/dev/null && command -v postgres >/dev/null; then return; fi
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

have_chromium() {
  local p
  [[ -n ${KAERU_TEST_CHROMIUM:-} ]] && return
  for p in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if command -v "$p" >/dev/null; then return; fi
  done
  return 1
}

if ! command -v go >/dev/null; then
  say "Go is missing: install the version that go.mod names from https://go.dev/dl/"
  exit 1
fi

packages=()
have_postgres || packages+=(postgresql)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
have_chromium || packages+=(chromium)
command -v cc >/dev/null || command -v gcc >/dev/null || packages+=(gcc libc6-dev)
((${#packages[@]})) || exit 0

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  say "please install: ${packages[*]} (these are Debian's names; on Debian: sudo make deps)"
  say "PostgreSQL may also be a server that is there already: KAERU_TEST_POSTGRES=postgres://… names one where databases may be made"
  say "Chromium may also be another browser made of it: KAERU_TEST_CHROMIUM=/path/to/it"
  exit 1
fi

say "installing ${packages[*]}"
# The tests bring up their own servers: the package need not make one that runs all the time.
if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
  mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "${packages[@]}" >/dev/null
have_postgres || { say "the package postgresql brought no initdb"; exit 1; }
# Ubuntu's package has no browser in it but asks for a snap.
have_chromium || { say "the package chromium brought no browser"; exit 1; }
