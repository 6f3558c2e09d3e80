# SPDX-License-Identifier: BSD-2-Clause
"""A model of what every file may hold, and everything at once against it: writes,
deletes, reads, one-sided targets, syncs and restores by many clients, programs
that write in the sandboxes themselves, R2 that refuses, stalls, cuts and
throttles, an outbox that is too small, sandboxes that are replaced by empty ones,
and processes that are killed.  At the end R2, the sandboxes and the model agree.

MW_SEED repeats a run, as far as the machine's own timing allows; MW_LONG=1 runs it
for MW_SECONDS (180).
"""
import os
import random
import shutil
import signal
import threading
import time
import traceback


import gateway
import mw
from s3stub import QUICK

LONG = os.environ.get("MW_LONG") == "1"
SECONDS = float(os.environ.get("MW_SECONDS", "180" if LONG else "9"))
USERS, CLIENTS, PATHS = 3, 6, 5
UNSURE = (0, 500, 502, 503, 504)        # may have happened, or not


class File:
    """One path: every content it was ever given, in order, and which of them may be seen."""

    def __init__(self):
        self.lock = threading.Lock()    # one client at a time
        self.tried = [None]             # contents; None = absent
        self.soft = 0                   # last acknowledged one
        self.firm = 0                   # last one that R2 has, or the outbox
        self.wipes = 0                  # of the sandbox, when soft was acknowledged
        self.trace = []                 # what was done, for a person

    def note(self, *what):
        self.trace.append((time.strftime("%H:%M:%S.") + "%03d" % (time.time() % 1 * 1000),
                           len(self.tried) - 1) + what)

    def floor(self, wipes):
        """The oldest that may be seen, when the sandbox was replaced so often."""
        return self.soft if wipes == self.wipes else self.firm

    def allowed(self, wipes):
        return self.tried[self.floor(wipes):]


class User:
    def __init__(self, name):
        self.name = name
        self.files = {"api/%d" % i: File() for i in range(PATHS)}
        self.own = {"own/%d" % i: File() for i in range(PATHS)}
        self.wipes = 0
        self.restores = 0               # in hand: what the program removes may come back
        self.here = threading.RLock()   # the sandbox's own program, or its replacement

    def may_come_back(self):
        for f in self.own.values():
            if f.tried[f.soft] is None:
                f.soft = min(f.soft, f.firm)


class World:
    def __init__(self, gw, stub, seed):
        self.gw, self.stub, self.seed = gw, stub, seed
        self.users = [User("user%d" % i) for i in range(USERS)]
        self.stop = threading.Event()
        self.problems, self.count, self.killed = [], {}, 0
        self.mutex = threading.Lock()

    def note(self, what):
        with self.mutex:
            self.count[what] = self.count.get(what, 0) + 1

    def problem(self, *what):
        with self.mutex:
            self.problems.append(what)
        self.stop.set()

    def random(self, name):
        return random.Random("%s.%s" % (self.seed, name))


def short(content):
    return content and content[:40]


# ---- clients ----

def one_write(w, rnd, user, path, f, n):
    target = rnd.choices(["both", "container", "r2"], [6, 2, 2])[0]
    delete = rnd.random() < 0.2
    content = None if delete else b"%s %s %d " % (user.name.encode(), path.encode(), n) + \
        b"x" * rnd.choice([0, 0, 100, 3000, 40000])
    wipes = user.wipes
    f.tried.append(content)
    query = "target=%s&maxWakeTime=60000" % target
    r = ask(w.gw.delete, user.name, path, query) if delete else \
        ask(w.gw.put, user.name, path, content, query)
    w.note("%s %s %s" % ("delete" if delete else "put", target, r.status))
    f.note("delete" if delete else "put", target, r.status, "wipes %d" % wipes)
    if r.status == 507:                 # nothing was changed
        f.tried.pop()
    elif delete and r.status == 404:
        if target == "both":
            return acknowledged(f, wipes, target)
        f.tried.pop()                   # that side has none, and was not asked to
    elif r.status == 200 and r.complete:
        acknowledged(f, wipes, target)
    elif r.status not in UNSURE and r.complete:
        w.problem("write", user.name, path, target, r)


def acknowledged(f, wipes, target):
    f.soft, f.wipes = len(f.tried) - 1, wipes
    if target != "container":
        f.firm = f.soft


def one_read(w, user, path, f):
    before = user.wipes
    r = ask(w.gw.raw, user.name, path, "maxWakeTime=60000")
    w.note("read %s" % r.status)
    if r.status not in (200, 404) or not r.complete:
        return
    content = r.body if r.status == 200 else None
    allowed = f.allowed(before) + f.allowed(user.wipes)
    if content not in allowed:
        w.problem("read", user.name, path, short(content), "allowed", [short(a) for a in allowed],
                  "tried", [short(a) for a in f.tried[-5:]], f.trace[-12:])


