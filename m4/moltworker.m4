# SPDX-License-Identifier: BSD-2-Clause

# MW_NEED(VARIABLE, MODULE, DEBIAN-PACKAGE): a library, or a message that helps.
AC_DEFUN([MW_NEED], [
PKG_CHECK_MODULES([$1], [$2], [],
    [AC_MSG_ERROR([$2 was not found by pkg-config; on Debian: apt-get install $3])])
])

# MW_TRY_CFLAG(FLAG, VARIABLE): add FLAG if a program compiles and links with it.
AC_DEFUN([MW_TRY_CFLAG], [
mw_flag="$1"
AC_MSG_CHECKING([whether $CC takes $mw_flag])
mw_save_cflags=$CFLAGS
CFLAGS="$CFLAGS -Werror $mw_flag"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>
#include <string.h>]],
    [[char b[64]; memset(b, getchar(), sizeof(b) - 1); b[63] = 0; return puts(b);]])],
    [AC_MSG_RESULT([yes]); $2="$[]$2 $mw_flag"],
    [AC_MSG_RESULT([no])])
CFLAGS=$mw_save_cflags
])

# MW_TRY_LDFLAG(FLAG, VARIABLE): the same for the linker.
AC_DEFUN([MW_TRY_LDFLAG], [
mw_flag="$1"
AC_MSG_CHECKING([whether the linker takes $mw_flag])
mw_save_cflags=$CFLAGS
mw_save_ldflags=$LDFLAGS
CFLAGS="$CFLAGS $MW_CFLAGS"
LDFLAGS="$LDFLAGS -Wl,--fatal-warnings $mw_flag"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $2="$[]$2 $mw_flag"],
    [AC_MSG_RESULT([no])])
CFLAGS=$mw_save_cflags
LDFLAGS=$mw_save_ldflags
])
