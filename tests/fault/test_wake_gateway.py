# SPDX-License-Identifier: BSD-2-Clause
"""Gateways that fail, hang, come late or die; what runs is never killed.  The limits are
scaled down; MW_LONG=1 adds the real ones."""
import os
import re
import shutil
import threading
import time

import pytest

import mw
import wakes

LONG = os.environ.get("MW_LONG") == "1"
HANG = wakes.COUNT + "echo one; echo two >&2; exec sleep 100000"


def failed(r, code, phase, log=()):
    obj = mw.check_error(r, code, userId="u")
    assert obj["details"]["phase"] == phase, obj
    for line in log:
        assert line in obj["details"].get("log", []), obj
    return obj


def same_at_once(gw, first):
    """Within failure_ttl: the same answer, without a call to anybody."""
    before = wakes.starts(gw, "u")
    r = wakes.wake(gw, "u")
    again = mw.check_error(r, first["code"], userId="u")
    assert (again["error"], again["details"]) == (first["error"], first["details"])
    assert again["attempts"] == 0 and wakes.starts(gw, "u") == before
    assert r.elapsed < 2 and 1 <= int(r.get("Retry-After")) <= 15, r
    return again


@pytest.mark.parametrize("how,text", [
    ("exit 3", "exit code 3"), ("kill -9 $$", "exit code 137"), ("exit 0", "exit code 0"),
    ("sleep 0.3; exit 1", "exit code 1")])
def test_it_ends_at_start(make, how, text):
    gw = make(wakes.settings(wakes.COUNT + "echo boom; echo bad >&2; " + how, wake_health_timeout=1000))
    obj = failed(wakes.wake(gw, "u"), "gateway_failed", "gateway_start", ("boom", "bad"))
    assert "Moltbot gateway failed to start" in obj["error"] and text in obj["error"], obj
    same_at_once(gw, obj)
    assert len(wakes.starts(gw, "u")) == 1
    assert wakes.state(gw, "u") == "idle"
    gw.put_ok("u", "f", b"x", "target=container", timeout=20)
    assert gw.content("u", "f", "source=container") == b"x", "files need no gateway"


def test_its_command_cannot_be_parsed(make):
    gw = make(wakes.settings("if"))
    failed(wakes.wake(gw, "u"), "gateway_failed", "gateway_start")


def test_it_is_tried_again_once_the_failure_is_forgotten(make):
    gw = make(wakes.settings(wakes.COUNT + "test -f good || exit 1; touch up; exec sleep 100000",
                             wake_failure_ttl=300))
    failed(wakes.wake(gw, "u"), "gateway_failed", "gateway_start")
    gw.put_ok("u", "good", b"", "target=container")
    wakes.until(lambda: wakes.wake(gw, "u").status == 200)
    assert wakes.state(gw, "u") == "active"


LIAR = """echo "$3" >>"$MW_ROOT/calls"
printf 'mw1 running - - - 1 -\\nout\\nerr\\nend %s\\n' "$4"
"""


def test_a_sandbox_that_does_not_wait(make, driver):
    """It says at once that the gateway has ended, and that it runs: ten times a second."""
    limit = wakes.ample(driver, 1500)
    gw = make(wakes.settings(HANG, wake_max_wait=limit, wake_failure_ttl=100))
    failed(wakes.wake(gw, "u"), "wake_timeout", "probe")
    for where, _, files in list(os.walk(gw.run_dir("u"))):
        for name in files:
            if re.match("job-[0-9a-f]{16}$", name):
                with open(os.path.join(where, name), "w") as f:
                    f.write(LIAR)
        if os.path.basename(where).startswith("gateway-"):
            with open(os.path.join(where, "result"), "w") as f:
                f.write("exited 1 1\n")
    time.sleep(0.2)     # until the failure is forgotten
    failed(wakes.wake(gw, "u"), "wake_timeout", "probe")
    assert 2 <= len(wakes.lines(gw.sandbox("u", "calls"))) <= limit // 100 + 2


def test_it_hangs(make, driver):
    limit = wakes.ample(driver, 1500)
    gw = make(wakes.settings(HANG, wake_max_wait=limit, wake_failure_ttl=limit))
    start = time.monotonic()
    obj = failed(wakes.wake(gw, "u"), "wake_timeout", "probe", ("one", "two"))
    assert time.monotonic() - start >= 1.4 and "imeout" in obj["error"], obj
    same_at_once(gw, obj)
    # Who would wait longer than it was tried for is not sent away.
    r = wakes.wake(gw, "u", "?maxWakeTime=%d" % (limit + 300))
    assert r.elapsed > 1, r
    pid = wakes.starts(gw, "u")
    assert len(pid) == 1 and wakes.alive(gw, "u", pid[0]), "it is neither killed nor started twice"
    wakes.inside(gw, "u", "touch up")
    wakes.until(lambda: wakes.wake(gw, "u").status == 200)
    assert wakes.starts(gw, "u") == pid


