# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of a command, and of its sandbox, when something breaks both: never
"try again" about one that may have run, and what is broken heals at the next wake."""
import threading

import pytest

import mw
import wakes

PLAIN = {"retry.base": 5, "retry.max": 20, "breaker.failures": 1000}
BREAKS = {
    "closed": 'chmod 000 "$MW_RUN_DIR"',
    "file": 'rm -rf "$MW_RUN_DIR"; echo x >"$MW_RUN_DIR"',
    "link": 'mv "$MW_RUN_DIR" "$MW_RUN_DIR.x"; ln -s "$MW_RUN_DIR.x" "$MW_RUN_DIR"',
    "dangling": 'rm -rf "$MW_RUN_DIR"; ln -s /nowhere "$MW_RUN_DIR"',
    "gone": 'rm -rf "$MW_RUN_DIR"',
    "jobs-file": 'rm -rf "$MW_RUN_DIR/jobs"; echo x >"$MW_RUN_DIR/jobs"',
    "jobs-link": 'rm -rf "$MW_RUN_DIR/jobs"; ln -s /nowhere "$MW_RUN_DIR/jobs"',
    "jobs-closed": 'chmod 000 "$MW_RUN_DIR/jobs"',
    "in-file": 'rm -rf "$MW_RUN_DIR/in"; echo x >"$MW_RUN_DIR/in"',
    "in-closed": 'chmod 000 "$MW_RUN_DIR/in"',
    "instance-directory": 'rm "$MW_RUN_DIR/instance"; mkdir "$MW_RUN_DIR/instance"',
    "instance-link": 'mv "$MW_RUN_DIR/instance" i; ln -s "$PWD/i" "$MW_RUN_DIR/instance"',
}


def ran(r):
    """One that was begun: its result, that it is lost, or an error that says so."""
    if r.status == 200:
        return mw.check_json(r)["processId"]
    obj = r.json()
    assert obj["details"]["processId"], obj
    if obj["code"] != "process_lost":
        assert obj["retryable"] is False and r.status != 507, obj
    assert "nothing was started" not in obj["error"], obj
    return obj["details"]["processId"]


@pytest.mark.parametrize("key", [None, "k1"])
def test_put_to_sleep_by_force_while_it_runs(make, key):
    gw = make(PLAIN)
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0
    got = {}
    more = {"idempotencyKey": key} if key else {}
    t = threading.Thread(target=lambda: got.update(
        r=gw.exec("u", "echo x >begun; sleep 60", limit=60000, timeout=90, **more)))
    t.start()
    wakes.until(lambda: gw.get("u", "begun", "source=container").status == 200)
    mw.check_json(gw.call("POST", "/api/super/users/u/sleep?sync=false&force=true", body=b""))
    t.join()
    obj = mw.check_error(got["r"], "process_lost")
    pid = obj["details"]["processId"]
    mw.check_error(gw.process("u", pid), "process_lost")
    mw.check_error(gw.process("u", pid, what="/stream"), "process_lost")


@pytest.mark.parametrize("how", sorted(BREAKS))
def test_a_broken_run_dir_heals(make, how):
    gw = make(PLAIN)
    gw.put_ok("u", "kept", b"kept")
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0
    pid = ran(gw.exec("u", "%s; sleep 3; echo done" % BREAKS[how]))
    assert gw.process("u", pid).status in (200, 410, 503)
    mw.check_json(wakes.wake(gw, "u"))
    r = mw.check_json(gw.exec("u", "cat kept"))
    assert (r["exitCode"], r["stdout"]) == (0, "kept"), r


@pytest.mark.parametrize("how", ["closed", "file", "jobs-file"])
def test_a_broken_run_dir_is_no_matter_for_a_restart(make, how):
    gw = make(PLAIN)
    gw.put_ok("u", "kept", b"kept")
    wakes.wake(gw, "u")
    wakes.inside(gw, "u", BREAKS[how])
    mw.check_json(gw.call("POST", "/api/super/users/u/restart?force=true&sync=false", body=b""))
    assert mw.check_json(gw.exec("u", "cat kept"))["stdout"] == "kept"
