# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What runs inside a sandbox that is reached over HTTP: one operation of the driver,
# by "sh", whose output is text.  sandbox/remote/call.c is its only caller; what
# stands before it in the same text:
#
#	MW_ROOT MW_RUN_DIR	of the driver
#	mw_nonce	random, of this call
#	mw_proof	1 = nothing is done without an instance marker
#	mw_b64		what is sent along, in base64
#	mw_in		the directory of uploads
#	mw_pieces	it was too much for mw_b64: so many files mw_in/NONCE.1 and on
#	mw_script	the file that holds this text, if it was too much for an argv; else ""
#	mw_env		a function that exports a command's environment
#	$@		the operation and its arguments
#
# shellcheck disable=SC2154 # these
#
# The answer: a line "mw1 WORD ...", base64, perhaps a line "." and more base64, and
# ".end NONCE".  The last one missing, the rest is not to be believed.

say()
{
	printf 'mw1 %s\n' "$*"
}

end()
{
	printf '.end %s\n' "$mw_nonce"
	exit 0
}

answer()
{
	say "$@"
	end
}

# blame TEXT: answer with what a program said of its failure; its reason comes last.  A full
# disk may be told of first, and then what came of it in the pipe.
blame()
{
	case "$1
" in
	*': No space left on device
'* | *': Disk quota exceeded
'*)	answer full ;;
	esac
	case $1 in
	*': No such file or directory')		answer absent ;;
	*': Is a directory')			answer directory ;;
	*': Not a directory' | *': File exists')	answer "$mw_parent" ;;
	*': No space left on device' | *': Disk quota exceeded' | *': File too large')
		answer full ;;
	*': Permission denied' | *': Operation not permitted' | \
	*': Read-only file system' | *': Too many levels of symbolic links' | \
	*': Text file busy')
		answer denied ;;
	*': File name too long')		answer name ;;
	esac
	printf '%s\n' "$1" | {
		IFS= read -r mw_line
		say failed "$mw_line"
	}
	end
}

# The instance marker: 16 lower-case hex digits in a file of its own.
proven()
{
	mw_marker=
	[ -f "$MW_RUN_DIR/instance" ] && [ ! -L "$MW_RUN_DIR/instance" ] || return 1
	IFS= read -r mw_marker <"$MW_RUN_DIR/instance"
	case $mw_marker in
	*[!0-9a-f]*)		return 1 ;;
	????????????????)	return 0 ;;
	*)			return 1 ;;
	esac
}

# real PATH: mw_real without links, below the user's root, or an answer.
real()
{
	mw_real=$(readlink -f "$1" 2>/dev/null && echo .)
	if [ -z "$mw_real" ]; then
		mw_said=$(stat -L "$1" 2>&1 >/dev/null)
		blame "${mw_said:-$1: No such file or directory}"
	fi
	mw_real=${mw_real%
.}
	[ -n "$mw_top" ] || mw_top=$(readlink -f "$MW_ROOT" 2>/dev/null)
	case ${mw_real%/}/ in
	"${mw_top%/}"/*)	;;
	*)			answer outside ;;
	esac
}

# named PATH: mw_file, its last segment as it is, the rest without links.
named()
{
	mw_file=$MW_ROOT/$1
	real "${mw_file%/*}"
	mw_file=${mw_real%/}/${mw_file##*/}
}

# missing FILE: why it cannot be looked at.
missing()
{
	mw_said=$(stat "$1" 2>&1 >/dev/null)
	blame "${mw_said:-$1: No such file or directory}"
}

# ---- reading ----

