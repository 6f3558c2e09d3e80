#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# configure names the Debian package of a library that is not there.
. "${srcdir:=.}/tests/tap.sh"
configure=$(cd "$srcdir" && pwd)/configure

# All of pkg-config's modules but one.
modules_without()
{
	rm -rf "$work/pc"
	mkdir "$work/pc"
	pkg-config --variable pc_path pkg-config | tr ':' '\n' | while read -r dir; do
		[ ! -d "$dir" ] || find "$dir" -name '*.pc' -exec ln -sf '{}' "$work/pc" ';'
	done
	rm "$work/pc/$1.pc"
}

# without MODULE PACKAGE
without()
{
	modules_without "$1" || return 1
	cd "$work" || return 1
	if env -u PKG_CONFIG_PATH PKG_CONFIG_LIBDIR="$work/pc" "$configure"; then
		echo "configure went on without $1"
		return 1
	fi 2>&1 | tee log
	grep -q "^configure: error: $1 .*apt-get install $2\$" log
}

while read -r module package; do
	check "$module is in $package" without "$module" "$package"
done <<'TABLE'
fcgi libfcgi-dev
libcurl libcurl4-openssl-dev
json-c libjson-c-dev
libconfig libconfig-dev
sqlite3 libsqlite3-dev
libcrypto libssl-dev
libutf8proc libutf8proc-dev
expat libexpat1-dev
libseccomp libseccomp-dev
TABLE
done_testing
