# SPDX-License-Identifier: BSD-2-Clause
"""A local sandbox ends with its holder, and `moltctl stop-all` ends all of them."""
import os
import select
import shutil
import signal

import pytest

import mw

ISOLATION = ["auto", "none"]


@pytest.fixture(params=ISOLATION)
def own(request, make):
    gw = make({"sandbox.local.isolation": request.param}, engine=None)
    yield gw
    gw.end_sandboxes()


def busy(gw, user):
    """Start the user's sandbox with a job in it, and one that left its session."""
    r = gw.exec(user, "setsid sleep 98701 & sleep 98702", stream=True)
    pid = mw.check_json(r)["processId"]
    assert mw.check_json(gw.process(user, pid))["running"]
    mw.check_json(gw.exec(user, "until pgrep -f 'sleep 9870[1]' >/dev/null; do :; done"))


def holder(gw, user):
    found = [p for p, c in gw.leftovers(0).items() if c.endswith(" hold " + user)]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL],
                         ids=lambda s: s.name)
def test_all_ends_with_the_holder(own, sig):
    busy(own, "u1")
    before = own.leftovers(0)
    assert [c for c in before.values() if "98701" in c] and \
        [c for c in before.values() if "98702" in c], before
    os.kill(holder(own, "u1"), sig)
    assert own.leftovers(10) == {}
    assert mw.check_json(own.exec("u1", "echo again"))["stdout"] == "again\n"


def test_a_terminated_holder_ends_last(own):
    """Who waits for it waits for all of the sandbox."""
    busy(own, "u1")
    pid = holder(own, "u1")
    end = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    assert select.select([end], [], [], 10)[0]
    os.close(end)
    assert own.leftovers(0) == {}


def test_stop_all(own):
    for user in ("a", "b.c", "d"):
        busy(own, user)
    own.exec("e", "true")
    mw.check_json(own.call("POST", "/api/super/users/e/sleep"))
    shutil.rmtree(own.path("sandboxes", "d"))   # its root is gone, the sandbox is not
    status, out, err = own.moltctl("stop-all", "--config", own.path("moltworker.conf"))
    assert (status, err) == (0, ""), (status, out, err)
    assert sorted(out.splitlines()) == ["a: stopped", "b.c: stopped", "d: stopped"]
    assert own.leftovers(0) == {}
    assert own.moltctl("stop-all") == (0, "no sandbox runs\n", "")
    assert mw.check_json(own.exec("a", "echo again"))["stdout"] == "again\n"


def test_stop_all_frozen(own):
    """An agent that does nothing any more is killed; its jobs go with it."""
    busy(own, "u1")
    frozen = [p for p, c in own.leftovers(0).items()
              if c.endswith("agent serve") and "bwrap" not in c]
    assert frozen
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    assert own.moltctl("stop-all") == (0, "u1: stopped\n", "")
    assert own.leftovers(0) == {}


def test_stop_all_without_any(make):
    gw = make({}, engine=None)
    assert gw.moltctl("stop-all") == (0, "no sandbox runs\n", "")
    os.rmdir(gw.path("sandboxes"))
    assert gw.moltctl("stop-all") == (0, "no sandbox runs\n", "")
    assert not os.path.exists(gw.path("sandboxes"))


def test_stop_all_refuses(make):
    gw = make({"sandbox.driver": "engine"}, engine=None)
    status, out, err = gw.moltctl("stop-all")
    assert (status, out) == (1, "") and "local sandboxes only" in err and '"engine"' in err, err
    status, out, err = gw.moltctl("stop-all", "u1")
    assert (status, out) == (2, "") and "usage: moltctl stop-all" in err, err
    status, out, err = gw.moltctl("stop-all", "--config", gw.path("none.conf"))
    assert (status, out) == (1, "") and "none.conf" in err, err