def ask(call, *args):
    try:
        return call(*args, timeout=120)
    except (ConnectionError, TimeoutError):
        return mw.Response(0, "", [], b"", False, 0)


def client(w, number):
    rnd, n = w.random("client%d" % number), 0
    while not w.stop.is_set():
        n += 1
        user = rnd.choice(w.users)
        path = rnd.choice(list(user.files))
        f = user.files[path]
        if not f.lock.acquire(timeout=0.05):
            continue
        try:
            if rnd.random() < 0.35:
                one_read(w, user, path, f)
            else:
                one_write(w, rnd, user, path, f, number * 10 ** 6 + n)
        finally:
            f.lock.release()


# ---- syncs ----

def do_sync(w, user, query):
    """A backup makes firm what was acknowledged before it began, if nothing failed."""
    files = {**user.files, **user.own}
    wipes, restore = user.wipes, "restore" in query
    with user.here:
        user.restores += restore
        if restore:
            user.may_come_back()
    before = {p: f.soft for p, f in files.items() if f.wipes == wipes}
    r = ask(w.gw.sync, user.name, query)
    with user.here:
        user.restores -= restore
    w.note("sync %s %s" % (query.split("&")[0], r.status))
    if r.status != 200 or not r.complete:
        return None
    obj = r.json()
    bad = {n["path"][1:] for n in obj["failed"]} | {n[1:] for n in obj["newer"]}
    if restore or user.wipes != wipes or obj["waiting"] or obj["failed"]:
        return obj
    for path, soft in before.items():
        f = files[path]
        # Without delete=true what the program removed itself stays in R2.
        if None in f.tried[soft + 1:]:  # removed meanwhile, perhaps before it was read
            continue
        if path not in bad and (f.tried[soft] is not None or "delete=true" in query):
            f.firm = max(f.firm, soft)
            f.note("firm", soft, obj["syncId"])
    return obj


def syncer(w, number):
    rnd = w.random("sync%d" % number)
    while not w.stop.wait(rnd.uniform(0.05, 0.6)):
        user = rnd.choice(w.users)
        query = rnd.choices(["direction=backup", "direction=backup&delete=true",
                             "direction=restore", "direction=backup&dryRun=true&delete=true"],
                            [6, 2, 3, 1])[0]
        if "dryRun" in query:
            ask(w.gw.sync, user.name, query)
            ask(w.gw.r2_status, user.name)
        else:
            do_sync(w, user, query + "&maxWakeTime=60000")


# ---- what happens to the rest of the world ----

def program(w):
    """The sandboxes' own programs: they write without asking anybody."""
    rnd, n = w.random("program"), 0
    while not w.stop.wait(rnd.uniform(0.005, 0.1)):
        n += 1
        user = rnd.choice(w.users)
        path = rnd.choice(list(user.own))
        f, name = user.own[path], w.gw.sandbox(user.name, path)
        with user.here:
            if not os.path.exists(marker(w.gw, user.name)):
                continue                # nothing runs there
            content = None if rnd.random() < 0.15 else b"own %d " % n + b"y" * rnd.choice([1, 1, 900])
            f.tried.append(content)
            os.makedirs(os.path.dirname(name), exist_ok=True)
            if content is None:
                if os.path.exists(name):
                    os.unlink(name)
            else:
                with open(name + "~.tmp", "wb") as out:
                    out.write(content)
                os.rename(name + "~.tmp", name)
            f.soft, f.wipes = len(f.tried) - 1, user.wipes
            if user.restores:
                user.may_come_back()
            f.note("own", "wipes %d" % user.wipes)
        w.note("own")


def marker(gw, user):
    return gw.path("sandboxes", ".run", user, "tmp", ".moltworker", "instance")


def replace(w, user, n):
    """Another, empty sandbox under the same name, all at once."""
    gw, away = w.gw, w.gw.path("away", "%s.%d" % (user.name, n))
    os.makedirs(away)
    with user.here, mw.Lock(gw, "wake:" + user.name):
        user.wipes += 1
        for name, kind in ((".run/" + user.name, "run"), (user.name, "root")):
            if os.path.exists(gw.path("sandboxes", name)):
                os.rename(gw.path("sandboxes", name), os.path.join(away, kind))
        mine = gateway.processes_of(gw.dir)
        holders = {p for p in mine if gateway.command_line(p).endswith(" hold " + user.name)}
        for pid in mine:
            if pid in holders or gateway.parent_of(pid) in holders:
                kill(pid)
        user.wipes += 1                 # what was written meanwhile may be in either
    shutil.rmtree(away, ignore_errors=True)


