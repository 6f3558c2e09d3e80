#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A part of the contract with containers for sandboxes, and engines and containers in
# trouble: what takes a minute.  All of it, which takes half an hour:
#	MW_DRIVERS=engine MW_SERVERS=direct MW_STORES=dir MW_FILE_SECONDS=3600 \
#	    tests/http/run tests/http/test_*.py tests/fault/test_engine.py \
#	    tests/fault/test_wake_*.py tests/fault/test_lifecycle.py \
#	    tests/fault/test_batches.py tests/fault/test_fleets.py tests/fault/test_sync_faults.py
http=${srcdir:-.}/tests/http
fault=${srcdir:-.}/tests/fault
MW_DRIVERS=engine MW_SERVERS=direct MW_STORES=dir
export MW_DRIVERS MW_SERVERS MW_STORES
set -- "$http/test_delete.py" "$http/test_isolation.py"
for t in test_state.py::test_a_life test_state.py::test_wake_without_waiting \
    test_state.py::test_running_jobs_keep_it_awake test_exec.py::test_ends \
    test_exec.py::test_timeout test_exec.py::test_env_and_directory_are_data \
    test_exec.py::test_lost test_batch.py::test_each_kind \
    test_sync.py::test_backup_and_status test_sync.py::test_modes_times_links; do
	set -- "$@" "$http/$t"
done
for t in daemon_restarted daemon_restarted_under_a_command socket_gone removed_by_hand \
    stopped_by_hand disk_full disk_full_of_output; do
	set -- "$@" "$fault/test_engine.py::test_$t"
done
exec sh "$http/run" "$@" -k "engine and not traversal"