# read PATH FROM TO MAX ID: at most MAX bytes from FROM, if it is the file ID ("" =
# any).  FROM = -1: the last TO bytes.  TO = -1: to the end.
do_read()
{
	real "$MW_ROOT/$1"
	[ ! -d "$mw_real" ] || answer directory
	[ -e "$mw_real" ] || missing "$mw_real"
	[ -f "$mw_real" ] || answer special
	[ -r "$mw_real" ] || answer denied
	exec <"$mw_real"
	mw_from=$2 mw_to=$3 mw_max=$4 mw_want=$5
	# shellcheck disable=SC2046 # fields
	set -- $(stat -L -c '%d-%i-%s-%.9Y %s %.3Y %f' /proc/self/fd/0)
	[ $# -eq 4 ] || answer failed "stat cannot tell what $mw_real is"
	[ -z "$mw_want" ] || [ "$mw_want" = "$1" ] || answer changed
	if [ "$mw_from" -lt 0 ]; then
		mw_from=$(($2 - mw_to))
		[ "$mw_from" -ge 0 ] || mw_from=0
		mw_to=-1
	fi
	[ "$mw_to" -ge 0 ] && [ "$mw_to" -lt "$2" ] || mw_to=$(($2 - 1))
	say file "$@" "$mw_from"
	mw_n=$((mw_to - mw_from + 1))
	[ "$mw_n" -le "$mw_max" ] || mw_n=$mw_max
	[ "$mw_n" -le 0 ] || tail -c "+$((mw_from + 1))" | head -c "$mw_n" | base64
	end
}

# stat PATH
do_stat()
{
	if [ -n "$1" ]; then
		named "$1"
	else
		real "$MW_ROOT"
		mw_file=$mw_real
	fi
	[ -e "$mw_file" ] || [ -L "$mw_file" ] || missing "$mw_file"
	# shellcheck disable=SC2046 # fields
	set -- $(stat -c '%s %.3Y %f' "$mw_file" 2>/dev/null)
	[ $# -eq 3 ] || missing "$mw_file"
	answer stat "$@"
}

# list PATH: "NONCE SIZE MTIME MODE ./NAME" for each entry, a line each; a
# name may hold newlines, but nobody can name a file after a nonce.
do_list()
{
	real "$MW_ROOT/$1"
	[ -e "$mw_real" ] || missing "$mw_real"
	[ -d "$mw_real" ] || answer notdir
	cd "$mw_real" 2>/dev/null || answer denied
	mw_path=$1
	set -- -exec stat -c "$mw_nonce %s %.3Y %f %n" '{}' +
	[ -n "$mw_path" ] || set -- -path ./.moltworker -prune -o "$@"
	[ "$mw_deep" = 1 ] || set -- -maxdepth 1 "$@"
	say list
	# What goes away meanwhile is not there; any other complaint is one.
	mw_said=$({
		{
			find . -mindepth 1 "$@" || [ $? -lt 126 ] || echo ': Input/output error' >&2
		} | base64 >&3 || echo ': Input/output error'
	} 2>&1)
	case $mw_said in
	*': Permission denied'* | *': Input/output error'*)	printf '.bad\n' ;;
	esac
	end
} 3>&1

# ---- changing ----

# whole SIZE: what was sent into the file mw_new.
whole()
{
	case $mw_pieces in
	0)	printf %s "$mw_b64" | base64 -d >"$mw_new" ;;
	*)
		mw_n=0
		while [ "$mw_n" -lt "$mw_pieces" ]; do
			mw_n=$((mw_n + 1))
			cat "$mw_in/$mw_nonce.$mw_n" || return 1
			rm -f "$mw_in/$mw_nonce.$mw_n"
		done >"$mw_new"
		;;
	esac || return 1
	[ "$(stat -c %s "$mw_new")" = "$1" ]
}

# clear: what this call has made on its way goes.
clear()
{
	[ -z "$mw_new" ] || rm -f "$mw_new"
	[ "$mw_pieces$mw_script" = 0 ] || rm -f "$mw_in/$mw_nonce".*
	[ ! -d "$MW_ROOT/.moltworker/in" ] ||
	    rmdir "$MW_ROOT/.moltworker/in" "$MW_ROOT/.moltworker" 2>/dev/null
}

