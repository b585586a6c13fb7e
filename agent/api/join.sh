#!/bin/sh
# Lets this machine join an hks appliance as a dedicated node. Run it as root,
# with the one-time secret of the invitation in HKS_JOIN. Nothing is installed
# before the installer was fetched and verified.
set -eu

URL='@URL@'
PIN='@PIN@'
FINGERPRINT='@FINGERPRINT@'
SHA256='@SHA256@'

say() { printf '%s\n' "$*" >&2; }

die() {
	say "error: $1"
	say "fix: $2"
	exit 1
}

main() {
	[ "$(id -u)" = 0 ] || die "this needs root" "run it with sudo: curl ... | sudo HKS_JOIN=... sh"
	[ -n "${HKS_JOIN:-}" ] || die "HKS_JOIN is not set" "run the whole line that the appliance shows"
	command -v curl >/dev/null || die "curl is missing" "install it, for example with: apt-get install curl"
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	say "fetching the installer from $URL"
	printf 'header = "Authorization: Bearer %s"\n' "$HKS_JOIN" |
		curl -fsSk --pinnedpubkey "sha256//$PIN" --config - -o "$folder/hks-installer" "$URL/api/join/files/hks-installer" ||
		die "the installer could not be fetched" "see that this machine reaches $URL and that the invitation is not older than ten minutes"
	printf '%s  %s\n' "$SHA256" "$folder/hks-installer" | sha256sum -c - >/dev/null ||
		die "the installer is damaged" "run the line again"
	chmod 0755 "$folder/hks-installer"
	HKS_JOIN="$HKS_JOIN" "$folder/hks-installer" join --url "$URL" --fingerprint "$FINGERPRINT"
}

main "$@"
