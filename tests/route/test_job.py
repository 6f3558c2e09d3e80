# SPDX-License-Identifier: BSD-2-Clause
"""The job wrapper by itself, run by each shell that a sandbox may have."""
import base64
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

import gateway
import mw

TOOLS = "mkdir mv rm kill setsid sleep head tail base64 cat".split()
MARKER = "0123456789abcdef"
SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox"]}
CALL = """mkdir -p "$MW_RUN_DIR/in" "$MW_RUN_DIR/jobs" && cat >"$MW_RUN_DIR/in/$0" &&
    exec sh "$MW_RUN_DIR/job.sh" "$0" 0 "$@" """


class Sandbox:
    """A directory as a sandbox: sh is the shell, and only what it may need is on PATH."""

    def __init__(self, shell):
        self.dir = tempfile.mkdtemp(prefix="mwjob.")
        self.bin = self.path("bin")
        for d in ("bin", "root", "run", "run/jobs"):
            os.mkdir(self.path(d))
        os.symlink(shutil.which(shell), os.path.join(self.bin, "sh"))
        for tool in TOOLS:
            os.symlink(shutil.which("busybox" if shell == "busybox" else tool),
                       os.path.join(self.bin, tool))
        shutil.copy(os.path.join(gateway.ROOT, "src", "ops", "job", "job.sh"), self.path("run/job.sh"))
        with open(self.path("run/instance"), "w") as f:
            f.write(MARKER + "\n")
        self.calls, self.prefix = 0, []
        self.lock = threading.Lock()

    def path(self, name):
        return os.path.join(self.dir, name)

    def popen(self, operation, job, *args, marker=MARKER):
        with self.lock:
            self.calls += 1
            name = "%s.u%d" % (job, self.calls)
        return subprocess.Popen(
            [*self.prefix, os.path.join(self.bin, "sh"), "-c", CALL, name, operation, job, marker,
             *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self.path("root"), start_new_session=True,
            env={"PATH": self.bin, "MW_ROOT": self.path("root"), "MW_RUN_DIR": self.path("run")})

    def call(self, operation, job, *args, data=b"", **kw):
        """(state, exit status, cuts, out, err)"""
        out, err = self.popen(operation, job, *args, **kw).communicate(data, timeout=60)
        assert err == b"", err
        lines = out.decode("ascii").split("\n")
        assert lines[-2:] == ["end " + job, ""] and lines[1] == "out", out
        middle = lines.index("err")
        head = lines[0].split(" ")
        assert head[0] == "mw1" and len(head) == 7, head
        return (head[1], head[2], head[6], base64.b64decode("".join(lines[2:middle])),
                base64.b64decode("".join(lines[middle + 1:-2])))

    def data(self, job, command, env=b"", stdin=None):
        return command + env + (stdin or b"") + b"\nend " + job.encode()

    def run(self, job, command, env=b"", stdin=None, wait=30000, limit=30000,
            stored=1 << 26, most=1 << 22, keep=86400000, parts=0, data=None, **kw):
        command = command.encode() if isinstance(command, str) else command
        if data is None:
            data = self.data(job, command, env, stdin)
        return self.call("run", job, wait, 0, 0, most, limit, stored, keep, len(command),
                         len(env), -1 if stdin is None else len(stdin), parts, data=data, **kw)

    def look(self, job, wait=0, out=0, err=0, operation="look", **kw):
        return self.call(operation, job, wait, out, err, 1 << 20, **kw)

    def kill_all(self):
        """At one stroke: none of them sees another one die."""
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in gateway.processes_of(self.dir):
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass

    def close(self):
        self.kill_all()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(params=sorted(SHELLS))
def box(request):
    if shutil.which(request.param) is None:
        pytest.skip("%s is not installed" % request.param)
    b = Sandbox(request.param)
    yield b
    b.close()


def test_ends(box):
    assert box.run("a", "echo hi; echo err >&2") == ("exited", "0", "-", b"hi\n", b"err\n")
    assert box.run("a", "echo hi; echo err >&2") == ("exited", "0", "-", b"hi\n", b"err\n")
    assert box.run("b", "exit 3")[:2] == ("exited", "3")
    assert box.run("c", "no-such-command")[:2] == ("exited", "127")
    assert box.run("d", "/etc/passwd")[:2] == ("exited", "126")
    assert box.run("e", "kill -9 $$") == ("exited", "137", "-", b"", b"")


def test_cannot_be_started(box):
    state = box.run("a", "echo >ran; if; then")
    assert state[:4] == ("error", "2", "-", b"") and b"yntax error" in state[4], state
    state = box.run("b", "echo >ran", env=b"/ 1\nno/such\n")
    assert state[0] == "error" and b"no/such" in state[4], state
    assert not os.path.exists(box.path("root/ran"))
    assert not os.path.exists(box.path("run/jobs/a/started"))


def test_every_byte_is_data(box):
    nasty = bytes(b for b in range(1, 256)) + b"\n\n'; echo >hacked; '\\"
    env = b"/ 1\n/tmp\nA %d\n%s\nEMPTY 1\n\n" % (nasty.count(b"\n") + 1, nasty)
    out = box.run("a", 'printf "%s|" "$A" "$EMPTY" "${EMPTY+set}" "$PWD"; cat', env,
                  stdin=bytes(range(256)))[3]
    assert out == nasty + b"||set|/tmp|" + bytes(range(256))
    assert os.listdir(box.path("root")) == []


def test_parts(box):
    data = box.data("a", b"cat", b"", b"x" * 100000)
    for n, at in enumerate(range(0, len(data), 30000), 1):
        os.makedirs(box.path("run/in"), exist_ok=True)
        with open(box.path("run/in/a.%d" % n), "wb") as f:
            f.write(data[at:at + 30000])
    state = box.run("a", "cat", stdin=b"x" * 100000, parts=4, data=b"")
    assert state[3] == b"x" * 100000
    assert os.listdir(box.path("run/in")) == []


def test_short_data_starts_nothing(box):
    whole = box.data("a", b"echo >ran", b"", b"stdin")
    for n in range(len(whole)):
        assert box.run("a", "echo >ran", stdin=b"stdin", data=whole[:n])[0] == "unprepared"
    assert not os.path.exists(box.path("root/ran"))
    assert box.run("a", "echo >ran", stdin=b"stdin", parts=1, data=b"")[0] == "unprepared"
    assert box.run("a", "echo >ran", stdin=b"stdin")[0] == "exited"


SMALL_DISK = 'mount -t tmpfs -o size=64k none "$0/run/jobs" && exec "$@"'


def test_full_disk(box):
    """Output that fills it is cut, and the command ends as it ends; what then cannot be
    stored is not started, and leaves nothing."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are refused here, so no tmpfs can be mounted")
    held = subprocess.Popen(["unshare", "-Urm", "sh", "-c", SMALL_DISK, box.dir, "cat"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    held.stdin.write(b"mounted\n")
    held.stdin.flush()
    assert held.stdout.readline() == b"mounted\n"
    box.prefix = [shutil.which("nsenter"), "-U", "-m", "--preserve-credentials", "-t", str(held.pid)]
    try:
        state = box.run("a", "head -c 200000 /dev/zero; echo >&2; exit 3")
        assert state[:2] == ("exited", "3") and "o" in state[2], state[:3]
        assert 0 < len(state[3]) < 65536
        p = box.popen("run", "b", 1000, 0, 0, 1000, 1000, 1 << 20, 1000, 4, 0, -1, 0)
        out, err = p.communicate(box.data("b", b"true"), timeout=60)
        assert (p.returncode, out) == (75, b"") and err, (out, err)
        rest = subprocess.run([*box.prefix, "ls", "-A", box.path("run/jobs")],
                              capture_output=True)
        assert rest.stdout == b"a\n", rest
        subprocess.run([*box.prefix, "rm", "-r", box.path("run/jobs/a")], check=True)
        assert box.run("b", "echo again")[3] == b"again\n"
    finally:
        held.stdin.close()
        held.wait()
        held.stdout.close()


def test_another_instance(box):
    for operation in ("look", "wait", "kill"):
        assert box.look("a", operation=operation, marker="f" * 16)[0] == "replaced"
    assert box.run("a", "echo >ran", marker="f" * 16)[0] == "replaced"
    os.unlink(box.path("run/instance"))
    assert box.run("a", "echo >ran")[0] == "replaced"
    assert os.listdir(box.path("run/jobs")) == [] and os.listdir(box.path("root")) == []


def test_once(box):
    """Twenty at the same time, and more afterwards."""
    states = []
    threads = [threading.Thread(target=lambda: states.append(
        box.run("a", "echo once >>times; sleep 0.2; echo ok"))) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(states) == {("exited", "0", "-", b"ok\n", b"")} and len(states) == 20
    box.run("a", "echo once >>times")
    with open(box.path("root/times")) as f:
        assert f.read() == "once\n"
    assert os.listdir(box.path("run/jobs")) == ["a"]


def test_killed_callers(box):
    """Whatever a caller is killed at, the command runs once, and the next one attaches."""
    count = 100 if os.environ.get("MW_LONG") else 10
    for n in range(count):
        job = "a%d" % n
        p = box.popen("run", job, 30000, 0, 0, 100, 30000, 1 << 20, 0, 20, 0, -1, 0)
        p.stdin.write(box.data(job, b"echo x >>" + ("%-11s" % job).encode()))
        p.stdin.close()
        time.sleep(n * 0.06 / count)
        p.kill()
        p.wait()
        state = box.run(job, b"echo x >>" + ("%-11s" % job).encode())
        assert state[:2] == ("exited", "0"), (n, state)
        with open(box.path("root/" + job)) as f:
            assert f.read() == "x\n", n


def test_limit(box):
    before = time.monotonic()
    assert box.run("a", "echo part; sleep 60", limit=300) == \
        ("timeout", "143", "-", b"part\n", b"")
    state = box.run("b", "trap '' TERM; echo part; sleep 60; sleep 60", limit=300)
    assert state[:1] + state[3:4] == ("timeout", b"part\n")
    assert time.monotonic() - before < 40
    assert box.run("c", "echo no limit", limit=0)[3] == b"no limit\n"


def test_kill(box):
    assert box.run("a", "echo x; sleep 60", wait=0)[0] in ("running", "ready")
    assert box.look("a", 30000)[3] == b"x\n"
    state = box.look("a", 30000, operation="kill")
    assert state == ("killed", "143", "-", b"x\n", b"")
    assert box.look("a", 0, operation="kill") == state
    assert box.look("none", 0, operation="kill")[0] == "none"


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", ["kill", "limit"])
def test_killed_is_the_whole_session(box, how):
    """Also what has a process group of its own, and a name that is hard to read."""
    odd = box.path("root/a)\n0 (b")
    os.symlink(shutil.which("sleep"), odd)
    command = ("%s 100 %s 77 & echo $!\n'%s' 77 & echo $!\n%s %s 88 & echo $!\nsleep 77" %
               (shutil.which("timeout"), shutil.which("sleep"), odd, shutil.which("setsid"),
                shutil.which("sleep")))
    if how == "kill":
        box.run("a", command, wait=0, limit=0)
        out = b""
        deadline = time.monotonic() + 60
        while out.count(b"\n") < 3:
            assert time.monotonic() < deadline, out
            out = box.look("a", 1000)[3]
        state = box.look("a", 30000, operation="kill")
    else:
        state = box.run("a", command, limit=1000)
    assert state[0] == {"kill": "killed", "limit": "timeout"}[how], state
    pids = [int(pid) for pid in state[3].split()]
    assert [alive(pid) for pid in pids] == [False, False, True], state
    assert len([p for p in gateway.processes_of(box.dir)
                if b"77" in gateway.command_line(p).encode()]) == 0


def test_a_job_without_its_directory_ends_its_watchers(box):
    box.run("a", "echo $$; sleep 3", wait=0)
    box.look("a", 30000)
    shutil.rmtree(box.path("run/jobs/a"))
    deadline = time.monotonic() + 60
    while gateway.processes_of(box.dir):
        assert time.monotonic() < deadline, list(map(gateway.command_line,
                                                     gateway.processes_of(box.dir)))
        time.sleep(0.05)


def test_no_signal_is_ignored(box):
    """As a program sees it: shells have their own ways with QUIT."""
    lines = box.run("a", "cat /proc/self/status")[3].splitlines()
    masks = [line.split()[1] for line in lines if line.startswith((b"SigBlk", b"SigIgn"))]
    assert len(masks) == 2 and all(map(mw.no_signal, masks)), lines


def test_default_environment(box):
    names = "HOME USER LOGNAME SHELL PATH LANG TERM".split()

    def env(job, given=b""):
        lines = box.run(job, shutil.which("env"), given)[3].decode().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)
    got = env("a")
    assert {n: got.get(n) for n in names} == {
        "HOME": box.path("root"), "USER": pwd.getpwuid(os.getuid()).pw_name,
        "LOGNAME": pwd.getpwuid(os.getuid()).pw_name, "SHELL": "/bin/sh", "PATH": box.bin,
        "LANG": "C.UTF-8", "TERM": "dumb"}, got
    got = env("b", b"HOME 1\n/x\nTERM 1\n\n")
    assert got["HOME"] == "/x" and got["TERM"] == "" and got["LANG"] == "C.UTF-8", got


def start_time(pid):
    """In ticks of 1/100 s since boot, as a word."""
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[19]


def test_kill_minds_the_start_time(box):
    """The number is another process's by now: it lives."""
    box.run("a", "exec sleep 60", wait=0)
    deadline = time.monotonic() + 60
    while not os.path.exists(box.path("run/jobs/a/started/pid")):
        assert time.monotonic() < deadline
    box.kill_all()
    with open(box.path("run/jobs/a/started/pid")) as f:
        fields = f.read().split()
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        while start_time(other.pid) == fields[1]:       # one of the same tick is no other
            other.kill()
            other.wait()
            other = subprocess.Popen(["sleep", "60"], start_new_session=True)
        with open(box.path("run/jobs/a/started/pid"), "w") as f:
            f.write(" ".join([str(other.pid)] + fields[1:]) + "\n")
        assert box.look("a", 0, operation="kill")[0] == "lost"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_lost(box):
    box.run("a", "echo x; sleep 60", wait=0)
    box.look("a", 30000)
    box.kill_all()
    assert box.look("a")[0] == "lost"
    assert box.run("a", "echo again >ran")[0] == "lost"
    assert not os.path.exists(box.path("root/ran"))


def test_look_waits_for_something_new(box):
    box.run("a", "sleep 0.5; echo x; sleep 60", wait=0)
    assert box.look("a", 30000)[3] == b"x\n"
    before = time.monotonic()
    assert box.look("a", 400, 2)[3] == b""
    assert time.monotonic() - before >= 0.35
    assert box.look("a", 0, -1)[3] == b"\n"


def test_children_that_hold_stdout(box):
    before = time.monotonic()
    assert box.run("a", "echo a; sleep 50 & echo b")[3] == b"a\nb\n"
    assert time.monotonic() - before < 30


def test_output_is_capped(box):
    state = box.run("a", "head -c 3000000 /dev/zero; echo ok >&2; exit 5", stored=1 << 20)
    assert state[:3] == ("exited", "5", "o") and state[4] == b"ok\n"
    assert state[3] == bytes(1 << 20)
    assert len(box.run("b", "head -c 3000000 /dev/zero")[3]) == 3000000


def test_old_jobs_are_removed(box):
    box.run("a", "echo a")
    box.run("b", "echo b")
    assert sorted(os.listdir(box.path("run/jobs"))) == ["a", "b"]
    os.unlink(box.path("run/pruned"))
    box.run("c", "echo c", keep=0)
    assert os.listdir(box.path("run/jobs")) == ["c"]


def test_a_restart_makes_no_job_old(box):
    """Uptime begins again, what is in a container's layer stays: it is kept from now on."""
    box.run("a", "echo a")
    with open(box.path("run/jobs/a/result"), "w") as f:
        f.write("exited 0 99999999999\n")
    with open(box.path("run/pruned"), "w") as f:
        f.write("99999999998\n")
    box.run("b", "echo b", keep=1000)
    assert box.look("a") == ("exited", "0", "-", b"a\n", b"")
    os.unlink(box.path("run/pruned"))
    time.sleep(1.1)
    box.run("c", "echo c", keep=1000)
    assert "a" not in os.listdir(box.path("run/jobs")), "nor is it kept for ever"
    box.run("d", "echo d")
    for name, text in ("result", "exited 0 99999999999\n"), ("since", "99999999998\n"):
        with open(box.path("run/jobs/d/" + name), "w") as f:
            f.write(text)
    os.unlink(box.path("run/pruned"))
    box.run("e", "echo e", keep=60000)
    assert "d" in os.listdir(box.path("run/jobs")), "a second restart"


def test_nothing_is_left(box):
    box.run("a", "echo a", limit=5000)
    deadline = time.monotonic() + 60
    while gateway.processes_of(box.dir):
        assert time.monotonic() < deadline, list(map(gateway.command_line,
                                                     gateway.processes_of(box.dir)))
        time.sleep(0.05)
    assert os.listdir(box.path("run/in")) == []


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_full_disk_is_told_of_first(shell):
    """Then comes what it did to the pipe: the driver's script answers with the cause."""
    if shutil.which(shell) is None:
        pytest.skip("%s is not installed" % shell)
    with open(os.path.join(gateway.ROOT, "src", "sandbox", "remote", "remote.sh")) as f:
        functions = f.read().split("# The instance marker")[0]
    said = "base64: write error: No space left on device\nsh: printf: I/O error"
    p = subprocess.run(SHELLS[shell] + (["sh"] if shell == "busybox" else []) +
                       ["-c", functions + '\nmw_nonce=n; blame "$1"', "sh", said],
                       stdout=subprocess.PIPE, timeout=60)
    assert p.stdout == b"mw1 full\n.end n\n", p
