#!/usr/bin/env bash
# Install the Debian packages of the real servers that tests start; say which are missing where that is not allowed.
set -euo pipefail

packages=(docker.io debootstrap systemd docker-registry apt-utils dpkg-dev iptables gcc libc6-dev chromium
  zsh fish)

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
else
  missing=("${packages[@]}")
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends "${missing[@]}"
  exit 0
fi

echo "The tests with real servers need: ${missing[*]}" >&2
echo "  sudo apt-get install ${missing[*]}" >&2
echo "Without them those tests are skipped (where CI=true that is a failure)." >&2
