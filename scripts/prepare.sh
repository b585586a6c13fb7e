#!/bin/sh
# Installs the Debian packages that the files named as arguments list, when any
# is missing, and says what can't be installed by it.
set -eu

fail() {
	echo "error: $1" >&2
	echo "fix: $2" >&2
	exit 3
}

[ "$(id -u)" = 0 ] || fail "this needs root: it makes network interfaces, mounts and control groups" "run it as root"
command -v go >/dev/null || fail "Go is not installed" "install Go 1.26 or newer and put it on PATH"
go_version=$(go env GOVERSION)
case "$go_version" in
go1.2[6-9]* | go1.[3-9]?*) ;;
*) fail "Go is too old: $go_version" "install Go 1.26 or newer" ;;
esac
for command in node npm; do
	command -v "$command" >/dev/null || fail "$command is not installed; the browser tests need it" "install Node.js 20 or newer with npm"
done

missing=""
wanted=$(sed 's/#.*//' "$@")
for package in $wanted; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || fail "these packages are missing:$missing" "install them with your package manager"

echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
