# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# The job wrapper.  It runs inside the sandbox, where a command shall run at most
# once however often it is asked for; ops/job/job.c is its only caller.  It needs
# sh mkdir mv rm kill setsid sleep head tail base64 cat, and /proc.
#
#	run ID MARKER WAIT OUT_AT ERR_AT MAX LIMIT STORED KEEP COMMAND ENV STDIN PARTS
#			start the job unless it was started, and wait for its end
#	wait ID MARKER WAIT OUT_AT ERR_AT MAX	wait for its end
#	look ID MARKER WAIT OUT_AT ERR_AT MAX	wait until something is new
#	kill ID MARKER WAIT OUT_AT ERR_AT MAX	end it, and look
#	supervise ID LIMIT STORED, child ID	its own parts
#
# before them: the name of the file that holds what the caller sent, and how much
# of its beginning is this script.  Then follow COMMAND, ENV and STDIN bytes (-1 =
# no STDIN) and "end ID".  PARTS > 0: all but the script came in so many parts
# before, RUN_DIR/in/ID.1 and on.  Times are ms.  What ended KEEP ago is removed.
#
#	RUN_DIR/instance	the marker
#	RUN_DIR/pruned		when old jobs were removed
#	RUN_DIR/reserve		room for a command that shall empty a full disk
#	RUN_DIR/jobs/ID/	made beside and renamed, so complete from the start:
#		command		what sh runs
#		env		working directory and environment: "NAME LINES", then so
#				many lines of value; the name of the directory is "/"
#		stdin		if there is any
#		out err		what it wrote so far; out.cut err.cut: the rest was dropped
#		by.PID		who may have been given the permission to run
#		started/	the permission: whoever makes this directory runs the job.
#				Never undone, never timed out
#			by	the process that will write the result
#			pid	the command itself, leader of its session
#		killed timeout	why it was ended
#		error		it could not be started: why
#		result		STATE EXIT TIME; the last to appear, by renaming
#		reserve		the room for it, on a disk that the command may fill
#		since		when it was first seen after a restart: it is kept from then
#
# A process is "PID START BOOT": its number, when it was started, in which boot.
#
# Exit status 75: nothing was started, for want of room.  Else the answer is one line, "mw1 STATE EXIT BEGUN ENDED NOW CUT", "out", base64 of at
# most MAX bytes from OUT_AT (negative: of the last ones), "err", the same, "end
# ID".  The times are the sandbox's uptime in 1/100 s.  "-" = not known.

# shellcheck disable=SC2153 # the sandbox's own names
mw_run_dir=$MW_RUN_DIR
mw_self=$0

# ---- small things ----

# mw_now: the uptime in 1/100 s.
clock()
{
	read -r mw_now _ </proc/uptime
	mw_now=${mw_now%.*}${mw_now#*.}
	while :; do
		case $mw_now in
		0?*)	mw_now=${mw_now#0} ;;
		*)	break ;;
		esac
	done
}

# Of a process whose name has more than one line.
whole()
{
	mw_line=
	while read -r mw_rest; do
		mw_line="$mw_line $mw_rest"
	done
	mw_line=${mw_line# }
	[ -n "$mw_line" ]
}

# mw_state, mw_session, mw_born: of a process.  Its name, in brackets, may hold anything.
process()
{
	read -r mw_line 2>/dev/null <"/proc/$1/stat" || return 1
	case $mw_line in
	*") "*)	;;
	*)	whole 2>/dev/null <"/proc/$1/stat" || return 1 ;;
	esac
	mw_pid=${mw_line%% *}
	# shellcheck disable=SC2086 # fields
	set -- ${mw_line##*) }
	mw_state=$1
	mw_session=$4
	mw_born=${20}
}

boot()
{
	read -r mw_boot 2>/dev/null </proc/sys/kernel/random/boot_id || mw_boot=-
}

# identify FILE: write down who we are.  A subshell is another process than $$.
identify()
{
	process self && clock && echo "$mw_pid $mw_born $mw_boot $mw_now" >"$1"
}

# alive FILE: does the process that it names still run?
alive()
{
	read -r mw_who mw_when mw_where _ 2>/dev/null <"$1" || return 1
	[ "$mw_where" = "$mw_boot" ] && process "$mw_who" &&
	    [ "$mw_born" = "$mw_when" ] && [ "$mw_state" != Z ] && [ "$mw_state" != X ]
}

# nap MS
nap()
{
	mw_ms=00$(($1 % 1000))
	sleep "$(($1 / 1000)).${mw_ms#"${mw_ms%???}"}" 2>/dev/null || sleep 1
}

