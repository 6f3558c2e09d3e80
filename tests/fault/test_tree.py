# SPDX-License-Identifier: BSD-2-Clause
"""A large tree: first sync, second sync, one that is interrupted, a restore into an
empty sandbox.  1,000 files; MW_LONG=1: 10,000 files and 1 GiB."""
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import gateway
import mw
from s3stub import QUICK

LONG = os.environ.get("MW_LONG") == "1"
FILES = 10000 if LONG else 1000
BYTES = (1 << 30) if LONG else 20 << 20
RSS_MAX = 32 << 10                      # KiB
# In a process of its own, for a child's peak starts with its parent's.
PEAK = ("import os, sys; pid = os.fork() or os.execv(sys.argv[1], sys.argv[1:]);"
        "usage = os.wait4(pid, 0)[2]; os.write(2, b'%d' % usage.ru_maxrss)")


def make_tree(root):
    """Sizes from nothing to many times the average, names of every kind, modes, times."""
    rnd = random.Random(7)
    blob = rnd.randbytes(1 << 20)
    average = BYTES // FILES
    for i in range(FILES):
        d = os.path.join(root, "d%03d" % (i % 97), "ünter %d" % (i % 7), "deep" * (i % 5 + 1))
        os.makedirs(d, exist_ok=True)
        name = os.path.join(d, "file-%06d.%s" % (i, ("txt", "bin", "d a t")[i % 3]))
        size = 0 if i % 100 == 0 else rnd.randrange(2 * average)
        with open(name, "wb") as f:
            f.write(b"%d" % i)
            while size > 0:
                at = rnd.randrange(len(blob))
                size -= f.write(blob[at:at + size])
        os.chmod(name, (0o644, 0o600, 0o755, 0o444)[i % 4])
        os.utime(name, ns=(10 ** 18 + i, 10 ** 18 + i * 10 ** 9 + i % 1000 * 10 ** 6))
    for i in range(0, FILES, 50):
        os.symlink("../d%03d" % i, os.path.join(root, "link-%d" % i))
        os.makedirs(os.path.join(root, "empty", "e%d" % i))
        os.chmod(os.path.join(root, "empty", "e%d" % i), 0o750)


def picture(root):
    """Everything that is to come back."""
    seen = {}
    for d, dirs, files in os.walk(root):
        for n in dirs + files:
            path = os.path.join(d, n)
            st, name = os.lstat(path), os.path.relpath(path, root)
            if os.path.islink(path):
                seen[name] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                seen[name] = ("directory", st.st_mode)
            else:
                with open(path, "rb") as f:
                    seen[name] = (st.st_mode, st.st_mtime_ns // 10 ** 6, st.st_size,
                                  hashlib.md5(f.read()).hexdigest())
    return seen


def sync(gw, query=""):
    """The answer, and the responder's peak memory in KiB."""
    target = "/api/super/users/u/sync" + query
    env = gw.cgi_env("POST", target, [("X-Admin-Secret", gw.secret)], 0, None)
    p = subprocess.run([sys.executable, "-S", "-c", PEAK, gateway.binary("sync.fcgi")], env=env,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    obj = mw.check_json(gateway.parse_cgi(p.stdout, "POST", 0))
    print(query, {k: obj[k] for k in ("uploaded", "downloaded", "skipped", "bytes", "durationMs")},
          "%s KiB" % p.stderr.decode())
    assert obj["failed"] == [] and obj["newer"] == [] and obj["verified"], obj
    if not gateway.SANITIZED:
        assert int(p.stderr) < RSS_MAX, p.stderr
    return obj


def start(gw, query=""):
    target = "/api/super/users/u/sync" + query
    env = gw.cgi_env("POST", target, [("X-Admin-Secret", gw.secret)], 0, None)
    return subprocess.Popen([gateway.binary("sync.fcgi")], env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def interrupt(p, done, enough):
    """Kill it once so much of it is done."""
    deadline = time.monotonic() + 120
    while done() < enough and p.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    p.send_signal(signal.SIGKILL)
    p.wait()


class Watch(threading.Thread):
    """The peak memory of the helpers, in KiB: a wake restores in a process of its own."""

    def __enter__(self):
        self.peak, self.stop = 0, threading.Event()
        self.start()
        return self

    def __exit__(self, *args):
        self.stop.set()
        self.join()

    def run(self):
        while not self.stop.wait(0.02):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.readlink("/proc/%s/exe" % pid) != gateway.binary("moltctl"):
                        continue
                    with open("/proc/%s/status" % pid) as f:
                        for line in f:
                            if line.startswith("VmHWM:"):
                                self.peak = max(self.peak, int(line.split()[1]))
                except OSError:
                    continue


def wipe(gw):
    gw.end_sandboxes()
    gateway.unlock(gw.path("sandboxes"))
    shutil.rmtree(gw.sandbox("u"))
    shutil.rmtree(gw.path("sandboxes", ".run", "u"))


def objects(gw):
    return sum(n.startswith("file-") for _, _, names in os.walk(gw.path("store", "users", "u"))
               for n in names)


def files(gw):
    return sum(n.startswith("file-") for _, _, names in os.walk(gw.sandbox("u")) for n in names)


def test_tree(make):
    gw = make(QUICK)
    gw.put_ok("u", "by-api", b"x")      # wakes it
    make_tree(gw.sandbox("u"))
    before = picture(gw.sandbox("u"))

    interrupt(start(gw), lambda: objects(gw), FILES // 4)
    there = objects(gw)
    obj = sync(gw)
    assert obj["uploaded"] == FILES - there, (obj["uploaded"], there)
    obj = sync(gw)
    assert obj["uploaded"] == 0 and obj["bytes"] == 0 and obj["skipped"] == FILES + 1

    wipe(gw)
    # Its wake restores, and is killed in the middle; the next one goes on.
    interrupt(start(gw, "?direction=restore"), lambda: files(gw), FILES // 4)
    gw.end_sandboxes()
    for pid in gateway.processes_of(gw.dir):
        if " wake" in gateway.command_line(pid):
            os.kill(pid, signal.SIGKILL)
    with Watch() as watch:
        sync(gw, "?direction=restore")
    print("helpers: %d KiB" % watch.peak)
    assert 0 < watch.peak < RSS_MAX or gateway.SANITIZED
    assert picture(gw.sandbox("u")) == before
    assert sync(gw)["uploaded"] == 0
    assert picture(gw.sandbox("u")) == before


def test_calls(make, stub):
    """Over S3: a listing pass is a call for each thousand objects."""
    n = FILES // 5
    gw = make(QUICK, store="s3", s3=stub)
    gw.put_ok("u", "by-api", b"x")
    os.utime(gw.sandbox("u", "by-api"), (1e9, 1e9))
    for i in range(n):
        name = gw.sandbox("u", "d%d" % (i % 10), "f%d" % i)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as f:
            f.write(b"%d" % i)
        os.utime(name, (1e9, 1e9))
    assert sync(gw)["uploaded"] == n
    stub.reset()
    assert sync(gw)["uploaded"] == 0
    lists = [c for c in stub.calls if not c.key]
    assert len(lists) == n // 999 + 1, lists
    assert [c.key for c in stub.calls if c.method != "GET"] == ["users/u/.last-sync"]
    assert json.loads(stub.get("users/u/.last-sync"))["files"] == n + 1