def late(make, seconds, limit):
    gw = make(wakes.settings(wakes.COUNT + "sleep %s; touch up; exec sleep 100000" % seconds,
                             wake_max_wait=limit * 1000))
    obj = mw.check_json(wakes.wake(gw, "u", timeout=limit + 60))
    assert obj["action"] == "started" and seconds * 1000 <= obj["waitedMs"], obj
    assert len(wakes.starts(gw, "u")) == 1


def test_it_comes_late(make):
    late(make, 3, 6)


@pytest.mark.skipif(not LONG, reason="takes two minutes: MW_LONG=1")
def test_it_comes_after_119_of_120_seconds(make):
    late(make, 119, 120)


@pytest.mark.skipif(not LONG, reason="takes two minutes: MW_LONG=1")
def test_no_server_cuts_a_long_wait(make):
    start = wakes.settings(wakes.COUNT + "sleep 125; touch up; exec sleep 100000")
    gws = [make.server(kind, start) for kind in ("lighttpd", "apache", "nginx", "cgi")]
    for r in wakes.side_by_side([
            lambda gw=gw: wakes.wake(gw, "u", "?maxWakeTime=180000", timeout=200) for gw in gws]):
        assert mw.check_json(r)["waitedMs"] >= 125000


PORT = ("import socket, sys, time; s = socket.socket(); "
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
        "s.bind(('127.0.0.1', %d)); s.listen(); time.sleep(%s); sys.exit(4)")


def listener(driver, port, seconds):
    """A command that listens for so long; the containers of the engine have no Python."""
    if driver == "engine":
        return "timeout %s nc -l -p %d" % (seconds, port)
    return "/usr/bin/python3 -c \"%s\"" % (PORT % (port, seconds))


def test_it_dies_after_its_port_opened(make, driver):
    port = mw.free_port()
    gw = make(wakes.settings("echo open; %s; echo gone; exit 4" % listener(driver, port, 1),
                             gateway_port=port, gateway_probe="false"))
    obj = failed(wakes.wake(gw, "u"), "gateway_failed", "gateway_start", ("open", "gone"))
    assert "exit code 4" in obj["error"]
    same_at_once(gw, obj)


def test_its_port_counts(make, driver):
    port = mw.free_port()
    gw = make(wakes.settings("sleep 1; exec " + listener(driver, port, 1000),
                             gateway_port=port, gateway_probe="true"))
    obj = mw.check_json(wakes.wake(gw, "u", timeout=60))
    assert obj["waitedMs"] >= 1000, obj


def test_it_dies_when_it_was_ready(make):
    """Found dead, it is started again; the user's own job goes on."""
    gw = make(wakes.settings())
    mw.check_json(wakes.wake(gw, "u"))
    job = wakes.inside(gw, "u", "setsid sleep 98765 >/dev/null 2>&1 & echo $!").strip()
    wakes.end(gw, "u", wakes.starts(gw, "u")[0])
    wakes.until(lambda: wakes.state(gw, "u") == "idle")
    obj = mw.check_json(wakes.wake(gw, "u", timeout=60))
    assert (obj["previousState"], obj["action"]) == ("idle", "restarted"), obj
    assert len(wakes.starts(gw, "u")) == 2 and wakes.alive(gw, "u", wakes.starts(gw, "u")[1])
    assert wakes.alive(gw, "u", job)


def test_it_fails_but_lives(make):
    """One that has passed and fails for a while is restarted, alone."""
    gw = make(wakes.settings())
    mw.check_json(wakes.wake(gw, "u"))
    job = wakes.inside(gw, "u", "setsid sleep 98764 >/dev/null 2>&1 & echo $!").strip()
    first = wakes.starts(gw, "u")[0]
    os.unlink(gw.sandbox("u", "up"))
    start = time.monotonic()
    obj = mw.check_json(wakes.wake(gw, "u", timeout=60))
    assert obj["action"] == "restarted" and time.monotonic() - start >= 3.9, obj
    assert len(wakes.starts(gw, "u")) == 2 and not wakes.alive(gw, "u", first) and wakes.alive(gw, "u", job)


def test_one_that_fails_for_a_moment_is_left_alone(make):
    gw = make(wakes.settings())
    mw.check_json(wakes.wake(gw, "u"))
    first = wakes.starts(gw, "u")
    os.unlink(gw.sandbox("u", "up"))
    timer = threading.Timer(1.5, lambda: open(gw.sandbox("u", "up"), "w").close())
    timer.start()
    obj = mw.check_json(wakes.wake(gw, "u", timeout=60))
    timer.join()
    assert obj["action"] == "none" and wakes.starts(gw, "u") == first and wakes.alive(gw, "u", first[0]), obj


def test_a_job_survives_the_wake(make):
    gw = make(wakes.settings())
    gw.put_ok("u", "f", b"x", "target=container")       # the sandbox runs, no gateway yet
    mw.check_json(gw.call("GET", "/api/super/users/u/state"))
    if wakes.state(gw, "u") == "sleeping":
        pytest.skip("files are written asleep")
    job = wakes.inside(gw, "u", "setsid sleep 98763 >/dev/null 2>&1 & echo $!").strip()
    obj = mw.check_json(wakes.wake(gw, "u"))
    assert (obj["previousState"], obj["action"]) == ("idle", "started"), obj
    assert wakes.alive(gw, "u", job)


