# SPDX-License-Identifier: BSD-2-Clause
"""The local sandbox seen through the files routes: restore, asleep, unavailable."""
import os
import shutil
import signal

import pytest

import gateway
import mw

HAVE_BWRAP = shutil.which("bwrap") is not None


def no_bwrap_path(gw):
    """A PATH on which everything is found but bubblewrap."""
    d = gw.path("nobin")
    os.mkdir(d)
    for name in ("sh", "env", "cat", "rm", "mkdir"):
        os.symlink(shutil.which(name), os.path.join(d, name))
    return d


def forget(gw, user):
    """The sandbox is replaced by an empty one under the same name."""
    gw.end_sandboxes()
    deadline = 100
    while any(" hold " in gw_line for gw_line in gw.leftovers(0).values()) and deadline:
        deadline -= 1
    shutil.rmtree(gw.sandbox(user), ignore_errors=True)
    shutil.rmtree(gw.path("sandboxes", ".run", user), ignore_errors=True)


def test_hibernating(make):
    """Not restored and not allowed to wake: 503, never 404."""
    gw = make()
    gw.put_ok("u", "f", b"x", "target=r2")
    for path in ("f", "none"):
        r = gw.get("u", path, "source=container&maxWakeTime=0")
        obj = mw.check_error(r, "sandbox_hibernating", userId="u")
        assert "hibernat" in obj["error"], obj
    assert not os.path.exists(gw.sandbox("u", "f"))
    assert gw.content("u", "f", "source=container") == b"x"
    assert gw.content("u", "f", "source=container&maxWakeTime=0") == b"x", "now it is proven"


def test_put_that_may_not_wake(make):
    gw = make()
    mw.check_error(gw.put("u", "f", b"x", "target=container&maxWakeTime=0"), "sandbox_hibernating")
    assert gw.content("u", "f") is None


def test_restore_before_the_first_answer(make):
    """Hazard: a fresh, empty instance is no proof that a file does not exist."""
    gw = make()
    for i in range(20):
        gw.put_ok("u", "d%d/f%d" % (i % 3, i), b"%d" % i)
    forget(gw, "u")
    for i in range(20):
        assert gw.content("u", "d%d/f%d" % (i % 3, i), "source=container") == b"%d" % i
    assert gw.content("u", "none", "source=container") is None


def test_restore_overwrites_nothing(make):
    gw = make()
    gw.put_ok("u", "f", b"from R2")
    gw.put_ok("u", "g", b"g")
    gw.end_sandboxes()
    shutil.rmtree(gw.path("sandboxes", ".run", "u"), ignore_errors=True)
    with open(gw.sandbox("u", "f"), "wb") as f:
        f.write(b"newer here")
    os.unlink(gw.sandbox("u", "g"))
    assert gw.content("u", "g", "source=container") == b"g"
    assert gw.content("u", "f", "source=container") == b"newer here"


def test_restore_can_be_switched_off(make):
    gw = make({"wake.restore": False})
    gw.put_ok("u", "f", b"x")
    forget(gw, "u")
    assert gw.content("u", "f", "source=container") is None
    assert gw.content("u", "f") == b"x"


def test_write_before_restore_is_not_undone(make):
    """The first request to a fresh sandbox is a write."""
    gw = make()
    gw.put_ok("u", "f", b"old")
    gw.put_ok("u", "g", b"g")
    forget(gw, "u")
    gw.put_ok("u", "f", b"new")
    for q in ("source=r2", "source=container", ""):
        assert gw.content("u", "f", q) == b"new" and gw.content("u", "g", q) == b"g"


def test_r2_only_write_arrives_at_the_next_wake(make):
    gw = make()
    gw.put_ok("u", "f", b"old")
    gw.end_sandboxes()
    gw.put_ok("u", "f", b"new", "target=r2")
    assert gw.content("u", "f", "source=r2") == b"new" == gw.content("u", "f")
    gw.put_ok("u", "g", b"wakes", "target=container")


