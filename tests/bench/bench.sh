#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Measures reads that the object store serves, in pairs on this machine, now:
#
#	ours	files.fcgi behind lighttpd, the store being a stub that answers from memory
#	noop	a responder that answers a fixed document, behind the same lighttpd
#	nginx	nginx passing the stub's objects on as they are: no JSON, no signature
#
# In each round the three take turns; ratios are made within a round.  A round in
# which anything else used more than MAX_OTHER % of the processors is run again.
#
#	MW_BUILD=build tests/bench/bench.sh	(make bench does this)
#
# Environment: DUR=4 seconds a run, ROUNDS=3, TRIES=3 per round, MAX_OTHER=10,
# CONNS=10 connections, PROCS=4 responders, SIZES="1k 1m", OUT= a file that gets a
# line for every run, HOLD=1 starts everything, prints where, and waits for Enter.
set -u
: "${MW_BUILD:=.}" "${DUR:=4}" "${ROUNDS:=3}" "${TRIES:=3}" "${MAX_OTHER:=10}"
: "${CONNS:=10}" "${PROCS:=4}" "${SIZES:=1k 1m}" "${OUT:=}" "${HOLD:=}"
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$MW_BUILD" && pwd) || exit 1
PATH=$PATH:/usr/sbin:/sbin
KEYS=64 SECRET=bench-secret SYSTEMS='ours noop nginx'
declare -A URL PIDS SERVE=() NOTE=([ours]='this gateway' [noop]='no-op responder' [nginx]='nginx, raw object')
started=()

fail() { echo "bench: $*" >&2; exit 1; }

need() {
	local pair
	for pair in wrk:wrk curl:curl lighttpd:lighttpd nginx:nginx-light pgrep:procps awk:mawk; do
		command -v "${pair%:*}" >/dev/null || fail "${pair%:*} is missing (Debian: apt-get install ${pair#*:})"
	done
	for pair in moltctl files.fcgi health.fcgi tests/bench/stub tests/bench/noop; do
		[ -x "$build/$pair" ] || fail "$build/$pair is not built"
	done
}

# ---- starting and ending

cleanup() {
	local p
	for p in "${started[@]}"; do kill "$p" 2>/dev/null; done
	for p in "${started[@]}"; do wait "$p" 2>/dev/null; done
	rm -rf "$T"
}

# A port of 127.0.0.1 that nobody listens on.
free_port() {
	local p
	while :; do
		p=$((20000 + RANDOM % 10000))
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
	done
}

