# SPDX-License-Identifier: BSD-2-Clause
"""What a local sandbox may ask of the kernel: nothing that sandboxes or the host share."""
import base64
import ctypes
import json
import os
import shutil
import subprocess

import pytest

import mw

ADD_KEY, KEYCTL = 248, 250
UPDATE, SETPERM, READ, UNLINK = 2, 5, 11, 9
USER_KEYRING = -4

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")

# Prints the errno's name, or "ok", of each call; the buffer is for what is read.
PROGRAM = """
import ctypes, errno, json
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
buf = ctypes.create_string_buffer(64)
def call(nr, *args):
    args = [buf if a == "BUF" else a.encode() if isinstance(a, str) else ctypes.c_long(a) for a in args]
    r = libc.syscall(ctypes.c_long(nr), *args)
    return errno.errorcode[ctypes.get_errno()] if r == -1 else "ok"
print(json.dumps([[call(*c), buf.value.decode("latin-1")] for c in %r]))
"""


@pytest.fixture
def own(make):
    gw = make({"sandbox.local.isolation": "bwrap"}, engine=None)
    yield gw
    gw.end_sandboxes()


def calls(gw, user, *which):
    """[[errno's name or "ok", what the buffer holds], ...]"""
    program = base64.b64encode((PROGRAM % (list(which),)).encode()).decode()
    obj = mw.check_json(gw.exec(user, "echo %s | base64 -d | python3 -" % program))
    assert obj["exitCode"] == 0, obj
    return json.loads(obj["stdout"])


def test_keyrings(own):
    """Neither a key of the host's nor one of another sandbox can be reached."""
    libc = ctypes.CDLL(None, use_errno=True)
    key = libc.syscall(ADD_KEY, b"user", b"mw-host-key", b"host's", 6, USER_KEYRING)
    if key == -1:
        pytest.skip("no keys here: %s" % os.strerror(ctypes.get_errno()))
    try:
        assert libc.syscall(KEYCTL, SETPERM, key, 0x3f3f0000) == 0
        assert calls(own, "a", (KEYCTL, READ, key, "BUF", 64)) == [["EPERM", ""]]
        assert calls(own, "a", (KEYCTL, UPDATE, key, "a's", 3)) == [["EPERM", ""]]
        assert calls(own, "b", (KEYCTL, READ, key, "BUF", 64)) == [["EPERM", ""]]
        buf = ctypes.create_string_buffer(64)
        assert libc.syscall(KEYCTL, READ, key, buf, 64) == 6 and buf.value == b"host's"
    finally:
        libc.syscall(KEYCTL, UNLINK, key, USER_KEYRING)


DENIED = [
    ("add_key", (248, "user", "k", "v", 1, -4)), ("request_key", (249, "user", "k", 0, -4)),
    ("keyctl", (250, 0, -4, 1)), ("io_uring_setup", (425, 1, "BUF")),
    ("io_uring_enter", (426, -1, 0, 0, 0, 0)), ("io_uring_register", (427, -1, 0, 0, 0)),
    ("userfaultfd", (323, 1)), ("bpf", (321, 0, "BUF", 64)),
    ("perf_event_open", (298, "BUF", 0, -1, -1, 0)), ("unshare a user namespace", (272, 0x10000000)),
    ("mount", (165, "none", "/tmp", "tmpfs", 0, 0)), ("umount2", (166, "/tmp", 2)),
    ("fsopen", (430, "tmpfs", 0)), ("open_tree", (428, -100, "/", 1)),
    ("pivot_root", (155, ".", ".")), ("setns", (308, 0, 0)),
    ("kexec_load", (246, 0, 0, 0, 0)), ("init_module", (175, 0, 0, "")),
    ("name_to_handle_at", (303, -100, "/", "BUF", "BUF", 0)),
    ("open_by_handle_at", (304, -100, "BUF", 0)), ("kcmp", (312, 1, 1, 0, 0, 0)),
    ("clone of a user namespace", (56, 0x10000011, 0, 0, 0, 0)),
    ("socket of the host's virtual machine", (41, 40, 1, 0)),
]


def test_denied(own):
    got = calls(own, "a", *[c for _, c in DENIED])
    assert [(n, g[0]) for (n, _), g in zip(DENIED, got)] == [(n, "EPERM") for n, _ in DENIED]


def is_limited(gw, user):
    """The limit is the outer namespace's, not to be seen inside, where the filter answers first."""
    mw.check_json(gw.exec(user, "true"))
    lines = [c for c in gw.leftovers(0).values() if "bwrap " in c]
    assert lines
    return all(" --disable-userns " in c for c in lines)


def bwrap(*args):
    return subprocess.run(["bwrap", *args, "--ro-bind", "/", "/", "true"],
                          capture_output=True).returncode == 0


def test_no_more_user_namespaces(own):
    """The kernel's own limit, besides the filter, where bubblewrap can set it."""
    if not bwrap("--unshare-user", "--disable-userns"):
        pytest.skip("this bubblewrap cannot do it here")
    assert is_limited(own, "a")


def test_a_bubblewrap_that_cannot_limit_them(own):
    """An older one: the sandbox starts, and the filter is there all the same."""
    own.write("tmp/bwrap", "#!/bin/sh\ncase \"$*\" in *--disable-userns*) exit 1 ;; esac\n"
              "exec %s \"$@\"\n" % shutil.which("bwrap"), 0o755)
    own.extra_env["PATH"] = own.path("tmp") + ":" + os.environ["PATH"]
    assert not is_limited(own, "a")
    assert calls(own, "a", (272, 0x10000000)) == [["EPERM", ""]]


def test_programs_run(own):
    """Threads, pipes, timers, locks and a second level of processes go on working."""
    text = ("import threading, subprocess, tempfile, fcntl, socket, mmap, multiprocessing\n"
            "t = threading.Thread(target=lambda: print('thread', flush=True)); t.start(); t.join()\n"
            "print(subprocess.run(['sh', '-c', 'echo a | cat'], capture_output=True).stdout)\n"
            "f = tempfile.TemporaryFile(); fcntl.flock(f, fcntl.LOCK_EX)\n"
            "socket.socketpair(); socket.socket(socket.AF_UNIX); mmap.mmap(-1, 4096)\n"
            "with multiprocessing.Pool(2) as p: print(p.map(abs, [-1]))\n")
    obj = mw.check_json(own.exec("a", "python3 -", stdin=text))
    assert (obj["exitCode"], obj["stdout"]) == (0, "thread\nb'a\\n'\n[1]\n"), obj