finish()
{
	rm -f "$mw_job/reserve"
	clock
	echo "$1 $2 $mw_now" >"$mw_job/result.new" && mv "$mw_job/result.new" "$mw_job/result"
}

# ---- the command ----

# The process that becomes the command.
child()
{
	identify "$mw_job/started/pid"
	alive "$mw_job/started/by" || return 0
	mw_file=$mw_job/command
	if [ "$mw_name" != "$mw_id" ]; then
		mw_file=$mw_run_dir/in/$mw_name
		cat "$mw_job/command" >"$mw_file"
	fi
	set -- "$(command -v sh)" "$mw_file"
	cd "$MW_ROOT" || :
	defaults
	[ ! -f "$mw_job/env" ] || environment <"$mw_job/env" || return 126
	# From here on only what "set" has kept is ours.
	exec "$@"
}

# Its own name, as "id -un" has it, in mw_user.
user()
{
	mw_user=user
	while read -r mw_name mw_uid _; do
		[ "$mw_name" != Uid: ] || break
	done </proc/self/status
	while IFS=: read -r mw_name _ mw_line _; do
		[ "$mw_line" != "$mw_uid" ] || { mw_user=$mw_name && break; }
	done </etc/passwd
} 2>/dev/null

# default NAME VALUE: unless the sandbox's environment has it.  A shell's own variable
# of that name does not count.
default()
{
	case "
$mw_have" in
	*"
export $1="*)	;;
	*)		export "$1=$2" ;;
	esac
}

# What programs rely on, as at a login.
defaults()
{
	mw_have=$(export -p)
	user
	default HOME "$MW_ROOT"
	default USER "$mw_user"
	default LOGNAME "$mw_user"
	default SHELL /bin/sh
	default PATH /usr/local/bin:/usr/bin:/bin
	default LANG C.UTF-8
	default TERM dumb
}

