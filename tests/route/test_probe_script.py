# SPDX-License-Identifier: BSD-2-Clause
"""The readiness probe's script, in the shells that a sandbox may have."""
import glob
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

import gateway
import mw

SCRIPT = os.path.join(gateway.ROOT, "src", "ops", "ready", "probe.sh")
SHELLS = ("dash", "bash", "busybox")
MARKER = "0123456789abcdef"


def caller():
    """The words that the script's own shell is started with."""
    with open(os.path.join(gateway.ROOT, "src", "ops", "ready", "probe.c")) as f:
        return re.search(r'in_session\[\] = {(( "[^"]*",)+) NULL', f.read()).group(1)


@pytest.fixture(params=["%s-%s" % (s, how) for s in SHELLS for how in ("leader", "member")])
def probe(request, tmp_path):
    """probe(VAR=…) -> the lines it says, run as the agent does, by the leader of a session,
    or as on bridge and container, where a group is for many commands."""
    name, how = request.param.split("-")
    if shutil.which(name) is None:
        pytest.skip("%s is not installed" % name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(shutil.which(name))
    shell = re.findall('"([^"]*)"', caller())
    assert shell[0] == "sh"
    if how == "member":
        shell = ["sh", "-c", '"$@"; exit $?', "sh"] + shell

    def run(**env):
        e = {"PATH": "%s/bin:%s" % (tmp_path, os.environ["PATH"]), "MW_RUN_DIR": str(tmp_path),
             "MW_LIMIT": "20"}
        e.update(env)
        with open(SCRIPT, "rb") as f:
            p = subprocess.run([str(tmp_path / "bin" / "sh")] + shell[1:], env=e, stdin=f, stdout=subprocess.PIPE, cwd=str(tmp_path),
                               stderr=subprocess.PIPE, timeout=60, start_new_session=True)
        assert p.returncode == 0, p
        return p.stdout.decode().splitlines()
    run.dir = tmp_path
    return run


def mark(probe, text=MARKER + "\n"):
    (probe.dir / "instance").write_text(text)


@pytest.mark.parametrize("text", [None, "", "\n", MARKER[1:], MARKER + "0", MARKER.upper(),
                                  "../../../../etc", "x" * 100000, "$(touch bad)"])
def test_no_marker(probe, text):
    if text is not None:
        mark(probe, text)
    assert probe(MW_GATEWAY="1", MW_PROBE="true") == ["marker -"]
    assert not (probe.dir / "bad").exists()


def test_a_claim(probe):
    """Left in an instance without a marker, and in no other."""
    claim = probe.dir / "run" / "instance.new"
    run = {"MW_RUN_DIR": str(probe.dir / "run"), "MW_CLAIM": MARKER}
    assert probe(**dict(run, MW_CLAIM="")) == ["marker -"] and not claim.exists()
    assert probe(**run) == ["marker -"] and claim.read_text() == MARKER + "\n"
    claim.rename(probe.dir / "run" / "instance")
    assert probe(**run) == ["marker " + MARKER] and not claim.exists()


def test_a_marker(probe):
    mark(probe)
    assert probe(MW_PROBE="touch asked") == ["marker " + MARKER]
    assert not (probe.dir / "asked").exists(), "the gateway is not looked at unasked"
    mark(probe, MARKER)
    assert probe() == ["marker " + MARKER], "without its newline"


def test_the_gateway(probe):
    mark(probe)
    down = ["marker " + MARKER, "generation 0", "gateway down"]
    assert probe(MW_GATEWAY="1", MW_PROBE="false") == down
    assert probe(MW_GATEWAY="1", MW_PROBE="test -f up") == down
    (probe.dir / "up").write_text("")
    up = ["marker " + MARKER, "generation 0", "gateway up"]
    assert probe(MW_GATEWAY="1", MW_PROBE="test -f up") == up
    assert probe(MW_GATEWAY="1", MW_PROBE="if [ -f up ]\nthen\nexit 0; fi; exit 1") == up
    assert probe(MW_GATEWAY="1", MW_PROBE="echo noise; echo noise >&2") == up
    assert not (probe.dir / "gateway.passed").exists(), "a look leaves nothing behind"


def test_generations_and_passing(probe):
    mark(probe)
    for name in ("1", "2", "10", "x", "3x", "", "99999999999"):
        os.makedirs(str(probe.dir / "jobs" / ("gateway-%s-%s" % (MARKER, name))))
    os.makedirs(str(probe.dir / "jobs" / "gateway-fedcba9876543210-77"))
    said = ["marker " + MARKER, "generation 10", "gateway up"]
    assert probe(MW_GATEWAY="1", MW_PROBE="true") == said
    assert probe(MW_GATEWAY="1", MW_PROBE="true", MW_PASS="1") == said + ["passed 10"]
    os.makedirs(str(probe.dir / "jobs" / ("gateway-%s-11" % MARKER)))
    assert probe(MW_GATEWAY="1", MW_PROBE="false", MW_PASS="1") == [
        "marker " + MARKER, "generation 11", "gateway down", "passed 10"]
    mark(probe, "00000000000000aa\n")
    assert probe(MW_GATEWAY="1", MW_PROBE="false") == [
        "marker 00000000000000aa", "generation 0", "gateway down"], "another instance"


@pytest.mark.parametrize("family,address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_port(probe, family, address):
    mark(probe)
    port = mw.free_port()
    env = {"MW_GATEWAY": "1", "MW_PROBE": "true", "MW_PORT": "%04X" % port}
    assert "gateway down" in probe(**env)
    with socket.socket(family) as s:
        try:
            s.bind((address, port))
        except OSError as e:
            pytest.skip("%s: %s" % (address, e))
        assert "gateway down" in probe(**env), "bound is not listening"
        s.listen()
        assert "gateway up" in probe(**env)
        assert "gateway down" in probe(**dict(env, MW_PROBE="false"))


def test_waiting(probe):
    mark(probe)
    timer = threading.Timer(0.5, lambda: (probe.dir / "up").write_text(""))
    timer.start()
    said = probe(MW_GATEWAY="1", MW_PROBE="test -f up", MW_NAPS="0.1 " * 200)
    timer.join()
    assert "gateway up" in said
    (probe.dir / "up").unlink()
    job = probe.dir / "jobs" / "j"
    os.makedirs(str(job))
    (job / "result").write_text("")
    start = time.monotonic()
    assert "gateway down" in probe(MW_GATEWAY="1", MW_PROBE="test -f up", MW_NAPS="0.1 " * 200,
                                   MW_JOB="j")
    assert time.monotonic() - start < 10, "a job that has ended is not waited for"


def test_no_argv_names_it(probe):
    """pgrep -f must not find the probe itself (nor its script)."""
    mark(probe)
    seek = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null | " \
        "grep -q 'zz[y]zx\\|MW_PROB[E]' && exit 1; exit 0 # zzyzx"
    assert "gateway up" in probe(MW_GATEWAY="1", MW_PROBE=seek)


def test_a_probe_that_hangs_is_killed(probe):
    mark(probe)
    name = "97%d" % (os.getpid() % 100000)
    with pytest.raises(AssertionError):
        probe(MW_GATEWAY="1", MW_PROBE="sleep %s" % name, MW_LIMIT="1")
    deadline = time.monotonic() + 60
    while any(gateway.command_line(int(p)) == "sleep " + name
              for p in os.listdir("/proc") if p.isdigit()):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.05)


def test_nothing_is_left_running(probe):
    mark(probe)
    limit = "96%d" % (os.getpid() % 100000)
    probe(MW_GATEWAY="1", MW_PROBE="true", MW_LIMIT=limit)
    deadline = time.monotonic() + 60
    while any(limit.encode() in open(f, "rb").read()
              for f in glob.glob("/proc/[0-9]*/cmdline") if os.access(f, os.R_OK)):
        assert time.monotonic() < deadline, "its guard lives on"
        time.sleep(0.05)
