# SPDX-License-Identifier: BSD-2-Clause
"""Many results: kept in the store by the drain and before a sleep, and forgotten."""
import os
import shutil
import sqlite3
import threading
import time

import pytest

import mw


def done(r):
    return mw.check_json(r)


def start(gw, user, command, **members):
    return mw.check_json(gw.exec(user, command, stream=True, **members))["processId"]


def sleep(gw, query=""):
    return gw.call("POST", "/api/super/users/u/sleep" + query, body=b"", timeout=300)


def rows(gw, sql, *args):
    with sqlite3.connect(gw.path("state", "jobs.db"), timeout=20) as db:
        return db.execute(sql, args).fetchall()


def add_rows(gw, n, model, name, user="u"):
    """Jobs like the one of that id, which nobody has ever started."""
    rows(gw, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)"
         " INSERT INTO job(id, user, digest, command, marker, state, exit_code, time_limit,"
         " created, started, ended, tries) SELECT 'job-' || ? || i, ?, digest, command, marker,"
         " 2, 0, time_limit, created, started, ended, 1 FROM job, c WHERE id = ?",
         n, name, user, model)


def is_kept(gw, pid, user="u"):
    return os.path.isfile(gw.path("store", "users", user, ".moltworker", "jobs", pid + ".out"))


def unkeep(gw, pid):
    """As it was before a drain, which any request may start.  Under the job's lock."""
    out = gw.path("store", "users", "u", ".moltworker", "jobs", pid + ".out")
    if os.path.exists(out):
        os.unlink(out)
    rows(gw, "UPDATE job SET kept = 0, out_size = 0 WHERE id = ?", pid)
    return out


def drain_all(gw):
    """Until nothing of the user is left: the drain of a request may be at some of it."""
    deadline = time.monotonic() + 60
    while True:
        assert gw.drain() == 0
        if rows(gw, "SELECT count(*) FROM job WHERE user = 'u' AND kept = 0") == [(0,)]:
            return
        assert time.monotonic() < deadline, gw.log()
        time.sleep(0.2)


def test_drain_keeps_and_forgets(make):
    gw = make({"exec.keep": 3000, "wake.ready_ttl": 600000})
    pid = done(gw.exec("u", "echo kept"))["processId"]
    drain_all(gw)
    gw.replace("u")
    assert done(gw.process("u", pid))["stdout"] == "kept\n"
    assert os.listdir(gw.path("store", "users", "u", ".moltworker", "jobs")) == [pid + ".out"]
    gw.configure({"exec.keep": 0, "exec.default_timeout": 1000})
    deadline = time.monotonic() + 60
    old = done(gw.exec("u", "true", limit=1000))["processId"]
    while gw.process("u", old).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.3)
        assert gw.drain() == 0


@pytest.mark.parametrize("kept", [0, 2])
def test_an_output_goes_with_its_row(make, kept):
    """Also one that was put there before its row said so, or never did."""
    gw = make()
    gw.without_drain()
    pid = done(gw.exec("u", "echo out; echo err >&2"))["processId"]
    drain_all(gw)
    jobs = gw.path("store", "users", "u", ".moltworker", "jobs")
    assert sorted(os.listdir(jobs)) == [pid + ".err", pid + ".out"]
    gw.end_sandboxes()
    rows(gw, "UPDATE job SET created = 1, kept = ?, out_size = 0, err_size = 0", kept)
    with mw.Lock(gw, "job:" + pid):     # somebody may be putting it there
        assert gw.moltctl("drain", "--if-idle")[0] == 0
        assert rows(gw, "SELECT id FROM job") == [(pid,)]
    assert gw.drain() == 0
    assert rows(gw, "SELECT id FROM job") == []
    assert not os.path.exists(jobs) or os.listdir(jobs) == []


def test_drain_gets_past_those_that_sleep(make):
    gw = make({"wake.ready_ttl": 600000})
    first = done(gw.exec("u", "echo first"))["processId"]
    add_rows(gw, 300, first, "ghost", "asleep")
    last = done(gw.exec("u", "echo last"))["processId"]
    drain_all(gw)
    assert is_kept(gw, first) and is_kept(gw, last)
    assert rows(gw, "SELECT count(*) FROM job WHERE kept = 0") == [(300,)]


def test_drain_gives_up_what_is_gone(make):
    """Once, not at every drain."""
    gw = make({"wake.ready_ttl": 600000})
    first = done(gw.exec("u", "echo first"))["processId"]
    add_rows(gw, 40, first, "gone")
    last = done(gw.exec("u", "echo last"))["processId"]
    drain_all(gw)
    assert is_kept(gw, last)
    gw.end_sandboxes()
    mw.check_error(gw.process("u", "job-gone7"), "process_lost")


