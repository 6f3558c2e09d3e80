#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A part of the contract over Cloudflare's two APIs: of each suite what depends most on the
# driver.  All of it, which takes half an hour, and with lighttpd for direct as long again:
#	MW_DRIVERS=bridge,container MW_SERVERS=direct MW_STORES=dir tests/http/run \
#		tests/http/test_*.py tests/fault/test_wake_*.py tests/fault/test_batches.py \
#		tests/fault/test_sync_faults.py tests/fault/test_fleets.py
dir=${srcdir:-.}/tests/http
MW_DRIVERS=bridge,container MW_SERVERS=direct MW_STORES=dir
export MW_DRIVERS MW_SERVERS MW_STORES
exec sh "$dir/run" "$dir/test_delete.py" "$dir/test_state.py" "$dir/test_exec.py" \
    "$dir/test_batch.py" "$dir/test_sync.py" -k "test_delete.py or test_state.py or test_ends \
    or test_lost or test_status_never_wakes or test_each_kind or test_stop_on_error \
    or test_backup_and_status or test_restore or test_nobody" "$@"