def test_one_that_goes_to_the_background(make):
    gw = make(wakes.settings(wakes.COUNT + "sh -c 'sleep 1; echo $$ >pid; touch up; exec sleep 100000' & "
                             "exit 0"))
    mw.check_json(wakes.wake(gw, "u", timeout=60))
    assert len(wakes.starts(gw, "u")) == 1
    assert wakes.state(gw, "u") == "active"


def test_files_do_not_wait_for_it(make):
    """A broken gateway is repaired through files: they need the sandbox only."""
    gw = make(wakes.settings(HANG, wake_max_wait=30000))
    gw.put_ok("u", "f", b"x", "target=r2")
    thread = threading.Thread(target=lambda: wakes.wake(gw, "u", timeout=60))
    thread.start()
    wakes.until(lambda: wakes.starts(gw, "u"))
    r = gw.raw("u", "f", "source=container")
    assert (r.status, r.body) == (200, b"x") and r.elapsed < 10, r
    wakes.inside(gw, "u", "touch up")
    thread.join()
    assert wakes.state(gw, "u") == "active"


def test_put_to_sleep_during_a_wake(make):
    gw = make(wakes.settings(HANG, wake_max_wait=60000))
    answer = []
    thread = threading.Thread(target=lambda: answer.append(wakes.wake(gw, "u", timeout=90)))
    thread.start()
    wakes.until(lambda: wakes.starts(gw, "u"))
    wakes.sleep(gw, "u")
    thread.join()
    mw.check_error(answer[0], "sandbox_hibernating", userId="u")
    assert wakes.state(gw, "u") == ("sleeping" if gw.can_stop else "idle")
    assert not wakes.helpers(gw, "u")
    if not gw.can_stop or not gw.comes_back_empty:
        assert len(wakes.starts(gw, "u")) == 1, "nothing wakes it again"


def test_serve_ends_the_wakes_it_started(make):
    gw = make.server("lighttpd", wakes.settings(HANG, wake_max_wait=60000))
    mw.check_json(wakes.wake(gw, "u", "?wait=false"), 202)
    wakes.until(lambda: wakes.starts(gw, "u"))
    gw.end()                            # checks that nothing is left running
    gw.serve = None


def test_mixed_requests(make):
    """(A thousand of them with MW_LONG=1.)  A ready user's gateway keeps its pid, and no request asks for more than it needs."""
    gw = make.server("lighttpd", wakes.settings(), procs=8)
    mw.check_json(wakes.wake(gw, "u"))
    first = wakes.starts(gw, "u")
    for i in range(4):
        gw.put_ok("u", "f%d" % i, b"%d" % i)
    tap = wakes.Tap(gw, "u") if gw.local else wakes.Events(gw, "u")
    run = b'{"command":"true"}'

    def some(n):
        made = 0
        for i in range(n):
            kind, name = i % 5, "f%d" % (i % 4)
            if kind == 0:
                r = gw.raw("u", name, "source=container")
            elif kind == 1:
                r = gw.raw("u", name)
            elif kind == 2:
                r = gw.put("u", "w%d" % (i % 7), b"w", "target=container")
            elif kind == 3:
                r = gw.list("u", "source=container")
            else:
                r = gw.call("POST", "/api/super/users/u/exec",
                            [("Content-Type", "application/json")], run)
            assert r.status == 200 and (r.get("X-Attempts") == "1" or not gw.local), r
            made += tap.PER_KIND[kind]
        return made
    try:
        n = 250 if LONG else 75 if gw.local else 10
        made = wakes.side_by_side([lambda: some(n) for _ in range(4)])
        assert tap.calls == sum(made), "calls of the agent"
    finally:
        tap.close()
    assert wakes.starts(gw, "u") == first and wakes.alive(gw, "u", first[0])
    assert wakes.state(gw, "u") == "active"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize("isolation", ["bwrap", "none"])
def test_the_example_of_the_manual(make, driver, isolation):
    """The usual probe, by name: it finds the gateway, and never itself or what starts it."""
    if driver != "local" and isolation == "bwrap":
        pytest.skip("isolation is the local driver's")
    # Busybox, as Debian has it, has no pgrep.
    find = "ps -o args | grep -Eq" if driver == "engine" else "pgrep -f"
    probe = find + " '[o]penclaw gateway|[c]lawdbot gateway'"
    gw = make(dict(wakes.settings("sleep 1; exec sh ./openclaw gateway", gateway_probe=probe),
                   **{"sandbox.local.isolation": isolation}))
    gw.put_ok("u", "openclaw", b"while :; do sleep 1; done\n", "target=r2")
    obj = mw.check_json(wakes.wake(gw, "u", timeout=60))
    assert obj["action"] == "started" and obj["waitedMs"] >= 1000, obj
    assert mw.check_json(wakes.wake(gw, "u"))["action"] == "none"
    mw.check_json(gw.call("POST", "/api/super/users/u/restart?sync=false", body=b"", timeout=60))
    assert wakes.state(gw, "u") == "active"
