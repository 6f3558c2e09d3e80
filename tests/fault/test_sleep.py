# SPDX-License-Identifier: BSD-2-Clause
"""What comes in while a sandbox is put to sleep is not lost with it."""
import os
import threading
import time

import pytest

import gateway
import mw
import wakes
from s3stub import QUICK


def gateway_of(make, stub, more):
    gw = make(dict(QUICK, **more), store="s3", s3=stub)
    gw.stub = stub
    gw.without_drain()
    return gw


@pytest.fixture
def bridge(make, stub, cloud):
    cloud.tell("forget")
    gw = gateway_of(make, stub, cloud.settings("bridge"))
    gw.cloud = cloud
    yield gw
    cloud.tell("forget")


@pytest.fixture(params=["local", "bridge"])
def gw(request, make, stub):
    """Where files outlive a stop, and where they do not."""
    if request.param == "bridge":
        return request.getfixturevalue("bridge")
    return gateway_of(make, stub, {})


only_long = pytest.mark.skipif(os.environ.get("MW_LONG") != "1", reason="MW_LONG=1 for all")


def drivers(*default):
    """Over these; over both with MW_LONG=1."""
    return pytest.mark.parametrize("gw", [d if d in default else pytest.param(d, marks=only_long)
                                          for d in ("local", "bridge")], indirect=True)


users = iter("sleeper%d" % n for n in range(1000))


@pytest.fixture
def user():
    return next(users)


def post(gw, user, what):
    return gw.call("POST", "/api/super/users/%s/%s" % (user, what), body=b"", timeout=120)


def beside(call):
    """Start the call; .join() has its answer."""
    got = []
    t = threading.Thread(target=lambda: got.append(call()), daemon=True)
    t.start()

    def join():
        t.join(120)
        return got[0]
    return join


def syncing(gw, user, what="sleep"):
    """A sleep whose sync waits in its upload: `go` lets it on."""
    gw.put_ok(user, "kept", b"kept", timeout=120)
    gw.put_ok(user, "slow", b"slow", "skipR2=true", timeout=120)
    go = threading.Event()
    gw.stub.reset()
    gw.stub.fail(method="PUT", key="/slow", until=go)
    done = beside(lambda: post(gw, user, what))
    wakes.until(lambda: gw.stub.count("PUT", "/slow"))
    return go, done


@drivers("bridge")
@pytest.mark.parametrize("what", ["sleep", pytest.param("restart", marks=only_long)])
def test_a_write_during_the_sync(gw, user, what):
    go, done = syncing(gw, user, what)
    gw.put_ok(user, "late", b"acknowledged", "skipR2=true", timeout=120)
    go.set()
    mw.check_json(done())
    assert gw.stub.get("users/%s/late" % user) == b"acknowledged"
    assert gw.content(user, "late", "source=container") == b"acknowledged"


@drivers("local")
def test_a_command_during_the_sync(gw, user):
    go, done = syncing(gw, user)
    obj = mw.check_json(gw.exec(user, "echo made >late", timeout=120))
    assert obj["exitCode"] == 0, obj
    go.set()
    mw.check_json(done())
    assert gw.stub.get("users/%s/late" % user) == b"made\n"
    assert gw.content(user, "late", "source=container") == b"made\n"


@drivers("local")
def test_changes_without_end(gw, user):
    """Something changes during each sync: it is not stopped, and the answer says why."""
    gw.put_ok(user, "kept", b"kept", timeout=120)
    written = []

    def write(call):
        if call.method == "GET" and call.key == "":         # the listing of a sync
            written.append("late%d" % len(written))
            gw.put_ok(user, written[-1], b"acknowledged", "skipR2=true", timeout=120)
    gw.stub.before = write
    obj = mw.check_error(post(gw, user, "sleep"), "sandbox_unavailable", userId=user)
    assert "force" in obj["error"] and written, obj
    for name in written:
        assert gw.content(user, name, "source=container") == b"acknowledged"
    mw.check_json(post(gw, user, "sleep?force=true"))
    gw.stub.before = None
    mw.check_json(post(gw, user, "restart"))


def test_something_in_it_hangs(make):
    """A write, say, that its sandbox does not answer: nobody waits for it for ever."""
    gw = make({"sandbox.timeout": 1000})
    gw.put_ok("u", "f", b"x", timeout=60)
    with mw.Lock(gw, "change:u"):
        obj = mw.check_error(post(gw, "u", "sleep"), "sandbox_unavailable", userId="u")
        assert "force" in obj["error"], obj
        gw.put_ok("u", "f", b"y", timeout=60)
        if os.environ.get("MW_LONG") == "1":
            mw.check_json(post(gw, "u", "sleep?force=true"))
    mw.check_json(post(gw, "u", "sleep"))


# ---- while it is stopped ----

def test_what_is_woken_meanwhile(bridge, user):
    """Nobody is given a sandbox that this very sleep then stops."""
    bridge.put_ok(user, "kept", b"kept", timeout=120)
    bridge.cloud.tell("slow_stop", ms=1500)
    asleep = beside(lambda: post(bridge, user, "sleep"))
    wakes.until(lambda: user not in bridge.cloud.state()["running"])
    r = bridge.raw(user, "kept", "source=container", timeout=120)
    assert (r.status, r.body) == (200, b"kept"), r
    mw.check_json(asleep())
    assert user in bridge.cloud.state()["running"], "it was stopped after it had been woken"


def test_whoever_stops_it_is_killed(bridge, user):
    """The gate opens by itself."""
    bridge.put_ok(user, "kept", b"kept", timeout=120)
    bridge.cloud.tell("slow_stop", ms=600000)
    asleep = beside(lambda: post(bridge, user, "sleep?sync=false"))
    wakes.until(lambda: user not in bridge.cloud.state()["running"])
    late = beside(lambda: bridge.put(user, "late", b"x", "skipR2=true", timeout=120))
    wakes.kill([p for p in gateway.processes_of(bridge.dir)
                if gateway.command_line(p).endswith("/state.fcgi")])
    assert asleep().status == 0
    began = time.monotonic()
    assert late().status == 200 and time.monotonic() - began < 60
    assert bridge.content(user, "late", "source=container") == b"x"
    bridge.cloud.tell("forget")


def test_a_command_waits_outside(bridge, user):
    """By force: those that ran are lost, one that has not begun is not."""
    ran = mw.check_json(bridge.exec(user, "sleep 600", stream=True, timeout=120))["processId"]
    bridge.cloud.tell("slow_stop", ms=1500)
    asleep = beside(lambda: post(bridge, user, "sleep?force=true&sync=false"))
    wakes.until(lambda: user not in bridge.cloud.state()["running"])
    obj = mw.check_json(bridge.exec(user, "echo ran >>f; cat f", timeout=120))
    assert (obj["exitCode"], obj["stdout"]) == (0, "ran\n"), obj
    mw.check_json(asleep())
    mw.check_error(bridge.process(user, ran, timeout=120), "process_lost")