def test_without_bubblewrap(make):
    """isolation=auto and no bwrap: refuse to run anything, and name the setting."""
    gw = make({"sandbox.local.isolation": "auto"})
    gw.extra_env["PATH"] = no_bwrap_path(gw)
    r = gw.put("u", "f", b"x", "target=container")
    if r.status == 200:
        pytest.skip("a file write needs no running sandbox here")
    obj = mw.check_error(r, "sandbox_unavailable", userId="u")
    assert "isolation" in obj["error"] and "bwrap" in obj["error"] \
        or "bubblewrap" in obj["error"], obj
    gw.put_ok("u", "f", b"x", "target=r2")
    assert gw.content("u", "f", "source=r2") == b"x", "R2 alone needs no sandbox"
    assert mw.check_json(gw.call("GET", "/api/super/health"))["driver"] == "local"


@pytest.mark.skipif(not HAVE_BWRAP, reason="bubblewrap is not installed")
def test_with_bubblewrap(make):
    gw = make({"sandbox.local.isolation": "bwrap"})
    gw.put_ok("u", "d/f", b"x")
    assert gw.content("u", "d/f", "source=container") == b"x"
    forget(gw, "u")
    assert gw.content("u", "d/f", "source=container") == b"x", "restored"


def test_gets_of_r2_start_nothing(make):
    gw = make()
    gw.put_ok("u", "f", b"x", "target=r2")
    gw.content("u", "f", "source=r2")
    gw.content("u", "f")
    gw.list("u", "source=r2")
    gw.list("u")
    gw.call("GET", "/api/super/health")
    assert not [c for c in gw.leftovers(0).values() if " hold " in c]
    assert not os.path.exists(gw.sandbox("u", "f"))


def test_deadline_is_kept(make):
    """A wake that may take long is given up in the client's own time."""
    gw = make({"gateway.start": "sleep 1000", "gateway.probe": "false"})
    r = gw.put("u", "f", b"x", "maxWakeTime=1500", timeout=30)
    assert r.elapsed < 15, r.elapsed
    assert r.status == 200, "files need the sandbox, not its gateway: %r" % r


def test_sandbox_disk_refuses(make):
    """The directory of all sandboxes cannot be written: an error, nothing half done."""
    gw = make()
    os.chmod(gw.path("sandboxes"), 0o500)
    try:
        r = gw.put("u", "f", b"x")
        assert r.status in (403, 500, 503), r
        mw.check_error(r, r.json()["code"])
        assert gw.content("u", "f", "source=r2") is None
    finally:
        os.chmod(gw.path("sandboxes"), 0o700)


def test_force_stops_what_runs(make):
    gw = make({"gateway.start": "sleep 1000", "gateway.probe": "sleep 1000",
               "wake.health_timeout": 1000})
    gw.put_ok("u", "f", b"x")
    job = mw.check_json(gw.exec("u", "sleep 1000", stream=True, requireGateway=False))
    target = "/api/super/users/u/sleep"
    mw.check_error(gw.call("POST", target, [("Content-Length", "0")], b""), "conflict")
    status = mw.check_json(gw.process("u", job["processId"]))
    assert status["running"] is True, status
    mw.check_json(gw.call("POST", target + "?force=true", [("Content-Length", "0")], b""))
    mw.check_error(gw.process("u", job["processId"]), "process_lost")


def test_what_cannot_be_looked_at_is_not_stopped(make):
    """An answer that does not come is no proof that there is nothing to be kept."""
    gw = make({"wake.health_timeout": 500, "retry.attempts": 1})
    gw.put_ok("u", "f", b"x")
    agents = [p for p in gateway.processes_of(gw.dir)
              if " serve" in gateway.command_line(p) and "agent" in gateway.command_line(p)]
    assert agents
    for p in agents:
        os.kill(p, signal.SIGSTOP)
    try:
        r = gw.call("POST", "/api/super/users/u/sleep", [("Content-Length", "0")], b"")
        assert r.status in (503, 504) and r.json()["retryable"], r
        assert all(os.path.exists("/proc/%d" % p) for p in agents), "it was stopped"
    finally:
        for p in agents:
            os.kill(p, signal.SIGCONT)
    assert gw.content("u", "f", "source=container") == b"x"


@pytest.mark.parametrize("user", ["Bob", "bob.", "b_b", "bob-"])
def test_ids_that_dns_would_mix_up(make, user):
    """Two users never meet in one container, whatever a resolver makes of their names."""
    gw = make({"sandbox.driver": "container",
               "sandbox.container.url": "http://sandbox-{user}.invalid:3000"})
    r = gw.get(user, "f", "source=container")
    assert r.status in (400, 503) and "host name" in r.json()["error"], r