# mounted DIRECTORY: mw_mount, where its file system is mounted; "" = cannot be told.  One
# device may be mounted twice, and nothing can be renamed from one mount to the other.
mounted()
{
	mw_mount=
	while read -r _ _ _ _ mw_at _; do
		case $mw_at in
		*\\*)	mw_mount= && return ;;	# a name with a space, say
		esac
		case ${1%/}/ in
		"${mw_at%/}"/*)	[ ${#mw_at} -lt ${#mw_mount} ] || mw_mount=$mw_at ;;
		esac
	done </proc/self/mountinfo
} 2>/dev/null

# place DIRECTORY: mw_new, an empty file that can be renamed into it: where nobody sees
# it, if there is such a place.
place()
{
	mounted "$1"
	mw_to=$mw_mount
	(umask 077 && mkdir -p "$MW_RUN_DIR/in")
	mw_new=$(readlink -f "$MW_RUN_DIR/in")
	for mw_new in "${mw_new:-$MW_RUN_DIR/in}" "$mw_top/.moltworker/in"; do
		mounted "$mw_new"
		[ "${mw_to:-none}" = "$mw_mount" ] || continue
		# Another call may just take the empty directory away.
		for mw_n in 1 2 3 4 5; do
			(umask 077 && : >"$mw_new/$mw_nonce.new") && break
			(umask 077 && mkdir -p "$mw_new")
		done
		mw_new=$mw_new/$mw_nonce.new
		return
	done
	mw_new=${1%/}/.moltworker.$mw_nonce
} 2>/dev/null

# take SIZE: the same, or an answer.
take()
{
	mw_said=$(whole "$1" 2>&1) && return
	case $mw_said in
	'' | *"$mw_nonce"*': No such file or directory')	answer lost ;;
	esac
	blame "$mw_said"
}

# What killed calls left.
sweep()
{
	find "$mw_in" "$MW_ROOT/.moltworker/in" "$MW_RUN_DIR/x."* -mmin +240 -type f -exec rm -f '{}' +
	find "$MW_RUN_DIR/x."* -prune -mmin +240 -exec rm -rf '{}' +
} >/dev/null 2>&1

# parents FILE: make what is missing of its directory, below what is there and the root's.
parents()
{
	mw_dir=${1%/*}
	while [ ! -e "$mw_dir" ] && [ ! -L "$mw_dir" ] && [ -n "$mw_dir" ]; do
		mw_dir=${mw_dir%/*}
	done
	[ ! -d "$MW_ROOT" ] || real "$mw_dir"
	mw_said=$(mkdir -p "${1%/*}" 2>&1) || blame "$mw_said"
}

# write PATH SIZE MODE MTIME: MODE -1 = as the old one, MTIME "" = now
do_write()
{
	mw_new=
	trap clear EXIT
	mw_parent=parent
	parents "$MW_ROOT/$1"
	named "$1"
	mw_mode=$3
	if [ -L "$mw_file" ]; then
		:
	elif [ -d "$mw_file" ]; then
		answer directory
	elif [ -f "$mw_file" ]; then
		[ "$mw_mode" != -1 ] || mw_mode=$(stat -c %a "$mw_file")
		case $mw_mode in
		????*)	mw_mode=${mw_mode#"${mw_mode%???}"} ;;
		esac
	elif [ -e "$mw_file" ]; then
		answer special
	fi
	[ "$mw_mode" != -1 ] || mw_mode=644
	place "${mw_file%/*}"
	take "$2"
	mw_said=$(chmod "$mw_mode" "$mw_new" 2>&1) || blame "$mw_said"
	[ -z "$4" ] || touch -d "@$4" "$mw_new" 2>/dev/null ||
	    touch -d "@${4%.*}" "$mw_new" 2>/dev/null || answer failed 'touch cannot set a time'
	# "mv" would go through a link to a directory.
	[ ! -L "$mw_file" ] || [ ! -d "$mw_file" ] || rm -f "$mw_file"
	mw_said=$(mv -f "$mw_new" "$mw_file" 2>&1) || blame "$mw_said"
	answer fine
}

# remove PATH
do_remove()
{
	named "$1"
	[ -e "$mw_file" ] || [ -L "$mw_file" ] || missing "$mw_file"
	[ -L "$mw_file" ] || [ ! -d "$mw_file" ] || answer directory
	mw_said=$(rm -f "$mw_file" 2>&1) || blame "$mw_said"
	answer fine
}

# ---- commands ----

# pump PIPE FILE BLOCKS: keep so much of what comes in, and take the rest too: nobody
# who still writes shall be stopped by that.  It may outlive us, so it must not have
# the upstream's pipes, not even as the copies of a shell that redirects a function.
pump()
{
	exec <"$1" >/dev/null 2>&1
	shift
	(
		trap '' XFSZ
		ulimit -f "$2"
		exec cat >"$1"
	) || {
		: >"$1.cut"
		cat >/dev/null
	}
	: >"$1.end"
}

# settle FILE: until all that the command wrote is in it.  Something that it left
# running may hold the pipe open; then the last word, which is ours, tells.
settle()
{
	mw_n=0
	until [ -e "$1.end" ] || [ -e "$1.cut" ] || [ "$mw_n" -ge 350 ]; do
		mw_n=$((mw_n + 1))
		[ "$mw_n" -gt 100 ] || continue
		case $(tail -c 96 "$1" 2>/dev/null) in
		*"$mw_last"*)	return 0 ;;
		esac
		[ "$mw_n" -lt 103 ] || sleep 0.02 2>/dev/null || sleep 1
	done
}

run()
{
	mw_env
	case $1 in
	*/*)	[ -x "$1" ] && [ ! -d "$1" ] ;;
	*)	command -v "$1" >/dev/null 2>&1 ;;
	esac || {
		: >"$mw_dir/none"
		exit 127
	}
	exec "$@"
}