# wait_for URL: until it answers 200.
wait_for() {
	local i
	for i in $(seq 100); do
		[ "$(curl -s -o /dev/null -w '%{http_code}' -H "X-Admin-Secret: $SECRET" "$1")" = 200 ] && return
		sleep 0.1
	done
	tail -n 5 "$T"/*.log >&2
	fail "$1 does not answer"
}

start_stub() {
	STUB=$(free_port)
	"$build/tests/bench/stub" "$STUB" >"$T/stub.out" 2>"$T/stub.log" &
	started+=($!)
	stub_pid=$!
	wait_for "http://127.0.0.1:$STUB/__stats"
}

# Text as files hold it: quotes and newlines to escape.
seed() {
	local i at=http://127.0.0.1:$STUB/bench/users/bench
	awk 'BEGIN { for (i = 0; i < 30000; i++) printf "\t{ \"row\": %d, \"note\": \"plain\" },\n", i }' \
	    </dev/null | head -c 1048576 >"$T/1m"
	head -c 1024 "$T/1m" >"$T/1k"
	for i in $(seq "$KEYS"); do
		[ "$i" = 1 ] || echo next
		printf 'url = "%s/k%d"\nupload-file = "%s/1k"\nheader = "Expect:"\n' "$at" "$i" "$T"
	done >"$T/seeds"
	curl -fsS -K "$T/seeds" && curl -fsS -H Expect: -T "$T/1m" "$at/1m" || fail 'cannot fill the stub'
}

# serve NAME: lighttpd and pools of the programs in $T/NAME.
serve() {
	local port
	port=$(free_port)
	MOLTWORKER_LIBEXEC=$T/$1 MOLTWORKER_DATA=$T/data "$T/ours/moltctl" serve --server lighttpd \
	    --procs "$PROCS" --port "$port" --config "$T/conf/bench.conf" --dir "$T/run.$1" \
	    </dev/null >>"$T/$1.log" 2>&1 &
	started+=($!)
	SERVE[$1]=$!
	URL[$1]=http://127.0.0.1:$port/api/super/users/bench/files
	wait_for "${URL[$1]}/1m"
	PIDS[$1]=$(pool "${SERVE[$1]}")
}

# The processes of a pool: the one that serve started, and its children.
pool() {
	local first
	first=$(pgrep -P "$1" -x files.fcgi)
	echo "$first $(pgrep -d ' ' -P "$first")"
}

# Copies: root's build directory may be closed to the user that serves.
prepare() {
	mkdir -p "$T"/{ours,noop,data,conf,state,boxes,run.ours,run.noop,nginx}
	cp "$build"/{moltctl,files.fcgi,health.fcgi} "$T/ours/"
	cp "$build/health.fcgi" "$T/noop/"
	cp "$build/tests/bench/noop" "$T/noop/files.fcgi"
	cp -R "$here/../../etc/." "$T/data/"
	echo "$SECRET" >"$T/conf/admin.secret"
	echo bench >"$T/conf/s3.secret"
	chmod 600 "$T"/conf/*.secret
	cat >"$T/conf/bench.conf" <<-CONF
		auth: { secret_file = "$T/conf/admin.secret"; };
		store: { driver = "s3"; s3: { endpoint = "http://127.0.0.1:$STUB"; bucket = "bench";
		    access_key_id = "bench"; secret_key_file = "$T/conf/s3.secret"; }; };
		sandbox: { driver = "local"; local: { path = "$T/boxes"; isolation = "none"; }; };
		state: { path = "$T/state"; };
	CONF
	[ "$(id -u)" != 0 ] || chown -R "$(id -u moltworker 2>/dev/null || id -u www-data)" \
	    "$T"/{conf,state,boxes,run.ours,run.noop}
}

start_nginx() {
	local port user=
	port=$(free_port)
	[ "$(id -u)" != 0 ] || user='user www-data;'
	cat >"$T/nginx/nginx.conf" <<-CONF
		daemon off; $user worker_processes 2; pid $T/nginx/pid; error_log stderr warn;
		events { worker_connections 1024; }
		http {
		    access_log off; client_body_temp_path $T/nginx/b; proxy_temp_path $T/nginx/p;
		    fastcgi_temp_path $T/nginx/f; uwsgi_temp_path $T/nginx/u; scgi_temp_path $T/nginx/s;
		    proxy_max_temp_file_size 0; proxy_buffers 16 64k;
		    upstream stub { server 127.0.0.1:$STUB; keepalive 64; }
		    server {
		        listen 127.0.0.1:$port;
		        location /api/super/users/bench/files/ {
		            proxy_http_version 1.1; proxy_set_header Connection "";
		            proxy_pass http://stub/bench/users/bench/;
		        }
		    }
		}
	CONF
	nginx -e stderr -p "$T/nginx" -c "$T/nginx/nginx.conf" </dev/null >"$T/nginx.log" 2>&1 &
	started+=($!)
	URL[nginx]=http://127.0.0.1:$port/api/super/users/bench/files
	wait_for "${URL[nginx]}/1m"
	PIDS[nginx]=$(pgrep -d ' ' -P $!)
}

# ---- measuring

# Clock ticks that processes have used.
ticks() {
	local p
	for p in "$@"; do sed 's/.*) //' "/proc/$p/stat"; done 2>/dev/null |
	    awk '{ t += $12 + $13 } END { print t + 0 }'
}

all_pids() { echo "$stub_pid" "${PIDS[nginx]}" "${PIDS[ours]}" "${PIDS[noop]}" "$(pgrep -d ' ' -P "${SERVE[ours]},${SERVE[noop]}" -x lighttpd)"; }

# Ticks of all processors: used (with what the host stole), and all.
machine() { awk '/^cpu /{ u = $2 + $3 + $4 + $7 + $8 + $9; print u, u + $5 + $6 }' /proc/stat; }

# Mean PSS of processes, in KiB.
pss() {
	local p
	for p in "$@"; do cat "/proc/$p/smaps_rollup"; done 2>/dev/null |
	    awk '/^Pss:/ { t += $2; n++ } END { print n ? t / n : 0 }'
}

calls() { curl -fsS "http://127.0.0.1:$STUB/__stats" | awk '/^(get|head|put|delete) / { t += $2 } END { print t }'; }

# Upstream calls of KEYS reads of 1 KiB, one after the other: wrk leaves some unfinished.
exact_calls() {
	local before i
	before=$(calls)
	for i in $(seq "$KEYS"); do
		[ "$i" = 1 ] || echo next
		printf 'url = "%s/k%d"\noutput = "/dev/null"\nheader = "X-Admin-Secret: %s"\n' "${URL[ours]}" "$i" "$SECRET"
	done >"$T/reads"
	curl -fsS -K "$T/reads" || fail 'a read failed'
	echo $(($(calls) - before))
}

lua() {
	cat >"$T/wrk.lua" <<-LUA
		local reqs, i = {}, 0
		function init(args)
			local n = args[1] == "1k" and $KEYS or 1
			for k = 1, n do
				reqs[k] = wrk.format("GET", wrk.path .. (args[1] == "1k" and "/k" .. k or "/1m"),
				    { ["X-Admin-Secret"] = "$SECRET" })
			end
		end
		function request() i = i % #reqs + 1; return reqs[i] end
		function done(s, l)
			local e = s.errors
			io.write(string.format("RESULT %d %d %.3f %.3f %d\n", s.requests, s.duration,
			    l:percentile(50) / 1000, l:percentile(99) / 1000,
			    e.status + e.connect + e.read + e.write + e.timeout))
		end
	LUA
}

# run SYSTEM SIZE SECONDS: rps p50 p99 errors cpu-us/request calls/request PSS other%
run() {
	local sys=$1 size=$2 sec=$3 c0 c1 m0 m1 o0 o1 u0 u1 load all TIMEFORMAT='%U %S'
	all=$(all_pids)
	[ -z "${SERVE[$sys]:-}" ] || : >"$T/$sys.log"
	u0=$(calls) c0=$(ticks ${PIDS[$sys]}) o0=$(ticks $all) m0=$(machine)
	{ sleep "$(awk "BEGIN { print $sec * 0.75 }")"; pss ${PIDS[$sys]}; } >"$T/pss" &
	local sampler=$!
	{ time wrk -t1 -c"$CONNS" -d"$sec" -s "$T/wrk.lua" "${URL[$sys]}" -- "$size" >"$T/wrk.out" 2>&1; } 2>"$T/wrk.time"
	m1=$(machine) c1=$(ticks ${PIDS[$sys]}) o1=$(ticks $all)
	wait "$sampler"
	load=$(cat "$T/pss") u1=$(calls)
	awk -v c=$((c1 - c0)) -v own=$((o1 - o0)) -v calls=$((u1 - u0)) -v m="$m0 $m1" -v hz="$(getconf CLK_TCK)" \
	    -v wrk="$(cat "$T/wrk.time")" -v pss="$load" '
	    /^RESULT/ {
		split(m, M, " "); split(wrk, W, " ")
		other = 100 * (M[3] - M[1] - own - (W[1] + W[2]) * hz) / (M[4] - M[2])
		printf "%.1f %s %s %d %.2f %.3f %.0f %.0f\n", $2 * 1e6 / $3, $4, $5, $6, c * 1e6 / hz / $2,
		    calls / $2, pss, (other > 0 ? other : 0)
		found = 1
	    }
	    END { exit !found }' "$T/wrk.out" || { cat "$T/wrk.out" >&2; fail "wrk failed against $sys"; }
}

# One round of all systems; tried again while somebody else is busy, the calmest one is kept.
round() {
	local size=$1 r=$2 t s worst best=
	for t in $(seq "$TRIES"); do
		: >"$T/try"
		for s in $SYSTEMS; do echo "$s $(run "$s" "$size" "$DUR")" >>"$T/try"; done
		[ -z "$OUT" ] || sed "s/^/$size $r.$t /" "$T/try" >>"$OUT"
		worst=$(awk '$9 > m { m = $9 } END { print m + 0 }' "$T/try")
		if [ -z "$best" ] || [ "$worst" -lt "$best" ]; then best=$worst; cp "$T/try" "$T/best"; fi
		[ "$worst" -gt "$MAX_OTHER" ] || break
	done
	cat "$T/best" >>"$T/runs.$size"
}

# ---- telling

report() {
	local size=$1 s
	printf '\n%s object, %d connections, %d responders, %d rounds of %s s\n' "${size/1m/1 MiB}" "$CONNS" "$PROCS" "$ROUNDS" "$DUR" | sed 's/^1k/1 KiB/'
	printf '%-18s %8s %-22s %8s %8s %8s %9s %18s %7s %6s\n' '' rps 'ours / this' 'p50 ms' 'p99 ms' 'cpu us' 'calls' 'PSS MiB' errors other%
	for s in $SYSTEMS; do
		awk -v s="$s" -v name="${NOTE[$s]}" -v idle="${IDLE[$s]}" '
		    $1 == "ours" { ours = $2 }
		    $1 == s { rps[++n] = $2; p50 += $3; p99 += $4; err += $5; cpu += $6; calls += $7
			if ($8 > pss) pss = $8
			if ($9 > other) other = $9 }
		    $1 == "ours" { o[++k] = $2 }
		    END {
			for (i = 1; i <= n; i++) {
				q = o[i] / rps[i]; t += rps[i]; sum += q
				if (i == 1 || q < lo) lo = q
				if (i == 1 || q > hi) hi = q
			}
			ratio = s == "ours" ? "" : sprintf("%.2f (%.2f to %.2f)", sum / n, lo, hi)
			printf "%-18s %8.0f %-22s %8.2f %8.2f %8.0f %9.2f %18s %7d %6d\n", name, t / n, ratio, p50 / n, p99 / n,
			    cpu / n, calls / n, sprintf("%.2f, load %.2f", idle / 1024, pss / 1024), err, other
		    }' "$T/runs.$size"
	done
}

# target TEXT VALUE LIMIT at-least|at-most|exactly
target() {
	awk -v t="$1" -v v="$2" -v l="$3" -v k="$4" 'BEGIN {
	    good = k == "at-least" ? v >= l : k == "at-most" ? v <= l : v == l
	    sub("-", " ", k)
	    printf "%-52s %8.2f  (%s %s): %s\n", t, v, k, l, good ? "reached" : "MISSED" }'
}

targets() {
	local f=$T/runs.1k
	echo
	if [ -f "$f" ]; then
		target '1 KiB: ours / no-op, mean of the rounds' "$(awk '$1 == "ours" { o = $2 } $1 == "noop" { t += o / $2; n++ } END { print t / n }' "$f")" 0.55 at-least
		target "1 KiB: upstream calls of $KEYS reads" "$(exact_calls)" "$KEYS" exactly
		target '1 KiB: CPU of the responders, us per request' "$(awk '$1 == "ours" { t += $6; n++ } END { print t / n }' "$f")" 100 at-most
	fi
	target 'PSS of an idle responder, MiB' "$(awk "BEGIN { print ${IDLE[ours]} / 1024 }")" 2 at-most
}

# ---- the whole

need
T=$(mktemp -d "${TMPDIR:-/tmp}/moltworker-bench.XXXXXX") || exit 1
chmod 755 "$T"
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
start_stub
seed
prepare
start_nginx
serve ours
declare -A IDLE=([ours]=$(pss ${PIDS[ours]}))	# before the other pool shares its pages
serve noop
IDLE[noop]=$(pss ${PIDS[noop]})
IDLE[nginx]=$(pss ${PIDS[nginx]})
lua
if [ -n "$HOLD" ]; then
	for s in $SYSTEMS; do echo "$s ${URL[$s]} responders ${PIDS[$s]}"; done
	echo "secret $SECRET, wrk script $T/wrk.lua, stub port $STUB; Enter ends"
	read -r _
	exit 0
fi
echo "$(date -u +%F) $(uname -sr), $(nproc) processors, $(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
for size in $SIZES; do
	for s in $SYSTEMS; do run "$s" "$size" 1 >/dev/null; done
	for r in $(seq "$ROUNDS"); do round "$size" "$r"; done
	report "$size"
done
targets
