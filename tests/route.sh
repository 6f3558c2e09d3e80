#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The route tests, for automake: the real programs as plain CGI, without a server.
MW_SERVERS=direct MW_STORES=dir
export MW_SERVERS MW_STORES
exec "$srcdir/tests/http/run" route
