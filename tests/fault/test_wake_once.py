# SPDX-License-Identifier: BSD-2-Clause
"""Many requests, many processes, one wake.  MW_LONG=1 for the numbers of the contract
where the default is smaller."""
import os
import signal
import threading
import time

import pytest

import mw
import wakes

LONG = os.environ.get("MW_LONG") == "1"
SLOW = wakes.COUNT + "sleep 1; touch up; exec sleep 100000"
PATIENT = {"timeout": 120}


def patient(call):
    """As a client does it: a 503 that says when to come again is no failure (the last
    free process of a pool does not wait for cold sandboxes)."""
    deadline = time.monotonic() + 120
    while True:
        r = call()
        if r.status != 503 or time.monotonic() > deadline:
            return r
        assert r.get("Retry-After") == "1" and "processes" in r.json()["error"], r
        time.sleep(1)


def requests(gw, user, i):
    """One of four kinds, over two pools: each must be answered right."""
    kind = i % 4
    if kind == 0:
        obj = mw.check_json(patient(lambda: wakes.wake(gw, user, **PATIENT)))
        assert obj["currentState"] == "active", obj
        return obj["action"]
    if kind == 1:
        r = patient(lambda: gw.raw(user, "f%d" % (i % 8), "source=container", **PATIENT))
        assert (r.status, r.body) == (200, b"%d" % (i % 8)), r
    elif kind == 2:
        r = patient(lambda: gw.put(user, "new%d" % i, b"n", **PATIENT))
        assert mw.check_json(r)["success"]
    else:
        r = patient(lambda: gw.list(user, "source=container&recursive=true", **PATIENT))
        assert {"f%d" % n for n in range(8)} <= {
            e["relativePath"] for e in mw.check_json(r)["files"]}, r
    return None


def test_a_hundred_requests_one_start(make, tmp_path):
    gw = wakes.counting(make, tmp_path, wakes.settings(SLOW))
    for n in range(8):
        gw.put_ok("u", "f%d" % n, b"%d" % n, "target=r2")
    assert wakes.state(gw, "u") == gw.absent
    results = wakes.side_by_side([lambda i=i: requests(gw, "u", i) for i in range(100)])
    actions = [a for a in results if a is not None]
    assert wakes.sandbox_starts(gw, "u") == 1
    assert len(wakes.starts(gw, "u")) == 1, "gateway starts"
    assert set(actions) <= {"started", "joined", "none"} and actions.count("started") <= 1, actions
    assert wakes.state(gw, "u") == "active"


@pytest.mark.parametrize("phase", ["sandbox", "gateway"])
def test_the_leader_killed(make, tmp_path, phase):
    """SIGKILL in mid-wake: those who wait have a new leader before long, and the
    gateway that was being started is the one that runs."""
    gw = wakes.counting(make, tmp_path, wakes.settings(wakes.COUNT + "sleep 3; touch up; exec sleep 100000"), procs=4)
    results = []
    threads = [threading.Thread(target=lambda: results.append(wakes.wake(gw, "u", **PATIENT)))
               for _ in range(3)]
    for t in threads:
        t.start()
    wakes.until(lambda: wakes.helpers(gw, "u"))
    if phase == "gateway":
        wakes.until(lambda: wakes.starts(gw, "u"))
    first = wakes.helpers(gw, "u")
    wakes.kill(first)
    wakes.until(lambda: set(wakes.helpers(gw, "u")) - set(first) or results)
    for t in threads:
        t.join()
    for r in results:
        assert mw.check_json(r)["currentState"] == "active"
    assert wakes.sandbox_starts(gw, "u") == 1 or phase == "sandbox"
    assert len(wakes.starts(gw, "u")) == 1 and wakes.alive(gw, "u", wakes.starts(gw, "u")[0])


