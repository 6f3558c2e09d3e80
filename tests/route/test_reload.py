# SPDX-License-Identifier: BSD-2-Clause
"""A changed configuration is live at the next request; a broken one never is."""
import time

import pytest

import gateway
import mw


@pytest.fixture
def gw(make):
    g = make.server("lighttpd", procs=1)
    g.put_ok("u", "f", b"x")
    return g


def until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not come true in %d s" % seconds
        time.sleep(0.05)


def source(gw):
    return mw.check_json(gw.get("u", "f"))["source"]


def test_default_source(gw):
    assert source(gw) == "r2"
    pids = gw.responders()
    gw.configure({"read.default_source": "container"})
    until(lambda: source(gw) == "container")
    gw.configure({"read.default_source": "auto"})
    until(lambda: source(gw) == "r2")
    assert gw.responders() == pids, "without a restart"


def test_max_body_both_ways(gw):
    gw.configure({"http.max_body": 1000})
    until(lambda: gw.put("u", "g", b"x" * 1001).status == 413)
    gw.put_ok("u", "g", b"x" * 1000)
    gw.configure({"http.max_body": 2000})
    until(lambda: gw.put("u", "g", b"x" * 1001).status == 200)


def test_retry_attempts(gw):
    gw.configure({"retry.attempts": 1})
    time.sleep(1.2)
    assert source(gw) == "r2"


@pytest.mark.parametrize("text", ["nonsense = 1;\n", "{{{", "", "read: { default_source = \"x\"; };"])
def test_broken_keeps_the_last_good(gw, text):
    good = gateway.libconfig_text(gw.conf)
    gw.configure({"read.default_source": "container"})
    until(lambda: source(gw) == "container")
    gw.write("moltworker.conf", text)
    for _ in range(3):
        time.sleep(0.6)
        assert source(gw) == "container"
    errors = [t for t in gw.log().splitlines() if "moltworker.conf" in t]
    assert errors and len(errors) <= 3, "logged once a process: %s" % errors
    gw.write("moltworker.conf", good)
    until(lambda: source(gw) == "r2")


def test_changed_store(gw):
    """The store's own directory is a setting like any other."""
    import os
    os.mkdir(gw.path("store2"))
    gw.configure({"store.dir.path": "{dir}/store2"})
    until(lambda: gw.content("u", "f", "source=r2") is None)
    gw.put_ok("u", "g", b"y")
    assert gw.content("u", "g", "source=r2") == b"y"
    gw.configure({"store.dir.path": "{dir}/store"})
    until(lambda: gw.content("u", "f", "source=r2") == b"x")
