# SPDX-License-Identifier: BSD-2-Clause
"""Breakers of the store and of a user's sandbox, seen from outside: who is asked,
how often, and what the client is told."""
import os
import signal
import subprocess
import threading
import time

import pytest

import gateway
import mw
from agentstub import Agent
from s3stub import QUICK

LONG = 600000       # ms: stays open for the whole test


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def breakers(gw):
    obj = mw.check_json(gw.call("GET", "/api/super/health"))["breakers"]
    mw.check_members(obj, {"store": str, "openUsers": int})
    return obj


def asked(stub):
    """Calls for objects; health asks for the bucket."""
    return [c for c in list(stub.calls) if c.key]


def refusal(r, seconds):
    obj = mw.check_error(r, "store_unavailable")
    assert obj["attempts"] == 0 and r.get("X-Attempts") == "0", r
    assert 1 <= int(r.get("Retry-After")) <= seconds, r


@pytest.fixture
def guarded(make, stub):
    """guarded(open) -> a plain CGI whose store's breaker opens after five failures,
    with u/f in both places; no drain but the test's own."""
    def start(opening):
        gw = make(dict(QUICK, **{"breaker.failures": 5, "breaker.open": opening}),
                  store="s3", s3=stub)
        gw.stub = stub
        gw.put_ok("u", "f", b"x")
        stub.reset()
        return gw
    return start


def trip(gw):
    gw.stub.fail(times=10 ** 9, status=503)
    for want in (3, 2):
        gw.stub.calls.clear()
        r = gw.get("u", "f", "source=r2")
        obj = mw.check_error(r, "store_unavailable")
        assert obj["attempts"] == len(asked(gw.stub)) == want, gw.stub.calls
    assert breakers(gw)["store"] == "open"
    gw.stub.calls.clear()
    return r


def test_open(guarded):
    gw = guarded(LONG)
    assert breakers(gw) == {"store": "closed", "openUsers": 0}
    assert int(trip(gw).get("Retry-After")) > 500, "it says when R2 is asked again"
    for query in ("source=r2", "source=r2&raw=1"):
        refusal(gw.get("u", "f", query), LONG / 1000)
    refusal(gw.list("u", "source=r2"), LONG / 1000)
    assert asked(gw.stub) == [], "open: nobody is asked"


def test_auto_goes_to_the_sandbox(guarded):
    gw = guarded(LONG)
    trip(gw)
    obj = mw.check_json(gw.get("u", "f"))
    assert obj["source"] == "container" and obj["content"] == "x"
    r = gw.raw("u", "f")
    assert r.body == b"x" and r.get("X-Source") == "container" and r.get("X-Attempts") == "1"
    refusal_of_none = mw.check_error(gw.get("u", "none"), "store_unavailable")
    assert "R2" in refusal_of_none["error"]
    obj = mw.check_json(gw.list("u"))
    assert obj["source"] == "container" and [f["name"] for f in obj["files"]] == ["f"]
    assert asked(gw.stub) == []


def test_writes_queue_at_once(guarded):
    gw = guarded(LONG)
    trip(gw)
    obj = gw.put_ok("u", "g", b"new")
    assert obj["r2Sync"]["success"] is False and obj["r2Sync"]["queued"] is True, obj
    assert gw.put_ok("u", "h", b"new", "target=r2")["r2Sync"]["queued"] is True
    obj = mw.check_json(gw.delete("u", "f"))
    assert obj["r2Sync"]["queued"] is True, obj
    r = gw.put("u", "k", b"1", headers=[("If-None-Match", "*")])
    refusal(r, LONG / 1000)
    assert asked(gw.stub) == []
    assert gw.content("u", "g") == b"new" and gw.content("u", "f") is None
    # The drainer does not hammer; somebody who asks by hand may.
    status, _, _ = gw.moltctl("drain", "--detached")
    assert status == 1 and asked(gw.stub) == []
    assert gw.drain() == 1
    assert len(asked(gw.stub)) == 1, "one trial, and it was bad"
    gw.stub.reset()
    assert gw.drain() == 0, "the next is good, and the rest follows"
    assert breakers(gw)["store"] == "closed"
    assert set(gw.stub.objects) >= {"users/u/g", "users/u/h"} and \
        "users/u/f" not in gw.stub.objects


