# SPDX-License-Identifier: BSD-2-Clause
"""Responders killed with SIGKILL while many clients write: what was
acknowledged is there, in both places, and nothing is left lying about.

MW_SEED repeats a run, MW_WRITES sets its length.
"""
import os
import random
import signal
import threading
import time

import pytest

import mw
from s3stub import QUICK

WRITES = int(os.environ.get("MW_WRITES", "2000"))
CLIENTS = 6
PATHS = 8                               # of each client: only it writes them


class Client(threading.Thread):
    """Writes and deletes its own paths; remembers what was tried and what was acknowledged."""

    def __init__(self, gw, number, count, seed):
        super().__init__()
        self.gw, self.number, self.count = gw, number, count
        self.user = "user%d" % number
        self.random = random.Random("%s.%d" % (seed, number))
        self.tried = {}                 # path -> [content or None, …] in order
        self.acked = {}                 # path -> index in tried of the last acknowledged one
        self.lost, self.cuts, self.acks, self.failure = [], 0, 0, None
        self.slowest = (0, 0, "")

    def run(self):
        try:
            for n in range(self.count):
                self.one(n)
        except Exception as e:          # a thread's failure is the test's
            self.failure = e

    def one(self, n):
        path = "d%d/f%d" % (n % 3, self.random.randrange(PATHS))
        tried = self.tried.setdefault(path, [])
        delete = bool(tried) and tried[-1] is not None and self.random.random() < 0.1
        content = None if delete else b"%d:%d:%s" % (
            self.number, n, b"x" * self.random.choice([0, 10, 1000, 30000]))
        tried.append(content)
        start = time.monotonic()
        try:
            r = self.gw.delete(self.user, path) if delete else \
                self.gw.put(self.user, path, content)
        except (ConnectionError, TimeoutError):
            r = None
        self.slowest = max(self.slowest, (time.monotonic() - start, r and r.status, path))
        if r is None or r.status in (0, 500, 502, 503, 504) or not r.complete:
            self.cuts += 1              # not acknowledged: it may have happened or not
            return
        if delete and r.status == 404:
            assert self.acked.get(path) != len(tried) - 2, "an acknowledged write is gone: %r %r" % (r.body, tried[-3:])
        else:
            assert r.status == 200, r
        self.acks += 1
        self.acked[path] = len(tried) - 1
        if self.random.random() < 0.2:
            self.read_back(path)

    def read_back(self, path):
        for _ in range(50):
            try:
                r = self.gw.raw(self.user, path)
            except (ConnectionError, TimeoutError):
                continue
            if r.status in (200, 404) and r.complete:
                if not self.good(path, r.body if r.status == 200 else None):
                    self.lost.append((path, "read back", r.status, r.body[:30]))
                return
        raise AssertionError("%s %s: 50 reads, no answer" % (self.user, path))

    def good(self, path, content):
        """Is this the last acknowledged version, or a later one that was tried?"""
        return content in self.tried[path][self.acked[path]:]


def killer(gw, seed, stop, killed, clients):
    """Not before a write is acknowledged again: a machine under load would only start processes."""
    rnd, acks = random.Random(seed), 0
    while not stop.wait(rnd.uniform(0.005, 0.05)):
        before, acks = acks, sum(c.acks for c in clients)
        pids = gw.responders() if acks > before else []
        if pids:
            pid = rnd.choice(pids)
            try:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            except ProcessLookupError:
                pass


def outage(stub, seed, stop):
    """R2 comes and goes, so that the outbox is part of it."""
    rnd = random.Random(seed)
    while not stop.wait(rnd.uniform(0.3, 1.0)):
        stub.fail(times=rnd.randrange(1, 60), status=503)


def make_old(*roots):
    old = time.time() - 7200
    for root in roots:
        for d, _, files in os.walk(root):
            for n in files:
                try:
                    os.utime(os.path.join(d, n), (old, old), follow_symlinks=False)
                except FileNotFoundError:
                    pass


def files_below(root):
    return sorted(os.path.relpath(os.path.join(d, n), root)
                  for d, _, names in os.walk(root) for n in names)


