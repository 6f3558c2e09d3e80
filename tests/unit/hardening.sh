#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The hardening that configure asked for is in the programs that were built.
: "${MW_BUILD:=.}"
n=0
# what=NAME check COMMAND...
# shellcheck disable=SC2154
check()
{
	n=$((n + 1))
	if "$@"; then echo "ok $n - $what"; else echo "not ok $n - $what"; fi
}

has() { readelf -lWd "$program" 2>/dev/null | grep -q "$1"; }
stack_not_executable() { readelf -lW "$program" | grep GNU_STACK | grep -q 'RW '; }
is_pie() { readelf -hW "$program" | grep -q 'DYN'; }

if [ "$MW_HARDENED" != yes ]; then
	echo "1..0 # SKIP built without hardening"
	exit 0
fi
for name in files.fcgi health.fcgi moltctl agent; do
	program=$MW_BUILD/$name
	what="$name is position independent" check is_pie
	what="$name has RELRO" check has GNU_RELRO
	what="$name binds at start" check has 'BIND_NOW\|FLAGS_1.*NOW'
	what="$name has no executable stack" check stack_not_executable
done
echo "1..$n"