# into DIRECTORY: one that is relative is below the user's root.
into()
{
	case $1 in
	/*)	cd "$1" 2>/dev/null || return 1 ;;
	*)	cd "$MW_ROOT/$1" 2>/dev/null || return 1 ;;
	esac
}

environment()
{
	while read -r mw_name mw_lines; do
		mw_value=
		IFS= read -r mw_value
		while [ "$mw_lines" -gt 1 ]; do
			IFS= read -r mw_line
			mw_value="$mw_value
$mw_line"
			mw_lines=$((mw_lines - 1))
		done
		if [ "$mw_name" != / ]; then
			export "$mw_name=$mw_value"
		elif ! into "$mw_value"; then
			printf 'cannot change to %s\n' "$mw_value" >"$mw_job/error"
			return 1
		fi
	done
}

# pump STREAM: store what comes in, up to the limit, and go on reading: nobody
# who still writes shall be stopped by that.
pump()
{
	(
		process self
		echo "$mw_pid" >"$mw_job/pump.$1"
		trap '' XFSZ
		ulimit -f "$mw_blocks"
		exec cat >>"$mw_job/$1"
	) || {
		: >"$mw_job/$1.cut"
		exec cat >/dev/null
	}
}

# Has the pump of this stream nothing left in hand?  It ends, or sleeps, when the
# pipe is empty: something that the command left running holds it open.
dry()
{
	read -r mw_pump 2>/dev/null <"$mw_job/pump.$1" && [ -n "$mw_pump" ] || return 1
	! process "$mw_pump" || [ "$mw_state" = Z ] || [ "$mw_state" = S ]
}

# The command has ended: wait until all that it wrote is stored.
drain()
{
	mw_turn=0
	mw_quiet=0
	while [ "$mw_turn" -lt 200 ]; do
		mw_turn=$((mw_turn + 1))
		if dry out && dry err; then
			mw_quiet=$((mw_quiet + 1))
			[ "$mw_quiet" -lt 3 ] || return 0
		else
			mw_quiet=0
		fi
		[ "$mw_turn" -lt 20 ] || nap 10
	done
}

# signal NAME: to all of the command's session, whose groups may be many.  Is anybody
# in it?  The session's number is nobody else's as long as one of them lives.
signal()
{
	read -r mw_leader mw_when _ 2>/dev/null <"$mw_job/started/pid" || return 1
	! process "$mw_leader" || [ "$mw_born" = "$mw_when" ] || return 1
	mw_found=1
	for mw_file in /proc/[0-9]*; do
		process "${mw_file#/proc/}" || continue
		case $mw_session.$mw_state in
		"$mw_leader".[ZX])	;;
		"$mw_leader".*)		kill -s "$1" "$mw_pid" 2>/dev/null && mw_found=0 ;;
		esac
	done
	return "$mw_found"
}

# It was told to end, and its leader has: the others have two seconds as well.
clear_session()
{
	mw_turn=0
	while [ "$mw_turn" -lt 40 ] && signal 0; do
		mw_turn=$((mw_turn + 1))
		nap 50
	done
	# What one of them has started meanwhile was not seen.
	while [ "$mw_turn" -lt 100 ] && signal KILL; do
		mw_turn=$((mw_turn + 1))
	done
}

# End the command when its time is over.  In short naps: nobody has to end us.
limit()
{
	clock
	mw_end=$((mw_now + mw_limit / 10))
	while mw_left=$(((mw_end - mw_now) * 10)) && [ "$mw_left" -gt 0 ]; do
		[ "$mw_left" -lt 1000 ] || mw_left=1000
		nap "$mw_left"
		[ -d "$mw_job" ] && [ ! -f "$mw_job/result" ] || return 0
		clock
	done
	until [ -s "$mw_job/started/pid" ] || [ -f "$mw_job/result" ]; do
		[ -d "$mw_job" ] || return 0
		nap 50
	done
	alive "$mw_job/started/pid" || return 0
	: >"$mw_job/timeout"
	signal TERM
	nap 2000
	[ -f "$mw_job/result" ] || ! alive "$mw_job/started/pid" || signal KILL
}

# Runs the command, and lives until its result is written.  1 and 3 are the pipes.
runner()
{
	identify "$mw_job/started/by"
	alive "$mw_job/by.$$" || return 0
	if [ "$mw_limit" -gt 0 ]; then
		(
			exec >/dev/null 3>&-
			limit
		) &
	fi
	mw_input=$mw_job/stdin
	[ -f "$mw_input" ] || mw_input=/dev/null
	# A shell that redirects for a child itself would tell the pipe of its death.
	(exec setsid sh "$mw_self" - 0 child "$mw_name" <"$mw_input" 2>&3 3>&-)
	mw_code=$?
	exec >/dev/null 3>&-
	mw_ended=exited
	if [ -f "$mw_job/killed" ]; then
		mw_ended=killed
	elif [ -f "$mw_job/timeout" ]; then
		mw_ended=timeout
	elif [ -f "$mw_job/error" ]; then
		mw_ended=error
	fi
	case $mw_ended in
	killed | timeout)	clear_session ;;
	esac
	drain
	finish "$mw_ended" "$mw_code"
}

# In a session of its own, with nothing of the call that started it.
supervise()
{
	boot
	identify "$mw_job/by.$$" 2>/dev/null || return 0
	mkdir "$mw_job/started" 2>/dev/null || return 0
	mw_blocks=$((mw_stored / 512))
	[ "$mw_blocks" -gt 0 ] || mw_blocks=1
	# No "&" on the way to the command: it would make it ignore INT and QUIT for ever.
	{
		exec 3>&1 >/dev/null
		runner | {
			exec 3>&-
			pump out
		}
	} | pump err
}

# ---- a call ----

# piece FROM LENGTH: of what was sent.
piece()
{
	tail -c "+$(($1 + 1))" "$mw_sent" | head -c "$2"
}

# The parts, if there are any, as if they had come with this call.
gather()
{
	[ "$mw_parts" -gt 0 ] || return 0
	set --
	while [ $# -lt "$mw_parts" ]; do
		set -- "$@" "$mw_run_dir/in/$mw_name.$(($# + 1))"
	done
	cat "$@" >"$mw_sent" 2>/dev/null && mw_skip=0
}

# What makes up a job, in $mw_new.  It fails only where it cannot be stored.
fill()
{
	mkdir "$mw_new" && : >"$mw_new/out" && : >"$mw_new/err" &&
	    printf '%4096s' '' >"$mw_new/reserve" &&
	    piece "$mw_skip" "$mw_command" >"$mw_new/command" || return
	mw_skip=$((mw_skip + mw_command))
	[ "$mw_env" -eq 0 ] || piece "$mw_skip" "$mw_env" >"$mw_new/env" || return
	mw_skip=$((mw_skip + mw_env))
	[ "$mw_stdin" -lt 0 ] || piece "$mw_skip" "$mw_stdin" >"$mw_new/stdin" || return
	if ! sh -n "$mw_new/command" 2>"$mw_new/error"; then
		clock
		echo "error 2 $mw_now" >"$mw_new/result"
	else
		rm -f "$mw_new/error"
	fi
}

# Make RUN_DIR/jobs/ID.  Others may do so at the same time; it is the same content.
prepare()
{
	gather || return 1
	[ "$(tail -c $((${#mw_id} + 5)) "$mw_sent")" = "
end $mw_id" ] || return 1
	mw_new=$mw_run_dir/jobs/.$mw_id.$$
	[ ! -d "$mw_new" ] || rm -rf "$mw_new"
	if ! fill; then
		rm -rf "$mw_new"
		return 75
	fi
	mv "$mw_new" "$mw_job" 2>/dev/null
	# Somebody was faster: then ours is now inside of theirs.
	if [ -d "$mw_new" ] || [ -d "$mw_job/.$mw_id.$$" ]; then
		rm -rf "$mw_new" "$mw_job/.$mw_id.$$"
	fi
	[ -d "$mw_job" ]
}

run()
{
	mw_code=0
	[ -d "$mw_job" ] || prepare || mw_code=$?
	if [ ! -d "$mw_job" ] && [ "$mw_code" -eq 75 ]; then
		echo "no room in $mw_run_dir/jobs" >&2
		mw_status=75
		return 0
	fi
	if [ ! -d "$mw_job" ]; then
		say unprepared
		return 0
	fi
	if [ ! -d "$mw_job/started" ] && [ ! -f "$mw_job/result" ]; then
		# The second setsid is of a leader, so it leaves the rest to a child and does
		# not wait.  "&" would make the command ignore INT and QUIT for ever.
		setsid setsid sh "$mw_self" - 0 supervise "$mw_name" "$mw_limit" "$mw_stored" \
		    </dev/null >/dev/null 2>&1
		# Whoever does not wait for its end shall know that it began.
		mw_patience=$mw_wait
		mw_wait=2000
		wait_until begun
		mw_wait=$mw_patience
	fi
	wait_until over
	report
}

# since DIRECTORY END: in mw_since, from when on a job is kept.  That is its end, but a
# time to come is one before a restart: then it is now.
since()
{
	mw_since=
	read -r mw_since <"$1/since"
	mw_since=${mw_since:-$2}
	[ "$mw_since" -gt "$mw_now" ] || return 0
	mw_since=$mw_now
	echo "$mw_now" >"$1/since.$$" && mv "$1/since.$$" "$1/since"
} 2>/dev/null

# Remove jobs that ended KEEP ago.  Looking for them every ten minutes is enough.
prune()
{
	clock
	read -r mw_last 2>/dev/null <"$mw_run_dir/pruned" || mw_last=-60000
	[ "$mw_last" -gt "$mw_now" ] || [ $((mw_now - mw_last)) -ge 60000 ] || return 0
	echo "$mw_now" >"$mw_run_dir/pruned"
	for mw_file in "$mw_run_dir"/jobs/*/result; do
		read -r _ _ mw_end 2>/dev/null <"$mw_file" || continue
		mw_old=${mw_file%/result}
		[ "$mw_old" != "$mw_job" ] || continue
		since "$mw_old" "$mw_end"
		[ $((mw_now - mw_since)) -lt $((mw_keep / 10)) ] || rm -rf "$mw_old"
	done
}

