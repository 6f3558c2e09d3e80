# SPDX-License-Identifier: BSD-2-Clause
"""TERM ends waits: nobody hangs on a process that has to go."""
import os
import signal
import socket
import subprocess
import threading
import time

import gateway
import mw
import wakes
from agentstub import Agent
from s3stub import QUICK


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def test_term_ends_the_wait_for_a_path(make, stub):
    """One PUT holds the path in a slow R2, another waits for the path; both
    processes are told to end: the first finishes, the second is sent away."""
    gw = make.server("lighttpd", QUICK, store="s3", s3=stub, procs=2)
    stub.fail(method="PUT", key="users/u/f", times=1, delay=6)
    answer = {}

    def put(body):
        answer[body] = gw.put("u", "f", body, "target=r2")

    first = threading.Thread(target=put, args=(b"one",))
    second = threading.Thread(target=put, args=(b"two",))
    first.start()
    until(lambda: stub.count("PUT", "users/u/f") == 1)
    second.start()
    until(lambda: len(os.listdir(gw.path("state", "spool"))) == 2)   # its body is in
    for pid in gw.responders():
        os.kill(pid, signal.SIGTERM)
    second.join(60)
    assert b"one" not in answer, "the second waited for the first"
    mw.check_error(answer[b"two"], "sandbox_unavailable", userId="u", path="/f")
    assert answer[b"two"].get("Retry-After") == "1"
    first.join(60)
    assert answer[b"one"].status == 200, answer[b"one"]
    assert gw.content("u", "f", "source=r2") == b"one"


def handles(pid, sig):
    with open("/proc/%d/status" % pid) as f:
        caught = [line.split()[1] for line in f if line.startswith("SigCgt:")]
    return int(caught[0], 16) >> sig - 1 & 1


def has_children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return f.read() != ""


def test_term_while_a_pool_begins(make):
    """It comes as soon as anybody handles it: libfcgi would, and keep it to itself.  Or
    else when the pool is there."""
    gw = make()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(gw.path("socket"))
        s.listen()
        p = subprocess.Popen([gateway.binary("health.fcgi")], stdin=s, stdout=subprocess.DEVNULL,
                             env=dict(gw.env(), MOLTWORKER_PROCS="1"), start_new_session=True)
        wakes.until(lambda: handles(p.pid, signal.SIGTERM) or has_children(p.pid), step=0)
        p.terminate()
        try:
            assert p.wait(30) in (0, -signal.SIGTERM)
        finally:
            wakes.kill([p.pid])


def test_term_ends_the_waits_of_plain_cgi(r2):
    """It answers 503 in place of being gone without a word."""
    r2.stub.fail(times=9, status=503, headers={"Retry-After": "60"})
    target = r2.target("u", "f", "source=r2")
    env = r2.cgi_env("GET", target, [("X-Admin-Secret", r2.secret)], None, None)
    p = subprocess.Popen([gateway.binary("files.fcgi")], env=env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=r2.path("tmp"))
    until(lambda: r2.stub.count() == 1)
    told = time.monotonic()
    p.terminate()
    out = p.communicate(timeout=30)[0]
    took = time.monotonic() - told
    r = gateway.parse_cgi(out, "GET", took)
    mw.check_error(r, "store_unavailable", attempts=1)
    assert r.get("Retry-After") == "1" and p.returncode == 0 and took < 20, took


def test_term_ends_the_wait_for_an_agent(make):
    """A sandbox that says nothing: the wake gives up when its process has to go."""
    gw = make.server("lighttpd", dict(QUICK, **{"retry.attempts": 1}), procs=2)
    agent = Agent(gw, "u", "silent")
    answer = []
    t = threading.Thread(target=lambda: answer.append(gw.get("u", "f", "source=container")))
    t.start()
    until(lambda: agent.kept)
    told = time.monotonic()
    for pid in gw.responders():
        os.kill(pid, signal.SIGTERM)
    t.join(60)
    took = time.monotonic() - told
    mw.check_error(answer[0], "sandbox_unavailable", userId="u")
    assert answer[0].get("Retry-After") == "1" and took < 20, took
    agent.close()
