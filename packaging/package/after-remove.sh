#!/bin/sh
# Only dpkg knows a purge; after an rpm was removed its data goes by
# /var/lib/hks/hks-installer purge.
set -e
[ "$1" = purge ] || exit 0
[ ! -x /var/lib/hks/hks-installer ] || /var/lib/hks/hks-installer purge --yes
exit 0