# room: something to give up on a full disk, for a command that makes it empty again.
room()
{
	[ ! -s "$mw_run_dir/reserve" ] || return 0
	printf '%262144s' '' >"$mw_run_dir/reserve" || rm -f "$mw_run_dir/reserve"
} 2>/dev/null

end_job()
{
	boot
	if [ -d "$mw_job" ] && [ ! -f "$mw_job/result" ]; then
		: >"$mw_job/killed"
		if mkdir "$mw_job/started" 2>/dev/null; then
			finish killed 143
		elif alive "$mw_job/started/pid"; then
			signal TERM
		fi
		mw_patience=$mw_wait
		mw_wait=2000
		wait_until over
		# A command that had no process yet has one by now.
		if [ ! -f "$mw_job/result" ] && alive "$mw_job/started/pid"; then
			signal KILL
		fi
		mw_wait=$mw_patience
		wait_until over
	fi
	report
}

# state: what has become of it, in mw_ended, mw_code and mw_end.
state()
{
	mw_ended=none
	mw_code=-
	mw_end=-
	[ -d "$mw_job" ] || return 0
	mw_ended=ready
	if [ -d "$mw_job/started" ] && [ ! -f "$mw_job/result" ]; then
		mw_ended=running
		running || mw_ended=lost
	fi
	# Looked for last: who writes it may have ended since.
	[ ! -f "$mw_job/result" ] || read -r mw_ended mw_code mw_end <"$mw_job/result"
}

