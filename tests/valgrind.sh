#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Valgrind's memcheck over unit tests; tests/fault/test_valgrind.py has requests.
. "${srcdir:=.}/tests/tap.sh"
have valgrind || {
	echo "1..0 # SKIP valgrind is not installed"
	exit 0
}
[ "$MW_SANITIZED" != yes ] || {
	echo "1..0 # SKIP built with sanitizers"
	exit 0
}

memcheck()
{
	valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
	    --child-silent-after-fork=yes --suppressions="$srcdir/tests/valgrind.supp" "$@"
}

unit()
{
	memcheck "$MW_BUILD/tests/unit/test_$1" >"$work/tap" || {
		tail -n 5 "$work/tap"
		return 1
	}
	! grep '^not ok' "$work/tap"
}

for test in arena auth body buf clock conf json path range request response route s3_xml \
    secret shm sigv4 spool str utf8; do
	check "unit test of $test" unit "$test"
done
done_testing