# exec CWD OUT ERR INPUT LAST COMMAND...: at most so many bytes of each stream, and so
# many of input, -1 = none.  LAST, 32 bytes that nobody else can write, ends each stream
# in the answer; without it, it was cut.
do_exec()
{
	mw_cwd=$1 mw_out=$2 mw_err=$3 mw_input=$4 mw_last=$5
	shift 5
	mw_dir=$MW_RUN_DIR/x.$mw_nonce
	mw_said=$(umask 077 && mkdir -p "$MW_RUN_DIR" "$mw_dir" 2>&1 &&
	    mkfifo "$mw_dir/1" "$mw_dir/2" 2>&1) || blame "$mw_said"
	# Renamed first: a pump that ends just then must not put a file into it.
	trap 'mv "$mw_dir" "$mw_dir.gone"; rm -rf "$mw_dir.gone"; mw_new=; clear' EXIT
	[ -d "$MW_ROOT" ] || mkdir -p "$MW_ROOT" 2>/dev/null
	cd "$mw_cwd" 2>/dev/null || answer nowhere
	mw_new=/dev/null
	if [ "$mw_input" -ge 0 ]; then
		mw_new=$mw_dir/in
		take "$mw_input"
	fi
	(pump "$mw_dir/1" "$mw_dir/out" $(((mw_out + 1023) / 512))) &
	(pump "$mw_dir/2" "$mw_dir/err" $(((mw_err + 1023) / 512))) &
	exec 8>"$mw_dir/1" 9>"$mw_dir/2"
	(run "$@") <"$mw_new" >&8 2>&9 8>&- 9>&-
	mw_code=$?
	printf %s "$mw_last" >&8
	printf %s "$mw_last" >&9
	exec 8>&- 9>&-
	settle "$mw_dir/out"
	settle "$mw_dir/err"
	[ ! -e "$mw_dir/none" ] || answer nothing
	say ran "$mw_code"
	head -c $((mw_out + 32)) "$mw_dir/out" | base64
	echo .
	head -c $((mw_err + 32)) "$mw_dir/err" | base64
	end
}

# ---- one call ----

[ -z "$mw_script" ] || rm -f "$mw_script"
mw_top=
mw_parent=absent
if [ "$mw_proof" = 1 ] && ! proven; then
	answer unproven
fi
case $1 in
exec)
	shift
	do_exec "$@"
	;;
ping)
	sweep
	answer fine
	;;
esac
LC_ALL=C
export LC_ALL
case $1 in
read)	do_read "$2" "$3" "$4" "$5" "$6" ;;
write)	do_write "$2" "$3" "$4" "$5" ;;
remove)	do_remove "$2" ;;
stat)	do_stat "$2" ;;
list)
	mw_deep=$3
	do_list "$2"
	;;
esac