def replacer(w):
    rnd, n = w.random("replacer"), 0
    while not w.stop.wait(rnd.uniform(0.5, 3)):
        n += 1
        replace(w, rnd.choice(w.users), n)
        w.note("replaced")


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def killer(w):
    rnd = w.random("killer")
    while not w.stop.wait(rnd.uniform(0.02, 0.3)):
        name = rnd.choices(["files.fcgi", "sync.fcgi", "moltctl"], [6, 3, 2])[0]
        pids = w.gw.responders(name)
        if name == "moltctl":           # the drainer, not what serves
            pids = [p for p in gateway.processes_of(w.gw.dir)
                    if " drain " in gateway.command_line(p) + " "]
        if pids and kill(rnd.choice(pids)):
            w.note("killed " + name)


def weather(w):
    """R2 as it comes."""
    rnd = w.random("weather")
    kinds = [dict(status=503), dict(status=500), dict(status=429, headers={"Retry-After": "1"}),
             dict(drop=True), dict(cut=10), dict(hang=1.5), dict(delay=0.3),
             dict(status=500, after=True), dict(drop=True, after=True)]
    while not w.stop.wait(rnd.uniform(0.05, 0.8)):
        kind = rnd.choice(kinds)
        few = 2 if "hang" in kind or "delay" in kind else 12
        w.stub.fail(times=rnd.randrange(1, few), method=rnd.choice([None, None, "PUT", "GET", "DELETE"]),
                    **kind)
        if rnd.random() < 0.03:         # gone for a while
            w.stub.down()
            w.stop.wait(rnd.uniform(0.2, 2))
            w.stub.back()


# ---- the test ----

def run(w, what, *args):
    try:
        what(*args)
    except Exception:                   # a thread's failure is the test's
        w.problem(what.__name__, traceback.format_exc())


def settings():
    return dict(QUICK, **{"outbox.drain_interval": 100, "outbox.max_bytes": 600000,
                          "store.timeout": 1000, "retry.attempts": 2, "sync.parallel": 4,
                          "log.level": "debug", "sync.timeout": 30000, "wake.failure_ttl": 1})


def settle(w):
    """Everything works again: bring all to rest."""
    deadline = time.monotonic() + 60
    w.stub.reset()
    while True:
        status, out, err = w.gw.moltctl("drain", timeout=60)
        if status == 0:
            break
        assert time.monotonic() < deadline, (status, out, err)
    for user in w.users:
        for query in ("direction=backup", "direction=restore",
                      "direction=backup&delete=true&force=true", "direction=backup"):
            while True:
                obj = do_sync(w, user, query + "&maxWakeTime=60000")
                if obj is not None:
                    break
                assert time.monotonic() < deadline, w.gw.log()[-3000:]
                time.sleep(0.1)
            assert not obj["failed"] and not obj["waiting"], (user.name, query, obj)
        assert obj["uploaded"] == 0 and obj["verified"] and not obj["newer"], (user.name, obj)


def check(w):
    wrong = []
    for user in w.users:
        for path, f in {**user.files, **user.own}.items():
            seen = {}
            for source in ("auto", "r2", "container"):
                r = w.gw.raw(user.name, path, "source=%s&maxWakeTime=60000" % source)
                assert r.status in (200, 404) and r.complete, r
                seen[source] = r.body if r.status == 200 else None
            allowed = f.allowed(user.wipes)
            if path.startswith("own/") and None in allowed:
                # Removed by the program, and no delete=true since: R2 may have kept it.
                allowed = f.tried[f.firm:]
            if len(set(seen.values())) != 1 or seen["auto"] not in allowed:
                wrong.append((user.name, path, {k: short(v) for k, v in seen.items()},
                              "allowed", [short(a) for a in allowed], f.trace[-12:]))
    for one in wrong:
        print(one)
    return wrong


def test_nothing_acknowledged_is_lost(make, stub):
    seed = int(os.environ.get("MW_SEED", str(random.SystemRandom().randrange(10 ** 6))))
    print("MW_SEED=%d" % seed)
    gw = make.server("lighttpd", settings(), store="s3", s3=stub, procs=4)
    w = World(gw, stub, seed)
    threads = [threading.Thread(target=run, args=(w, client, w, i)) for i in range(CLIENTS)]
    threads += [threading.Thread(target=run, args=(w, syncer, w, i)) for i in range(2)]
    threads += [threading.Thread(target=run, args=(w, t, w))
                for t in (program, replacer, killer, weather)]
    for t in threads:
        t.start()
    w.stop.wait(SECONDS)
    w.stop.set()
    for t in threads:
        t.join()
    told = "MW_SEED=%d %s" % (seed, sorted(w.count.items()))
    print(told)
    for problem in w.problems:
        print(problem)
    assert not w.problems, (told, w.problems[:1])
    stub.back()
    settle(w)
    wrong = check(w)
    assert not wrong, (told, wrong[:1])
    assert sum(n for what, n in w.count.items() if what.startswith("put") and " 200" in what) > \
        20 * min(SECONDS, 30), told
    assert sum(n for what, n in w.count.items() if what.startswith("killed")) > SECONDS / 5, told
