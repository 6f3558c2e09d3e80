#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A part of the contract behind the web servers that `moltctl serve` does not start (fronts.py):
# of each suite what depends most on the server.  All of it, in ten minutes:
#	MW_SERVERS=haproxy,caddy,proxy_fcgi MW_STORES=dir tests/http/run tests/http/test_*.py
dir=${srcdir:-.}/tests/http
MW_SERVERS=haproxy,caddy,proxy_fcgi MW_STORES=dir
export MW_SERVERS MW_STORES
exec sh "$dir/run" "$dir/test_common.py" "$dir/test_put.py" "$dir/test_read.py" \
    "$dir/test_exec.py" "$dir/test_strangers.py" \
    -k "test_strangers.py or test_common.py and not argument or no_content_length or too_large \
    or test_big or test_raw or test_head or test_conditional_get or test_ends or test_stdin \
    or test_stream_and_poll or test_wait_is_held or test_sse_is_live" "$@"