# Does anybody live who will write the result, or the command itself?  Each of them
# signs before it relies on the one before, and goes no further if that one is dead.
running()
{
	if [ ! -s "$mw_job/started/by" ]; then
		for mw_file in "$mw_job"/by.*; do
			alive "$mw_file" && return 0
		done
	fi
	alive "$mw_job/started/by" || alive "$mw_job/started/pid"
}

# more STREAM AT: has it something from there on?
more()
{
	[ -s "$mw_job/$1" ] && [ -n "$(tail -c "+$(($2 + 1))" "$mw_job/$1" 2>/dev/null | head -c 1 | base64)" ]
}

over()
{
	state
	case $mw_ended in
	ready | running)	return 1 ;;
	esac
}

begun()
{
	state
	[ "$mw_ended" != ready ]
}

anything_new()
{
	over || more out "$mw_out_at" || more err "$mw_err_at"
}

# wait_until CONDITION: look at it for mw_wait ms, first often, then less so.
wait_until()
{
	clock
	mw_from=$mw_now
	while ! "$1"; do
		clock
		mw_gone=$(((mw_now - mw_from) * 10))
		[ "$mw_gone" -lt "$mw_wait" ] || return 0
		mw_pause=$((mw_gone / 20 + 5))
		[ "$mw_pause" -le 250 ] || mw_pause=250
		[ "$mw_pause" -le $((mw_wait - mw_gone)) ] || mw_pause=$((mw_wait - mw_gone))
		nap "$mw_pause"
	done
}

# stream NAME AT
stream()
{
	echo "$1"
	[ "$mw_max" -gt 0 ] && [ -s "$mw_job/$1" ] || return 0
	if [ "$2" -lt 0 ]; then
		tail -c "${2#-}" "$mw_job/$1" | base64
	else
		tail -c "+$(($2 + 1))" "$mw_job/$1" | head -c "$mw_max" | base64
	fi
}

# say STATE: an answer about no job.
say()
{
	clock
	echo "mw1 $1 - - - $mw_now -"
	echo out
	echo err
	echo "end $mw_name"
}

report()
{
	state
	mw_begun=-
	[ ! -f "$mw_job/started/pid" ] ||
	    read -r _ _ _ mw_begun <"$mw_job/started/pid" || mw_begun=-
	mw_cut=
	[ ! -f "$mw_job/out.cut" ] || mw_cut=o
	[ ! -f "$mw_job/err.cut" ] || mw_cut=${mw_cut}e
	clock
	echo "mw1 $mw_ended $mw_code ${mw_begun:--} $mw_end $mw_now ${mw_cut:--}"
	stream out "$mw_out_at"
	if [ "$mw_ended" = error ] && [ "$mw_err_at" -ge 0 ]; then
		echo err
		tail -c "+$((mw_err_at + 1))" "$mw_job/error" | head -c "$mw_max" | base64
	else
		stream err "$mw_err_at"
	fi
	echo "end $mw_name"
}

# Is this the instance that the caller means?
expected()
{
	read -r mw_marker 2>/dev/null <"$mw_run_dir/instance" && [ "$mw_marker" = "$1" ]
}

call()
{
	mw_do=$1
	mw_expect=$3
	mw_wait=$4
	mw_out_at=$5
	mw_err_at=$6
	mw_max=$7
	boot
	if ! expected "$mw_expect"; then
		say replaced
		return 0
	fi
	case $mw_do in
	look)
		[ "$mw_wait" -eq 0 ] || wait_until anything_new
		report
		;;
	wait)
		wait_until over
		report
		;;
	kill)
		end_job
		;;
	run)
		mw_limit=$8
		mw_stored=$9
		shift 9
		mw_keep=$1
		mw_command=$2
		mw_env=$3
		mw_stdin=$4
		mw_parts=$5
		run
		[ "$mw_parts" -eq 0 ] || rm -f "$mw_run_dir/in/$mw_name".[0-9]*
		prune
		room
		;;
	esac
}

mw_sent=$mw_run_dir/in/$1
mw_skip=$2
shift 2
# In an argv, and so in an answer, a gateway's id is "g-..."
mw_name=$2
mw_id=$2
case $mw_id in
g-*)	mw_id=gateway-${mw_id#g-} ;;
esac
mw_job=$mw_run_dir/jobs/$mw_id
case $1 in
supervise)
	mw_limit=$3
	mw_stored=$4
	supervise
	;;
child)
	boot
	child
	;;
*)
	mw_status=0
	call "$@"
	rm -f "$mw_sent"
	exit "$mw_status"
	;;
esac
