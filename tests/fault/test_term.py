# SPDX-License-Identifier: BSD-2-Clause
"""TERM ends waits: nobody hangs on a process that has to go."""
import os
import signal
import threading
import time

import mw
from s3stub import QUICK


def until(what, seconds=10):
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
    told = time.monotonic()
    for pid in gw.responders():
        os.kill(pid, signal.SIGTERM)
    second.join(10)
    took = time.monotonic() - told
    mw.check_error(answer[b"two"], "sandbox_unavailable", userId="u", path="/f")
    assert answer[b"two"].get("Retry-After") == "1" and took < 2, took
    first.join(20)
    assert answer[b"one"].status == 200, answer[b"one"]
    assert gw.content("u", "f", "source=r2") == b"one"
