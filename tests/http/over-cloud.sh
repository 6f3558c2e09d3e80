#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A part of the contract over Cloudflare's two APIs.  All of it:
#	MW_DRIVERS=bridge,container MW_SERVERS=direct MW_STORES=dir tests/http/run tests/http/test_*.py
dir=${srcdir:-.}/tests/http
MW_DRIVERS=bridge,container MW_SERVERS=direct MW_STORES=dir
export MW_DRIVERS MW_SERVERS MW_STORES
exec sh "$dir/run" "$dir/test_delete.py"
