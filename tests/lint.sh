#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The scripts pass shellcheck, the manual page mandoc.
. "${srcdir:=.}/tests/tap.sh"
cd "$srcdir" || exit 99

scripts()
{
	find tests src -name '*.sh' ! -name tap.sh | sort
	echo bootstrap .ci/run tests/http/run tests/contain
}

for script in $(scripts); do
	if have shellcheck; then
		check "shellcheck $script" shellcheck -S warning -x "$script"
	else
		skip "shellcheck $script" "shellcheck is not installed"
	fi
done
if have mandoc; then
	check "mandoc -Tlint" mandoc -Tlint -W warning,stop doc/moltctl.1
else
	skip "mandoc -Tlint" "mandoc is not installed"
fi
done_testing
