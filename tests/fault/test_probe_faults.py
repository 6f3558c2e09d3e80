# SPDX-License-Identifier: BSD-2-Clause
"""Probes that lie: one that hangs, one that finds our own processes, and files that
outlive the gateway that wrote them."""
import time

import pytest

import mw
import wakes

START = "echo $$ >>starts; exec sleep 100000"


def probing(probe, start=START, **more):
    return wakes.settings(start, gateway_probe=probe, **more)


def test_one_that_hangs_is_not_up(make):
    """From the start, and while it runs: the sandbox is there, the gateway is not."""
    gw = make(probing("[ ! -f hang ] || sleep 1000; [ -f good ]", wake_max_wait=15000,
                      wake_health_timeout=2000, wake_ready_ttl=0, wake_failure_ttl=0))
    gw.put_ok("u", "hang", b"", "target=container")
    obj = mw.check_error(wakes.wake(gw, "u", timeout=60), "wake_timeout", userId="u")
    assert obj["details"]["phase"] == "probe", obj
    assert wakes.state(gw, "u") == "idle"
    assert len(wakes.starts(gw, "u")) == 1, "what starts is neither killed nor started twice"
    wakes.inside(gw, "u", "rm hang; touch good")
    mw.check_json(wakes.wake(gw, "u", timeout=60))
    # It has been ready: when it hangs it is repaired.
    wakes.inside(gw, "u", "touch hang; (sleep 4; rm hang) >/dev/null 2>&1 &")
    mw.check_json(wakes.wake(gw, "u", timeout=60))
    assert wakes.inside(gw, "u", "ps ax 2>/dev/null | grep -c '[s]leep 1000$' || :").strip() in (
        "0", ""), "a probe that hung is still there"


@pytest.mark.parametrize("where", ['"${TMPDIR:-/tmp}/up"', "up"])
def test_a_file_that_outlived_a_sleep(make, where):
    gw = make(probing("test -f " + where, "echo $$ >>starts; touch %s; exec sleep 100000" % where))
    assert mw.check_json(wakes.wake(gw, "u"))["action"] == "started"
    assert len(wakes.starts(gw, "u")) == 1
    wakes.sleep(gw, "u")
    assert mw.check_json(wakes.wake(gw, "u"))["action"] == "started"
    starts = wakes.starts(gw, "u")
    assert len(starts) == 2 and wakes.alive(gw, "u", starts[1])


def test_one_that_runs_is_not_started_again_for_a_lost_marker(make):
    gw = make(probing("test -f up", "echo $$ >>starts; touch up; exec sleep 100000",
                      wake_ready_ttl=0))
    mw.check_json(wakes.wake(gw, "u"))
    for broken in ('rm "$MW_RUN_DIR/instance"', 'rm -rf "$MW_RUN_DIR"'):
        wakes.inside(gw, "u", broken)
        mw.check_json(wakes.wake(gw, "u"))
        assert len(wakes.starts(gw, "u")) == 1, broken


def test_the_wrapper_is_not_the_gateway(make):
    """What runs the start command has no word in its argv that a probe may look for."""
    gw = make(dict(probing("pgrep -f gateway", "touch began; sleep 100000; :",
                           wake_max_wait=3000), **{"sandbox.local.isolation": "bwrap"}))
    mw.check_error(wakes.wake(gw, "u", timeout=60), "wake_timeout")
    assert gw.get("u", "began", "source=container").status == 200


def test_the_tmp_of_a_local_sandbox_begins_empty(make, driver):
    if driver != "local":
        pytest.skip("the local driver's own")
    gw = make(wakes.settings())
    mw.check_json(wakes.wake(gw, "u"))
    wakes.inside(gw, "u", "cd \"$TMPDIR\" && mkdir -p a/b && echo x >a/b/c && chmod 000 a && "
                 "ln -s / l && touch .h")
    kept = wakes.inside(gw, "u", 'cat "$MW_RUN_DIR/instance"; ls "$MW_RUN_DIR/jobs"')
    wakes.sleep(gw, "u")
    mw.check_json(wakes.wake(gw, "u"))
    assert wakes.inside(gw, "u", "ls -A $TMPDIR") == ".moltworker\n"
    now = wakes.inside(gw, "u", 'cat "$MW_RUN_DIR/instance"; ls "$MW_RUN_DIR/jobs"')
    assert set(kept.split()) <= set(now.split()), "instance and jobs stay"


def test_one_that_dies_is_noticed_within_ready_ttl(make):
    """Successes of commands say nothing of the gateway."""
    gw = make(wakes.settings(wake_ready_ttl=1500))
    mw.check_json(wakes.wake(gw, "u"))
    wakes.end(gw, "u", wakes.starts(gw, "u")[0])
    wakes.until(lambda: mw.check_json(gw.exec("u", "true"))["exitCode"] == 0 and
                len(wakes.starts(gw, "u")) == 2, seconds=10)


def test_a_lost_process_is_reason_to_ask_for_the_gateway(make):
    gw = make(wakes.settings(wake_ready_ttl=600000))
    mw.check_json(wakes.wake(gw, "u"))
    # The command's parent is what would write its result.
    mw.check_error(gw.exec("u", "kill -9 $(cat pid) $PPID $$"), "process_lost")
    assert mw.check_json(gw.exec("u", "true"))["exitCode"] == 0
    assert len(wakes.starts(gw, "u")) == 2
