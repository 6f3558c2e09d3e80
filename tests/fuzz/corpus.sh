#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every fuzz target over its committed corpus.
: "${MW_BUILD:=.}"
n=0
for target in "$MW_BUILD"/tests/fuzz/fuzz_*; do
	name=${target##*/fuzz_}
	case $name in *.*) continue ;; esac
	n=$((n + 1))
	case $("$target" -help=1 2>&1) in
	*libFuzzer*) set -- -runs=0 ;;
	*) set -- ;;
	esac
	if out=$("$target" "$@" "$srcdir/tests/fuzz/corpus/$name" 2>&1); then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		printf '%s\n' "$out" | tail -n 30 | sed 's/^/# /'
	fi
done
echo "1..$n"