@pytest.mark.parametrize("store", ["dir", "s3"])
def test_no_acknowledged_write_is_lost(make, stub, store):
    seed = int(os.environ.get("MW_SEED", str(random.SystemRandom().randrange(10 ** 6))))
    print("MW_SEED=%d" % seed)
    gw = make.server("lighttpd", dict(QUICK, **{"outbox.drain_interval": 200}), procs=4,
                     **({"store": "s3", "s3": stub} if store == "s3" else {}))
    clients = [Client(gw, i, WRITES // CLIENTS, seed) for i in range(CLIENTS)]
    stop, killed = threading.Event(), []
    helpers = [threading.Thread(target=killer, args=(gw, seed, stop, killed, clients))]
    if store == "s3":
        helpers.append(threading.Thread(target=outage, args=(stub, seed, stop)))
    for t in clients + helpers:
        t.start()
    for t in clients:
        t.join()
    stop.set()
    for t in helpers:
        t.join()
    stub.reset()
    told = "seed %d, %d killed, %d cut, slowest %s" % (
        seed, len(killed), sum(c.cuts for c in clients), max(c.slowest for c in clients))
    print(told)
    assert not [c.failure for c in clients if c.failure], (told, [c.failure for c in clients])
    assert not [c.lost for c in clients if c.lost], (told, [c.lost for c in clients])
    assert len(killed) >= 10, told
    assert sum(c.cuts for c in clients) < WRITES // 2, told

    make_old(gw.path("state", "spool"))
    status, _, text = gw.moltctl("drain", timeout=120)
    assert status == 0, (told, status, text)
    for c in clients:
        for path in c.acked:
            for query in ("", "source=r2", "source=container"):
                got = gw.content(c.user, path, query)
                assert c.good(path, got), "%s: %s %s by %r is %r, acknowledged %r" % (
                    told, c.user, path, query, got and got[:40],
                    (c.tried[path][c.acked[path]] or b"(deleted)")[:40])
    check_leftovers(gw, clients, told)


def check_leftovers(gw, clients, told):
    make_old(gw.path("state", "spool"), gw.path("sandboxes"), gw.path("store"))
    assert gw.drain() == 0
    for c in clients:                   # a write sweeps what killed ones left
        gw.put_ok(c.user, "last", b"x")
        c.tried["last"] = [b"x"]
    assert gw.drain() == 0
    assert os.listdir(gw.path("state", "spool")) == [], told
    for c in clients:
        left = set(files_below(gw.sandbox(c.user))) - set(c.tried)
        assert not left, "%s: left in the user's own root: %s" % (told, left)
    left = [f for f in files_below(gw.path("sandboxes", ".run"))
            if os.path.basename(f) not in ("instance", "sock", "lock", "pid", "log")]
    assert not left, "%s: left in .run: %s" % (told, left)
    known = {os.path.basename(p) for c in clients for p in c.tried}
    ours = ".moltworker-store/"
    store = files_below(gw.path("store"))
    left = [f for f in store if os.path.basename(f) not in known and
            not f.startswith((ours + "meta/", ours + "lock"))]
    assert not left, "%s: left in the store: %s" % (told, left)
    objects = [f for f in store if not f.startswith(ours)]
    sidecars = [f for f in store if f.startswith(ours + "meta/")]
    assert len(sidecars) <= len(objects), "%s: sidecars of objects that are gone" % told


def test_killed_request_is_a_clean_cut(make, stub):
    """Kill the responder in mid-body: the client must not take it for whole."""
    gw = make.server("lighttpd", QUICK, store="s3", s3=stub, procs=1)
    stub.put("users/u/f", b"y" * 3000000)
    stub.fail(method="GET", cut=1000000)
    stub.fail(method="GET", times=99, delay=5)
    done = {}
    t = threading.Thread(target=lambda: done.update(r=gw.raw("u", "f", "source=r2")))
    t.start()
    time.sleep(1)
    for pid in gw.responders():
        os.kill(pid, signal.SIGKILL)
    t.join()
    assert not done["r"].complete, done["r"].status
    stub.reset()
    deadline = time.monotonic() + 60
    while True:                         # and the next request finds a new process
        r = gw.raw("u", "f", "source=r2")
        if r.status == 200 and r.complete:
            break
        assert time.monotonic() < deadline, r
        time.sleep(0.1)
    mw.check_json(gw.call("GET", "/api/super/health"))
