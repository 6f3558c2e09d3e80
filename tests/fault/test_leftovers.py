# SPDX-License-Identifier: BSD-2-Clause
"""However a file of tests ends, no process and no directory of it stays."""
import os
import signal
import subprocess
import tempfile

import pytest

import gateway
from wakes import until

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(HERE, os.pardir, "http", "run")


def keeper_of(front):
    """The only child of the runner: see tests/contain.py."""
    child, = [int(p) for p in os.listdir("/proc")
              if p.isdigit() and gateway.parent_of(int(p)) == front]
    return child


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def left(directory, loose):
    return [gateway.command_line(p) for p in gateway.processes_of(directory)] + \
        os.listdir(directory) + ["loose"] * alive(loose)


@pytest.fixture
def started():
    """start(how) -> (the runner, its directory, a process it has nothing to do with) when
    the test in it is under way."""
    directory = tempfile.mkdtemp(prefix="l.")
    runs = []

    def start(how):
        out, up = os.pipe()
        env = dict(os.environ, TMPDIR=directory, MW_UP=str(up), MW_END=how)
        env.pop("MW_TAP", None)
        runs.append(subprocess.Popen(
            ["sh", RUN, os.path.join(HERE, "leaves.py"), "-q"], env=env, pass_fds=[up],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        os.close(up)
        with open(out) as f:
            line = f.readline()
        assert line, runs[0].communicate()[0].decode()
        return runs[0], directory, int(line)
    yield start
    for run in runs:
        run.kill()
        run.wait()
        run.stdout.close()


@pytest.mark.parametrize("how", ["INT", "TERM", "HUP", "fail", "crash"])
def test_ends_and_leaves_nothing(started, how):
    run, directory, loose = started(how)
    if how.isupper():
        assert left(directory, loose)
        run.send_signal(getattr(signal, "SIG" + how))
    assert run.wait(120) != 0
    assert not left(directory, loose)


@pytest.mark.parametrize("who", ["front", "keeper"])
def test_killed_itself_it_leaves_nothing(started, who):
    run, directory, loose = started("wait")
    assert left(directory, loose)
    os.kill(run.pid if who == "front" else keeper_of(run.pid), signal.SIGKILL)
    assert run.wait(120) != 0
    until(lambda: not left(directory, loose), 120)
