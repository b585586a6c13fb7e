#!/bin/sh
# dpkg passes remove or upgrade, rpm 0 or 1. Data stays; what could purge it
# stays beside.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
/usr/lib/hks/bundle/hks-installer down
mkdir -p /var/lib/hks
cp /usr/lib/hks/bundle/hks-installer /var/lib/hks/hks-installer
exit 0
