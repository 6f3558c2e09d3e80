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
#	MW_LIMIT	seconds after which all that this has started is killed

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

up()
{
	listens && { [ -z "$MW_PROBE" ] || printf '%s\n' "$MW_PROBE" | sh >/dev/null 2>&1; }
}

ended()
{
	[ -n "$MW_JOB" ] && [ -e "$MW_RUN_DIR/jobs/$MW_JOB/result" ]
}

wait_up()
{
	up && return
	for nap in $MW_NAPS; do
		ended && return 1
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
	if wait_up; then
		[ "$MW_PASS" != 1 ] || [ "$(passed)" = "passed $n" ] || note
		echo "gateway up"
	else
		echo "gateway down"
	fi
	passed
	trap '' TERM
	kill -TERM "-$$" 2>/dev/null
}

# The marker-to-be.  Who fills an instance looks for it at the end: still there, it is the
# same instance that was claimed, with all that was brought since.
claim()
{
	umask 077
	mkdir -p "$MW_RUN_DIR" && echo "$MW_CLAIM" >"$MW_RUN_DIR/instance.new"
}

main()
{
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
