#!/bin/sh
# Installs hks on this machine, or upgrades it:
#
#   curl -sfL https://get.hks.dev/install.sh | sh -
#
# Everything is in functions and starts on the last line, so that a download
# that breaks off does nothing. Variables:
#   HKS_MIRROR   where bundles are published (default: https://get.hks.dev)
#   HKS_VERSION  version to install (default: what HKS_MIRROR/latest says)
#   HKS_BUNDLE   a bundle on disk; nothing is downloaded
#   HKS_SHA256   the checksum the bundle must have (default: the one beside it)
#   HKS_ROOT     folder below which all files are (default: /)
#   HKS_ONLY     "cli" installs the command line alone, for a laptop
set -eu

fail() {
	echo "error: $1" >&2
	echo "fix: $2" >&2
	exit 1
}

architecture() {
	case $(uname -m) in
	x86_64 | amd64) echo amd64 ;;
	aarch64 | arm64) echo arm64 ;;
	*) fail "there is no hks for $(uname -m)" "use a machine with an amd64 or arm64 processor" ;;
	esac
}

# download URL FILE
download() {
	if command -v curl >/dev/null; then
		curl --fail --silent --show-error --location --connect-timeout 10 --retry 3 --max-time 1800 -o "$2" "$1" && return 0
	elif command -v wget >/dev/null; then
		wget -q --timeout=30 --tries=3 -O "$2" "$1" && return 0
	else
		fail "there is neither curl nor wget" "install curl"
	fi
	fail "$1 can't be downloaded" "check the network, or name a bundle on disk by HKS_BUNDLE"
}

# obtain WORK prints the path of the bundle.
obtain() {
	if [ -n "${HKS_BUNDLE:-}" ]; then
		[ -f "$HKS_BUNDLE" ] || fail "there is no bundle $HKS_BUNDLE" "check HKS_BUNDLE"
		echo "$HKS_BUNDLE"
		return 0
	fi
	mirror=${HKS_MIRROR:-https://get.hks.dev}
	version=${HKS_VERSION:-}
	if [ -z "$version" ]; then
		download "$mirror/latest" "$1/latest"
		version=$(head -n 1 "$1/latest")
	fi
	case $version in
	'' | *[!A-Za-z0-9._+-]*) fail "\"$version\" is no version" "set HKS_VERSION to one that is published" ;;
	esac
	name=hks-$version-linux-$(architecture).tar.gz
	echo "downloading hks $version" >&2
	download "$mirror/$name.sha256" "$1/$name.sha256"
	download "$mirror/$name" "$1/$name"
	echo "$1/$name"
}

check() {
	want=${HKS_SHA256:-}
	if [ -z "$want" ]; then
		[ -f "$1.sha256" ] || fail "there is no checksum beside $1" "put $1.sha256 there, or set HKS_SHA256"
		want=$(cut -d ' ' -f 1 "$1.sha256")
	fi
	have=$(sha256sum "$1" | cut -d ' ' -f 1)
	[ "$have" = "$want" ] || fail "the bundle's checksum is $have, not $want; nothing was changed" "download it again"
}

# verify FOLDER: an hks-installer that is here already knows the key it
# trusts; the first one was checked by its checksum.
verify() {
	root=${HKS_ROOT:-/}
	installed=${root%/}/usr/local/bin/hks-installer
	if [ -x "$installed" ] && "$installed" verify --help >/dev/null 2>&1; then
		"$installed" verify "$1" >&2
	else
		"$1/hks-installer" verify "$1" >&2
	fi
}

main() {
	[ "$(uname -s)" = Linux ] || fail "hks needs Linux, this is $(uname -s)" "run it on a Linux machine"
	root=${HKS_ROOT:-/}
	if [ -d "${root%/}/usr/lib/hks/bundle" ] && [ "${HKS_ONLY:-}" != cli ]; then
		fail "hks was installed here by a package" "upgrade it with the package manager, or remove the package first; data stays"
	fi
	work=$(mktemp -d "${TMPDIR:-/var/tmp}/hks-install.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	bundle=$(obtain "$work")
	check "$bundle"
	mkdir "$work/bundle"
	tar -xzf "$bundle" -C "$work/bundle" --no-same-owner || fail "the bundle can't be unpacked" "look for space in ${TMPDIR:-/var/tmp}"
	verify "$work/bundle"
	root=${HKS_ROOT:-/}
	case ${HKS_ONLY:-} in
	cli)
		mkdir -p "${root%/}/usr/local/bin"
		cp "$work/bundle/hks" "${root%/}/usr/local/bin/.hks.tmp"
		mv "${root%/}/usr/local/bin/.hks.tmp" "${root%/}/usr/local/bin/hks"
		echo "installed ${root%/}/usr/local/bin/hks; log in with: hks login https://YOUR-APPLIANCE:8443"
		;;
	'') "$work/bundle/hks-installer" up --root "$root" --from "$work/bundle" ;;
	*) fail "HKS_ONLY is \"$HKS_ONLY\"" "set it to cli, or leave it out for the whole appliance" ;;
	esac
}

main "$@"
