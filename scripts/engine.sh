#!/bin/sh
# Places the engine: the binary named by HKS_K3S_BINARY, else the pinned k3s
# release where it can be reached, else the stand-in of test/k3s.
# Usage: engine.sh CACHE TARGET
set -eu
cache=$1
target=$2
mkdir -p "$cache"

place() {
	cmp -s "$1" "$target" && return 0
	cp "$1" "$target.tmp"
	mv "$target.tmp" "$target"
}

if [ -n "${HKS_K3S_BINARY:-}" ]; then
	echo "engine: $HKS_K3S_BINARY"
	place "$HKS_K3S_BINARY"
	exit 0
fi
if bin/hks-installer fetch --to "$cache/k3s" 2>"$cache/fetch.log"; then
	sed -n '/^warning:/,$p' "$cache/fetch.log" # what was not verified against k3s.lock
	place "$cache/k3s/k3s"
	for images in "$cache"/k3s/k3s-airgap-images-*.tar.zst; do
		[ ! -e "$images" ] || ln -sf "$images" "$(dirname "$target")/" # up places them beside the engine
	done
	exit 0
fi
echo "engine: the k3s release can't be had here ($(tail -n 1 "$cache/fetch.log")); building the stand-in"
binary=$(cd test/k3s && go run ./build -print)
place "$binary"
