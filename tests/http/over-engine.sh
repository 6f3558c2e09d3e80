#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A part of the contract with containers for sandboxes.  All of it:
#	MW_DRIVERS=engine MW_SERVERS=direct MW_STORES=dir tests/http/run tests/http/test_*.py
dir=${srcdir:-.}/tests/http
MW_DRIVERS=engine MW_SERVERS=direct MW_STORES=dir
export MW_DRIVERS MW_SERVERS MW_STORES
exec sh "$dir/run" "$dir/test_delete.py" "$dir/test_isolation.py" -k "engine and not traversal"
