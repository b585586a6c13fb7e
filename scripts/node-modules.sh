#!/bin/sh
# Installs FOLDER's npm packages once per lock file, into CACHE, and links them.
# Usage: node-modules.sh CACHE FOLDER
set -eu
cache=$1
folder=$2
key=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum | cut -c1-16)
store="$cache/npm/$key"
if [ ! -d "$store/node_modules" ]; then
	echo "npm: installing the packages of $folder"
	mkdir -p "$cache/npm"
	rm -rf "$store.tmp"
	mkdir "$store.tmp"
	cp "$folder/package.json" "$folder/package-lock.json" "$store.tmp/"
	(cd "$store.tmp" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
	rm -rf "$store"
	mv "$store.tmp" "$store"
fi
[ -L "$folder/node_modules" ] || rm -rf "$folder/node_modules"
ln -sfn "$store/node_modules" "$folder/node_modules"
