#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every fuzz target over its committed corpus; where they are fuzzers and
# MW_FUZZ_SECONDS is set, each searches on from there for so long.
: "${srcdir:=.}" "${MW_BUILD:=.}"
top=$(cd "$MW_BUILD" && pwd)
corpus=$(cd "$srcdir/tests/fuzz/corpus" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mwfuzz.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
n=0
for target in "$top"/tests/fuzz/fuzz_*; do
	name=${target##*/fuzz_}
	case $name in *.*) continue ;; esac
	n=$((n + 1))
	case $("$target" -help=1 2>&1) in
	*libFuzzer*)
		mkdir "found-$name"
		if [ -n "$MW_FUZZ_SECONDS" ]; then
			set -- "-max_total_time=$MW_FUZZ_SECONDS" -timeout=10 "found-$name"
		else
			set -- -runs=0
		fi
		;;
	*) set -- ;;
	esac
	if "$target" "$@" "$corpus/$name" >log 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		tail -n 30 log | sed 's/^/# /'
	fi
done
echo "1..$n"
