#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What a script can check of the house style.
. "${srcdir:=.}/tests/tap.sh"
cd "$srcdir" || exit 99

sources()
{
	find src bin cgi-bin tests -name '*.[ch]' | sort
}

product()
{
	find src bin cgi-bin -name '*.[ch]' | sort
}

# nothing LINES: what was found, if anything.
nothing()
{
	[ -z "$1" ] || {
		printf '%s\n' "$1"
		return 1
	}
}

banned()
{
	# shellcheck disable=SC2046 # file names without blanks
	nothing "$(grep -nE '\<(atoi|atol|sscanf|strcpy|strcat|sprintf|vsprintf|strtok|gets|system|popen)\(' $(product))"
}

has_spdx()
{
	# shellcheck disable=SC2046
	nothing "$({
		sources
		find tests -name '*.sh' -o -name '*.py' -o -path tests/http/run -o -path tests/contain
		echo bootstrap .ci/run configure.ac Makefile.am m4/moltworker.m4 doc/moltctl.1
	} | xargs grep -L 'SPDX-License-Identifier: BSD-2-Clause')"
}

# 500 lines of product code, 700 of a test with its tables.
not_long()
{
	sources | xargs wc -l | awk '$2 != "total" && $1 > ($2 ~ /^tests\// ? 700 : 500) { print; bad = 1 }
	    END { exit bad }'
}

# only_in HEADER DIRECTORY: nobody else in the product includes it.
only_in()
{
	grep -rqE "#include [<\"]$1" "$2" || {
		echo "nobody includes $1 at all"
		return 1
	}
	nothing "$(product | grep -v "^$2/" | xargs grep -nE "#include [<\"]$1")"
}

# Every sandbox handle of the product shares what is known of who is awake.
opened_by_app()
{
	nothing "$(product | grep -v -e '^src/sandbox/' -e '^src/app/app\.c$' \
	    -e '^bin/serve_sandboxes\.c$' | xargs grep -nE '\<mw_sandbox_open\(')"
}

# A line of the table: a folder of src, and the folders whose headers its files may include.
# A folder that no line names fails.
layers()
{
	rows=$(cat <<'TABLE'
base
conf base
http base conf
net base
store base conf net
state base
sandbox base conf
sandbox/agent
sandbox/local base conf sandbox sandbox/agent
sandbox/engine base conf net sandbox sandbox/local
sandbox/remote base net sandbox sandbox/engine
app base conf http net store state sandbox
ops/ready base conf state sandbox app
ops/job base app
ops/files base state app ops/ready
ops/sync base conf state sandbox app ops/ready ops/files
ops/exec base state app ops/ready ops/job ops/files
ops/config base app ops/ready ops/files
ops/wake base state app ops/ready ops/job ops/files ops/sync
ops/fleet base app ops/ready ops/sync ops/exec ops/config ops/wake
TABLE
	)
	nothing "$({ echo "$rows"; find src -name '*.[ch]' | while read -r file; do
		dir=${file#src/}
		sed -n 's/^#include "\([a-z_\/]*\)\/[a-z0-9_.]*".*/\1/p' "$file" |
		    sed "s|^|$file ${dir%/*} |"
		echo "$file ${dir%/*} ${dir%/*}"
	done; } | awk '$1 !~ /^src\// { known[$1] = 1; for (i = 2; i <= NF; i++) may[$1, $i] = 1; next }
	    !known[$2] { print $1 ": no row for src/" $2; next }
	    $2 != $3 && !may[$2, $3] { print $1 " includes from " $3 }')"
}

# A .c and the header of its name are one thing here, and so is what a folder's internal.h
# speaks for.  What another folder is included for must not lead back.
circles()
{
	nothing "$(find src -name '*.[ch]' | while read -r file; do
		name=${file#src/}
		sed -n 's/^#include "\([a-z_\/0-9]*\)\.h".*/\1/p' "$file" | sed "s|^|${name%.[ch]} |"
	done | awk '
	    function folder(x) { sub(/\/[^\/]*$/, "", x); return x }
	    function thing(x) { return x ~ /\/internal$/ ? folder(x) "/*" : x }
	    function leads(x, goal,    i, n, next_of) {
		if (x == goal) return 1
		if (x in seen) return 0
		seen[x] = 1
		n = split(uses[x], next_of, " ")
		for (i = 1; i <= n; i++) if (leads(next_of[i], goal)) return 1
		return 0
	    }
	    { a = thing($1); b = thing($2) }
	    a != b && !((a, b) in has) { has[a, b] = 1; uses[a] = uses[a] " " b }
	    END {
		for (pair in has) {
			split(pair, ab, SUBSEP)
			split("", seen)
			if (folder(ab[1]) != folder(ab[2]) && leads(ab[2], ab[1]))
				print ab[1] " -> " ab[2] ": a circle"
		}
	    }')"
}

# Each .c of src is declared by a header of its own name or its family's (s3_put.c: s3.h),
# by its folder's internal.h, or by the header that bears the folder's name.
declared()
{
	nothing "$(find src -name '*.c' ! -path src/sandbox/agent/main.c | while read -r file; do
		own=${file#src/} dir=${file%/*}
		own=${own%.c}
		grep -qE "^#include \"($own|${own%%_*}|${own%/*}/internal|${own%/*}/${dir##*/})\.h\"" "$file" ||
		    echo "$file"
	done)"
}

# What a source is for stands right below its licence line.
says_what_for()
{
	nothing "$(product | while read -r file; do
		sed -n 2p "$file" | grep -q '^/\*' || echo "$file"
	done)"
}

short_functions()
{
	product | grep '\.c$' | xargs awk 'FNR == 1 { name = "" }
	    /^[a-z_0-9]+\(/ { name = $0; began = FNR }
	    /^}/ { if (name != "" && FNR - began >= 60) { print FILENAME ": " FNR - began + 1 " lines: " name; bad = 1 }
		name = "" }
	    END { exit bad }'
}

unfinished()
{
	# shellcheck disable=SC2046
	nothing "$(grep -nE '\<(TODO|FIXME|XXX)\>' $(sources))"
}

# A test that no list of Makefile.am names would never be run.
all_listed()
{
	for t in tests/*/test_*.py tests/*/test_*.c tests/*.sh; do
		case $t in tests/tap.sh) continue ;; esac
		grep -qE "(^|[[:space:]])${t%.c}([[:space:]]|\$)" Makefile.am || echo "$t is in no list"
	done | { ! grep .; }
}

check "every test is in a list of Makefile.am" all_listed
check "no banned function" banned
check "an SPDX line in every source" has_spdx
check "no file of more than 500 lines, no test of more than 700" not_long
check "only net/ knows curl" only_in 'curl/' src/net
check "only http/ knows libfcgi" only_in 'fcgi' src/http
check "only sandbox/local knows libseccomp" only_in 'seccomp' src/sandbox/local
check "only state/ knows SQLite" only_in 'sqlite3' src/state
check "only conf/ knows libconfig" only_in 'libconfig' src/conf
check "layers include downwards only" layers
check "no circle between folders" circles
check "every .c of src has its header" declared
check "every source says what it is for" says_what_for
check "no function of more than 60 lines" short_functions
check "only app/app.c opens sandboxes for requests" opened_by_app
check "nothing is marked as unfinished" unfinished
done_testing
