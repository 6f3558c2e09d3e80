# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What of a sandbox is ready?  Run inside it by "sh" from standard input, as leader of a
# session of its own, with all of its data in the environment: neither this text nor the gateway's own probe is ever
# in an argv, where a probe like "pgrep -f gateway" would find it.  See ops/ready/probe.h.
#
#	MW_RUN_DIR	the driver's
#	MW_GATEWAY	1 = look at the gateway too
#	MW_PROBE	its probe command, "" = none
#	MW_PORT		its port in upper-case hex, "" = not checked
#	MW_NAPS		seconds to wait before each further look
#	MW_JOB		no further look once this job has ended
#	MW_PASS		1 = note down that the gateway has passed
#	MW_CLAIM	the marker that a fresh instance shall have once it is filled, "" = none
#	MW_WINDOW	1/100 s after which there is no further look
#	MW_EACH		seconds that the probe command gets: one that hangs is "not up"
#	MW_LIMIT	seconds after which all that this has started is killed
#	MW_SINCE	the process that has begun with the sandbox; MW_HOLDER, the driver's, is
#			known better

# Does anything listen on the port?  Where that cannot be seen, the probe decides.  Read
# at one go: a shell's "read" takes these files byte by byte, which is slow for each.
listens()
{
	[ -n "$MW_PORT" ] || return 0
	sockets=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
	case $sockets in
	'') return 0 ;;
	*":$MW_PORT 00000000:0000 0A "*) return 0 ;;
	*":$MW_PORT 00000000000000000000000000000000:0000 0A "*) return 0 ;;
	esac
	return 1
}

# The probe command, in a session of its own: with its time, all of it is over.
passes()
{
	[ -n "$MW_PROBE" ] || return 0
	printf '%s\n' "$MW_PROBE" | setsid sh >/dev/null 2>&1 &
	probe=$!
	setsid sh -c 'sleep "$1" 2>/dev/null || sleep 1; kill -9 "-$2"' sh "${MW_EACH:-10}" "$probe" \
	    >/dev/null 2>&1 &
	watch=$!
	wait "$probe"
	result=$?
	kill -9 "$watch" "-$watch" "-$probe"
	return "$result"
} 2>/dev/null

# born PID: when it began, in ticks since this boot.
born()
{
	read -r line <"/proc/$1/stat" || return 1
	# shellcheck disable=SC2086 # fields; the name before them may hold anything
	set -- ${line##*) }
	born=${20}
} 2>/dev/null

# Was a gateway started since the sandbox was?  What has outlived a sleep, a file with a
# pid, say, is no gateway.  One whose job is not to be found is known by its environment.
begun()
{
	[ -z "$begun" ] || return 0
	begun=yes
	[ -n "$MW_SINCE" ] || return 0
	read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id && born "${MW_HOLDER:-$MW_SINCE}" ||
	    return 0
	for d in "$MW_RUN_DIR"/jobs/gateway-*/started/by; do
		read -r _ when where _ 2>/dev/null <"$d" || continue
		[ "$where" != "$boot" ] || [ "${when:-0}" -lt "$born" ] || return 0
	done
	if [ "$n" -eq 0 ]; then
		case $(cat /proc/[0-9]*/environ) in
		*MW_GATEWAY_JOB=*)	return 0 ;;
		esac
	fi
	begun=
	return 1
} 2>/dev/null

up()
{
	listens && { [ -n "$MW_PORT" ] && [ -n "$sockets" ] || begun; } && passes
}

# The uptime in 1/100 s.
clock()
{
	now=0
	read -r now _ 2>/dev/null </proc/uptime || return 0
	now=${now%.*}${now#*.}
	now=${now#"${now%%[!0]*}"}
}

ended()
{
	[ -n "$MW_JOB" ] && [ -e "$MW_RUN_DIR/jobs/$MW_JOB/result" ]
}

wait_up()
{
	clock
	until=$((${now:-0} + ${MW_WINDOW:-100000000}))
	up && return
	for nap in $MW_NAPS; do
		clock
		! ended && [ "${now:-0}" -lt "$until" ] || return 1
		sleep "$nap" 2>/dev/null || sleep 1
		up && return
	done
	return 1
}

# The newest generation of the gateway that was started under this marker.
generation()
{
	n=0
	for d in "$MW_RUN_DIR/jobs/gateway-$marker-"*; do
		g=${d##*-}
		case $g in '' | 0* | *[!0-9]* | ?????????*) continue ;; esac
		[ "$g" -gt "$n" ] && n=$g
	done
	echo "generation $n"
}

# The generation that has passed last, if there is one.
passed()
{
	read -r of g <"$MW_RUN_DIR/gateway.passed"
	[ "$of" = "$marker" ] && echo "passed $g"
} 2>/dev/null

note()
{
	echo "$marker $n" >"$MW_RUN_DIR/gateway.new" &&
	    mv "$MW_RUN_DIR/gateway.new" "$MW_RUN_DIR/gateway.passed"
} 2>/dev/null

gateway()
{
	(sleep "$MW_LIMIT"; kill -9 "-$$") >/dev/null 2>&1 &
	generation
	begun=
	if wait_up; then
		[ "$MW_PASS" != 1 ] || [ "$(passed)" = "passed $n" ] || note
		echo "gateway up"
	elif begun; then
		echo "gateway down"
	else
		echo "gateway none"
	fi
	passed
	trap '' TERM
	kill -TERM "-$$" 2>/dev/null
}

# usable PATH: a directory, no link, in which things can be made; or it is not there.
usable()
{
	[ -e "$1" ] || [ -L "$1" ] || return 0
	[ ! -L "$1" ] && [ -d "$1" ] || return 1
	[ -r "$1" ] && [ -w "$1" ] && [ -x "$1" ] || chmod 700 "$1"
} 2>/dev/null

# What the sandbox's owner has broken goes aside; it is made anew when it is needed.
mend()
{
	for d in "$MW_RUN_DIR" "$MW_RUN_DIR/jobs" "$MW_RUN_DIR/in"; do
		usable "$d" || mv "$d" "$d.broken.$$"
	done
	d=$MW_RUN_DIR/instance
	if [ -L "$d" ] || { [ -e "$d" ] && [ ! -f "$d" ]; }; then
		mv "$d" "$d.broken.$$"
	fi
} 2>/dev/null

# The marker-to-be.  Who fills an instance looks for it at the end: still there, it is the
# same instance that was claimed, with all that was brought since.
claim()
{
	umask 077
	mkdir -p "$MW_RUN_DIR" && echo "$MW_CLAIM" >"$MW_RUN_DIR/instance.new"
}

main()
{
	[ "$MW_PASS" != 1 ] || mend
	marker=
	[ -f "$MW_RUN_DIR/instance" ] && read -r marker <"$MW_RUN_DIR/instance"
	case $marker in
	*[!0-9a-f]*) marker= ;;
	????????????????) ;;
	*) marker= ;;
	esac
	echo "marker ${marker:--}"
	[ -n "$marker" ] || [ -z "$MW_CLAIM" ] || claim || exit 1
	[ -z "$marker" ] || [ "$MW_GATEWAY" != 1 ] || gateway
	exit 0
}

main