def test_drain_gets_past_a_failure(make):
    """One job's results cannot be written, or removed, ever."""
    gw = make({"exec.keep": 3600000, "wake.ready_ttl": 600000})
    deadline = time.monotonic() + 60
    bad = done(gw.exec("u", "echo bad"))["processId"]
    with mw.Lock(gw, "job:" + bad):
        out = unkeep(gw, bad)
        os.makedirs(os.path.join(out, "x"))
    last = done(gw.exec("u", "echo last"))["processId"]
    while not is_kept(gw, last) or \
            "processId=%s: left for the next time" % bad not in gw.log():
        assert gw.drain() == 0 and time.monotonic() < deadline
    shutil.rmtree(out)
    with open(out, "wb"):
        os.chmod(os.path.dirname(out), 0o500)
    add_rows(gw, 600, last, "old")
    rows(gw, "UPDATE job SET created = 1, kept = (id = ?1), out_size = 4 WHERE id <> ?2",
         bad, last)
    while rows(gw, "SELECT id FROM job ORDER BY seq") != [(bad,), (last,)]:
        assert gw.drain() == 0 and time.monotonic() < deadline
    os.chmod(os.path.dirname(out), 0o700)


def test_many_results_hide_no_command(make):
    """Those that are not kept yet come before it in every list."""
    gw = make({"exec.max_jobs": 1})
    first = done(gw.exec("u", "echo first"))["processId"]
    add_rows(gw, 300, first, "before")
    pid = start(gw, "u", "true")
    assert done(gw.exec("u", "echo room", timeout=60, limit=2000))["stdout"] == "room\n"
    assert done(gw.process("u", pid))["status"] == "completed"
    running = start(gw, "u", "sleep 600", limit=600000)
    r = sleep(gw)
    assert "1 commands" in mw.check_error(r, "conflict")["error"]
    assert rows(gw, "SELECT count(*) FROM job WHERE kept = 0 AND state >= 2") == [(0,)]
    r = sleep(gw, "?force=true")
    assert r.status == 200, r
    # Where nothing is stopped it runs on.
    assert rows(gw, "SELECT state FROM job WHERE id = ?", running) == [(6 if gw.can_stop else 1,)]


def test_lost_and_not_written_down(make):
    """The answer and the log say so; the next look finds it out again."""
    gw = make()
    pid = start(gw, "u", "sleep 300")
    rows(gw, "CREATE TRIGGER refuse BEFORE UPDATE ON job WHEN new.state = 6"
         " BEGIN SELECT RAISE(FAIL, 'the disk is on fire'); END")
    gw.replace("u")
    done(gw.call("POST", "/api/super/users/u/wake", body=b"", timeout=60))
    obj = mw.check_error(gw.process("u", pid), "process_lost")
    assert "not written down" in obj["error"], obj
    assert [line for line in gw.log().splitlines() if pid in line and "disk is on fire" in line]
    rows(gw, "DROP TRIGGER refuse")
    obj = mw.check_error(gw.process("u", pid), "process_lost")
    assert "not written down" not in obj["error"], obj
    assert rows(gw, "SELECT state FROM job WHERE id = ?", pid) == [(6,)]


def test_sleep_waits_for_who_keeps_a_result(make):
    """Another process is at it: its sandbox is not stopped under it."""
    gw = make()
    pid = done(gw.exec("u", "echo kept"))["processId"]
    got = {}
    t = threading.Thread(target=lambda: got.update(r=sleep(gw)))
    with mw.Lock(gw, "job:" + pid):
        unkeep(gw, pid)
        t.start()
        t.join(3)
        assert not got and not is_kept(gw, pid)
        assert gw.moltctl("drain", "--if-idle")[0] == 0         # does not wait
    t.join()
    assert got["r"].status == 200 and is_kept(gw, pid)


def test_drain_waits_for_who_keeps_a_result(make):
    """A background drain, say: when the operator's ends, it is kept, or said to be left."""
    gw = make()
    gw.without_drain()
    pid = done(gw.exec("u", "echo kept"))["processId"]
    got = {}
    t = threading.Thread(target=lambda: got.update(r=gw.moltctl("drain")))
    with mw.Lock(gw, "job:" + pid):
        status, out, _ = gw.moltctl("drain", "--if-idle")
        assert (status, "1 results left" in out) == (0, True), out
        t.start()
        t.join(1)
        assert not got and not is_kept(gw, pid)
    t.join()
    assert got["r"][0] == 0 and "results left" not in got["r"][1] and is_kept(gw, pid), got


def test_sleep_does_not_wait_for_ever(make):
    """Who keeps the result is stuck: nothing is stopped."""
    gw = make()
    pid = done(gw.exec("u", "echo kept"))["processId"]
    gw.configure({"sync.timeout": 2000, "sandbox.timeout": 2000})
    with mw.Lock(gw, "job:" + pid):
        unkeep(gw, pid)
        mw.check_error(sleep(gw), "store_unavailable")
        assert done(gw.process("u", pid))["stdout"] == "kept\n"
    assert sleep(gw).status == 200 and is_kept(gw, pid)