def together(gw, n, query="source=r2"):
    """n processes ask for the same object at once."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(gw.get("u", "f", query)))
               for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(answers) == n
    return answers


def test_half_open_takes_one_trial(guarded):
    """Over several processes: one trial, that fails; then one that does not."""
    gw = guarded(1000)
    trip(gw)
    until(lambda: breakers(gw)["store"] == "half-open")
    gw.stub.reset()
    gw.stub.fail(method="GET", key="users/u/f", times=1, delay=2, status=503)
    answers = together(gw, 8)
    assert len(asked(gw.stub)) == 1, gw.stub.calls
    for r in answers:
        mw.check_error(r, "store_unavailable")
    assert sorted(r.get("X-Attempts") for r in answers) == ["0"] * 7 + ["1"]
    until(lambda: breakers(gw)["store"] == "half-open")
    gw.stub.reset()
    gw.stub.fail(method="GET", key="users/u/f", times=1, delay=3)
    good = []
    trial = threading.Thread(target=lambda: good.append(gw.get("u", "f", "source=r2")))
    trial.start()
    until(lambda: len(asked(gw.stub)) == 1)
    for r in together(gw, 3):
        refusal(r, 1)
    assert len(asked(gw.stub)) == 1 and not good, "while it is under way no other is made"
    trial.join(60)
    assert mw.check_json(good[0])["source"] == "r2"
    assert breakers(gw)["store"] == "closed", "a good one closes it"
    for r in together(gw, 3):
        mw.check_json(r)


def test_trial_of_a_killed_process(guarded):
    gw = guarded(1000)
    trip(gw)
    until(lambda: breakers(gw)["store"] == "half-open")
    gw.stub.reset()
    gw.stub.fail(method="GET", key="users/u/f", times=1, hang=60)
    target = gw.target("u", "f", "source=r2")
    env = gw.cgi_env("GET", target, [("X-Admin-Secret", gw.secret)], None, None)
    p = subprocess.Popen([gateway.binary("files.fcgi")], env=env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         cwd=gw.path("tmp"))
    until(lambda: len(asked(gw.stub)) == 1)
    refusal(gw.get("u", "f", "source=r2"), 1)
    p.kill()
    p.wait()
    mw.check_json(gw.get("u", "f", "source=r2"))
    assert breakers(gw)["store"] == "closed"


def test_a_slow_client_is_no_long_trial(guarded):
    """The trial is a raw read whose client does not read: it is over when R2 answers."""
    gw = guarded(1000)
    gw.stub.put("users/u/big", bytes(8 << 20))
    trip(gw)
    until(lambda: breakers(gw)["store"] == "half-open")
    gw.stub.reset()
    target = gw.target("u", "big", "source=r2&raw=1")
    env = gw.cgi_env("GET", target, [("X-Admin-Secret", gw.secret)], None, None)
    p = subprocess.Popen([gateway.binary("files.fcgi")], env=env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=gw.path("tmp"))
    assert p.stdout.read(10)
    until(lambda: breakers(gw)["store"] == "closed")
    mw.check_json(gw.get("u", "f", "source=r2"))
    assert p.poll() is None, "and it goes on"
    p.kill()
    p.stdout.close()
    p.wait()


def test_answers_never_count(guarded):
    """Misses, refused conditions and refused credentials are answers."""
    gw = guarded(LONG)
    for _ in range(4):
        mw.check_error(gw.get("u", "none", "source=r2"), "file_not_found")
        mw.check_error(gw.put("u", "f", b"y", headers=[("If-Match", '"other"')]),
                       "precondition_failed")
    gw.stub.fail(times=8, status=403)
    for _ in range(8):
        mw.check_error(gw.get("u", "f", "source=r2"), "store_error")
    assert breakers(gw)["store"] == "closed"
    assert gw.content("u", "f", "source=r2") == b"x"


# ---- a user's sandbox ----

def test_users_breaker(make):
    gw = make(dict(QUICK, **{"breaker.failures": 3, "breaker.open": LONG}))
    agent = Agent(gw, "bad", "drop")
    r = gw.get("bad", "f", "source=container&maxWakeTime=20000")
    mw.check_error(r, "sandbox_unreachable", userId="bad")
    asked_for = agent.execs
    assert asked_for >= 3
    assert breakers(gw) == {"store": "closed", "openUsers": 1}
    pings = agent.pings
    for query in ("source=container", "source=container&raw=1", ""):
        r = gw.get("bad", "f", query)
        mw.check_error(r, "sandbox_unavailable", userId="bad")
        assert 500 < int(r.get("Retry-After")) <= 600, r
    mw.check_error(gw.put("bad", "f", b"x"), "sandbox_unavailable")
    assert (agent.pings, agent.execs) == (pings, asked_for), "open: nobody is asked"
    assert gw.put_ok("good", "f", b"x")["success"], "another user is not concerned"
    agent.close()


def test_state_closes_the_breaker_of_a_sandbox_that_is_back(make):
    gw = make(dict(QUICK, **{"breaker.failures": 3, "breaker.open": LONG, "wake.ready_ttl": 0}))
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0
    sock = gw.path("sandboxes", ".run", "u", "sock")
    os.rename(sock, sock + ".real")
    agent = Agent(gw, "u", "drop")
    for _ in range(4):
        assert gw.exec("u", "true", maxWakeTime=0).status == 503
    assert breakers(gw)["openUsers"] == 1
    agent.close()
    os.rename(sock + ".real", sock)
    r = mw.check_json(gw.call("GET", "/api/super/users/u/state"))
    assert r["state"] in ("active", "idle") and breakers(gw)["openUsers"] == 0
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0


# ---- TERM and the pool ----

def serving(make, stub, kind="lighttpd", procs=2):
    gw = make.server(kind, QUICK, store="s3", s3=stub, procs=procs)
    gw.stub = stub
    stub.put("users/u/f", b"x")
    return gw


def in_background(gw, query):
    answer = []
    t = threading.Thread(target=lambda: answer.append(gw.get("u", "f", query, timeout=90)))
    t.start()
    return t, answer


def test_term_ends_a_backoff(make, stub):
    gw = serving(make, stub)
    stub.fail(times=9, status=503, headers={"Retry-After": "60"})
    waiting, answer = in_background(gw, "source=r2")
    until(lambda: len(asked(stub)) == 1)
    time.sleep(0.3)         # from the stub's answer to the backoff
    assert not answer
    told = time.monotonic()
    for pid in gw.responders():
        os.kill(pid, signal.SIGTERM)
    waiting.join(60)
    took = time.monotonic() - told
    obj = mw.check_error(answer[0], "store_unavailable", userId="u")
    assert answer[0].get("Retry-After") == "1" and obj["attempts"] == 1 == len(asked(stub))
    assert took < 20, took


@pytest.mark.parametrize("kind", ["lighttpd", "apache"])
def test_one_process_stays_free(make, stub, kind):
    """Of two processes one waits out a long Retry-After; the other answers meanwhile (Apache
    starts it first, which may take seconds)."""
    gw = serving(make, stub, kind)
    stub.fail(times=9, status=503, headers={"Retry-After": "9"})
    waiting, answer = in_background(gw, "source=r2&raw=1")
    until(lambda: len(asked(stub)) == 1)
    time.sleep(0.3)
    r = gw.get("u", "f", "source=r2")
    mw.check_error(r, "store_unavailable", attempts=1)
    assert r.get("Retry-After") == "9" and not answer, r
    with stub.lock:
        stub.faults.clear()
    waiting.join(60)
    assert answer[0].status == 200 and answer[0].get("X-Attempts") == "2", answer[0]
