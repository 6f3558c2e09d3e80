#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the engine driver does with the files of a sandbox that is awake.  $1 "1": unproven
# ones too; $2 the directory below the root; $3 "1": make it, "2": it is what is asked for;
# then the verb and what it takes.  The statuses are those of script.c.
if [ "$1" != 1 ]; then
	m=; [ -f "$MW_RUN_DIR/instance" ] && read -r m <"$MW_RUN_DIR/instance"
	case $m in *[!0-9a-f]*) exit 20 ;; ????????????????) ;; *) exit 20 ;; esac
fi
[ -d "$MW_ROOT" ] || mkdir -p "$MW_ROOT" || exit 24
cd -P "$MW_ROOT" || exit 24
top=$PWD; at=
set -f; IFS=/
for c in $2; do
	at=$at/$c
	if [ ! -d "./$c" ]; then
		[ "$3" = 2 ] && [ "$at" = "/$2" ] && [ -e "./$c" ] && exit 21
		[ "$3" = 1 ] || exit 23
		[ -L "./$c" ] || [ -e "./$c" ] && exit 21
		mkdir "./$c" || [ -d "./$c" ] || exit 24
	fi
	cd -P "./$c" || exit 24
	case $PWD in "$top"|"$top"/*) ;; *) exit 22 ;; esac
done
set +f; unset IFS
# The working directory is it, by no link that leads out.
f=./$5
case $4 in
# $5 its name, $6 the uploaded file, $7 its mode or "" = keep, $8: uploads before it are swept.
put)
	trap 'rm -f "$6"' EXIT
	for x in "$MW_RUN_DIR"/in/w*-*; do
		t=${x##*/w}; t=${t%%-*}
		case $t in ''|*[!0-9]*) ;; *) [ "$t" -gt "$8" ] || rm -f "$x" ;; esac
	done
	m=$7
	if [ ! -L "$f" ] && [ -e "$f" ]; then
		[ -f "$f" ] || exit 21
		[ -n "$m" ] || m=$(printf %o $((0$(stat -c %a "$f") & 0777)))
	fi
	chmod "${m:-644}" "$6" || exit 24
	if [ -L "$f" ]; then rm -f "$f" || exit 24; fi
	if [ "$(stat -c %d "$6")" = "$(stat -c %d .)" ]; then
		mv -f "$6" "$f" || exit 24
	else
		n=.${6##*/}
		cp -p "$6" "./$n" && mv -f "./$n" "$f" || { rm -f "./$n"; exit 24; }
	fi
	;;
# $5 its name.
remove)
	[ -L "$f" ] || [ -e "$f" ] || exit 23
	[ -d "$f" ] && [ ! -L "$f" ] && exit 21
	rm -f "$f" || exit 24
	;;
# $5 its name: a line of stat, and for "read" the content.
read|stat)
	if [ "$4" = read ] && [ -L "$f" ]; then
		f=$(readlink -f "$f") || exit 23
		case $f in "$top"/*) ;; *) exit 22 ;; esac
	fi
	[ -L "$f" ] || [ -e "$f" ] || exit 23
	stat -c '%f %s %Y [%y] ' "$f" || exit 24
	[ "$4" = stat ] || { [ -f "$f" ] || exit 21; cat "$f" || exit 24; }
	;;
# $5 how deep.  In batches: names, each with its NUL, an empty one, and for each of them a
# line "MODE SIZE MTIME [DATE] NAME" unless it is gone.
list)
	for x in find stat; do command -v $x >/dev/null 2>&1 || exit 30; done
	find . -mindepth 1 -maxdepth "$5" -exec sh -c '
		printf "%s\000" "$@"; printf "\000"
		stat -c "%f %s %Y [%y] %n" "$@" 2>/dev/null; :' sh {} + || exit 31
	;;
esac
