#!/bin/sh
# dpkg passes install or upgrade, rpm 1 or 2.
set -e
case "$1" in
install | 1)
	if [ -L /usr/local/bin/hks-agent ] && [ ! -d /usr/lib/hks/bundle ]; then
		echo "error: hks is installed here already, but not by a package" >&2
		echo "fix: go on upgrading it by install.sh; or run hks-installer down, which keeps all data, and install the package then" >&2
		exit 1
	fi
	;;
esac
exit 0
