# SPDX-License-Identifier: BSD-2-Clause
"""contain.py COMMAND...: run a test in a directory of its own, named by TMPDIR, and leave
nothing of it: whatever it started, however detached, is ended, and the directory is removed
when it ends, when it fails, when it or this program is interrupted, and when this program
is killed.

Two processes see to that.  Both inherit the orphans among their descendants.  The keeper,
in a session of its own, does the work; it hears of the end of the one in front of it by a
signal.  The one in front passes signals and the exit status on, and does the keeper's work
should that be killed.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE = 20          # seconds for the command to end by itself once it is told to
TOLD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def prctl(what, value):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(what, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants():
    """Of this process, youngest last."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(name))
            except OSError:
                pass
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def end_all():
    """Kill every descendant; what is forked meanwhile is found by the next look."""
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def unmount(directory):
    """Of a test that mounts something in our own mount namespace."""
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f]
    for point in reversed(points):
        if point.startswith(directory + "/"):
            subprocess.run(["umount", "-l", point], capture_output=True)


def remove(directory):
    """Tests plant directories that nobody may enter."""
    unmount(directory)
    for place, names, _ in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                try:
                    os.chmod(path, 0o700)
                except OSError:
                    pass
    shutil.rmtree(directory, ignore_errors=True)


def status_of(raw):
    code = os.waitstatus_to_exitcode(raw)
    return code if code >= 0 else 128 - code


def wait(pid, grace):
    """What waitpid() says of a child; others are reaped, signals are passed on.  A child
    that does not end by itself then is killed."""
    deadline = None
    while True:
        try:
            while True:
                got, raw = os.waitpid(-1, os.WNOHANG)
                if got == pid:
                    return raw
                if got == 0:
                    break
        except ChildProcessError:
            return 255 << 8
        left = 3600 if deadline is None else deadline - time.monotonic()
        info = signal.sigtimedwait(TOLD | {signal.SIGCHLD}, left) if left > 0 else None
        if info and info.si_signo in TOLD:
            os.kill(pid, info.si_signo)
            deadline = deadline or time.monotonic() + grace
        elif deadline is not None and time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)


def keeper(front, directory, command):
    os.setsid()
    # The end of the one in front comes as a SIGTERM.
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != front:
        return 255
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    pid = os.fork()
    if pid == 0:
        os.environ["TMPDIR"] = os.environ["MW_CONTAIN_DIR"] = directory
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        for sig in (signal.SIGPIPE, signal.SIGXFSZ):    # which Python ignores
            signal.signal(sig, signal.SIG_DFL)
        try:
            os.execvp(command[0], command)
        except OSError as e:
            print("%s: %s" % (command[0], e.strerror), file=sys.stderr, flush=True)
            os._exit(127)
    return status_of(wait(pid, GRACE))


def own_directory():
    """In a temporary directory that is of this kind already: one with a short name, for the
    path of a Unix socket has 107 bytes at most."""
    outer = os.environ.get("TMPDIR", "")
    if not outer or outer != os.environ.get("MW_CONTAIN_DIR"):
        return tempfile.mkdtemp(prefix="mw.")
    for n in range(1, 10**6):
        try:
            os.mkdir(os.path.join(outer, str(n)), 0o700)
            return os.path.join(outer, str(n))
        except FileExistsError:
            pass


def main():
    command = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)       # ignored, nothing could be waited for
    signal.pthread_sigmask(signal.SIG_BLOCK, TOLD | {signal.SIGCHLD})
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    directory = own_directory()
    if os.geteuid() == 0:
        os.chmod(directory, 0o1777)     # tests of root's give up its rights
    front = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            status = keeper(front, directory, command)
        except OSError as e:
            print("contain: %s" % e, file=sys.stderr, flush=True)
        end_all()
        remove(directory)
        os._exit(status)
    raw = wait(pid, 3 * GRACE)
    end_all()
    if not os.WIFEXITED(raw):       # the keeper did not get to it; else it may be another's now
        remove(directory)
    return status_of(raw)


sys.exit(main())