def test_the_responders_killed(make, tmp_path):
    """Whoever asked for the wake is killed: it goes on, and others have its result."""
    gw = wakes.counting(make, tmp_path, wakes.settings(SLOW), procs=4)
    thread = threading.Thread(target=lambda: wakes.wake(gw, "u", **PATIENT))
    thread.start()
    wakes.until(lambda: wakes.starts(gw, "u"))
    wakes.kill(gw.responders("state.fcgi"))
    thread.join()
    # The server hands out one more connection that died with a responder, perhaps.
    wakes.until(lambda: gw.call("GET", "/api/super/users/u/state").status == 200)
    obj = mw.check_json(wakes.wake(gw, "u", **PATIENT))
    assert obj["currentState"] == "active" and obj["action"] in ("joined", "none"), obj
    assert len(wakes.starts(gw, "u")) == 1 and wakes.sandbox_starts(gw, "u") == 1


def test_a_short_deadline_ends_the_waiting_only(make):
    gw = make(wakes.settings(wakes.COUNT + "sleep 2; touch up; exec sleep 100000"))
    mw.check_json(gw.exec("u", "true", requireGateway=False))
    r = wakes.wake(gw, "u", "?maxWakeTime=700")
    obj = mw.check_error(r, "wake_timeout", userId="u")
    assert obj["details"]["phase"] in ("gateway_start", "probe"), obj
    assert "imeout" in obj["error"], obj
    wakes.until(lambda: wakes.state(gw, "u") == "active")
    assert mw.check_json(wakes.wake(gw, "u"))["action"] in ("none", "joined")
    assert len(wakes.starts(gw, "u")) == 1


def test_many_cold_users(make, tmp_path):
    """Fifty cold users at once are all served; others' files are read meanwhile."""
    n = 50 if LONG else 16
    gw = wakes.counting(make, tmp_path, wakes.settings(SLOW), procs=16)
    gw.put_ok("other", "f", b"x", "target=r2")
    done, waits = threading.Event(), []

    def read():
        while not done.is_set():
            start = time.monotonic()
            assert gw.content("other", "f") == b"x"
            waits.append(time.monotonic() - start)
    reader = threading.Thread(target=read)
    reader.start()
    results = wakes.side_by_side([lambda u="c%d" % i: patient(lambda: wakes.wake(gw, u, **PATIENT)) for i in range(n)])
    done.set()
    reader.join()
    assert {mw.check_json(r)["currentState"] for r in results} == {"active"}
    assert all(wakes.sandbox_starts(gw, "c%d" % i) == 1 for i in range(n))
    assert all(len(wakes.starts(gw, "c%d" % i)) == 1 for i in range(n))
    waits.sort()
    assert waits and waits[len(waits) * 99 // 100] < 5, "reads of others: %s" % waits[-5:]


def test_waiters_are_bounded(make):
    gw = make.server("lighttpd", wakes.settings(SLOW, wake_max_waiters=2), procs=8)
    results = wakes.side_by_side([lambda: wakes.wake(gw, "u", **PATIENT) for _ in range(6)])
    refused = [r for r in results if r.status == 429]
    for r in refused:
        mw.check_error(r, "too_many_requests", userId="u")
        assert int(r.get("Retry-After")) >= 1
    assert 1 <= len(results) - len(refused) and len(refused) >= 1, [r.status for r in results]
    assert len(wakes.starts(gw, "u")) == 1


@pytest.mark.parametrize("server", ["lighttpd", "apache", "nginx"])
def test_term_ends_the_waiting(make, server):
    """TERM: who waits is sent away with 503 and Retry-After within moments."""
    gw = make.server(server, wakes.settings(wakes.COUNT + "exec sleep 100000"), procs=2)
    answer = []
    thread = threading.Thread(target=lambda: answer.append(wakes.wake(gw, "u", **PATIENT)))
    thread.start()
    wakes.until(lambda: wakes.starts(gw, "u"))
    told = time.monotonic()
    wakes.kill(gw.responders("state.fcgi"), signal.SIGTERM)
    thread.join(60)
    took = time.monotonic() - told
    obj = mw.check_error(answer[0], "sandbox_unavailable", userId="u")
    assert answer[0].get("Retry-After") == "1" and "stopped" in obj["error"], obj
    assert took < 20, took
