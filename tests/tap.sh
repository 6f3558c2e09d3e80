# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# For the shell tests: a directory of their own in $work, and TAP.
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES
: "${srcdir:=.}" "${MW_BUILD:=.}"
n=0
work=$(mktemp -d "${TMPDIR:-/tmp}/mwtest.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

# check WHAT COMMAND...: one test; what the command prints is shown if it fails.
check()
{
	what=$1
	n=$((n + 1))
	shift
	if "$@" >"$work/output" 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		tail -n 40 "$work/output" | sed 's/^/# /'
	fi
}

skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

have()
{
	command -v "$1" >/dev/null 2>&1
}

done_testing()
{
	echo "1..$n"
}
