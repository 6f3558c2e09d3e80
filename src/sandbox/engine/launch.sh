#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every command of the engine driver runs behind this: $1 a nonce, $2 the directory, $3 the
# file that is its input ("" = none), then the command.  Its first line on stderr says whether
# the command was started, which neither status 127 nor any text of the engine's could.  It
# uses no variable: those of the environment are the command's.
[ -d "$MW_ROOT" ] || mkdir -p "$MW_ROOT" 2>/dev/null
cd "$2" 2>/dev/null || { echo "$1 cwd" >&2; exit 126; }
if [ -n "$3" ]; then
	[ -r "$3" ] || { echo "$1 in" >&2; exit 126; }
	exec <"$3"; rm -f "$3"
fi
case $4 in
*/*) [ -f "$4" ] && [ -x "$4" ] ;;
*) command -v "$4" >/dev/null 2>&1 ;;
esac || { echo "$1 cmd" >&2; exit 126; }
echo "$1 ok" >&2
shift 3
exec "$@"
