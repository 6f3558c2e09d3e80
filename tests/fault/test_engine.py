# SPDX-License-Identifier: BSD-2-Clause
"""Containers of a real Podman in trouble: an engine that goes away, hangs and comes back,
containers that are removed by hand, disks that are full in them.  And what a wake costs:
MW_COST=1 with pytest's -s measures it against the bound (doc/bench.md)."""
import os
import signal
import socket
import statistics
import time

import pytest

import gateway
import mw
import wakes

COST = os.environ.get("MW_COST") == "1"
QUICK = {"retry.base": 5, "retry.max": 20, "retry.budget": 100000, "breaker.failures": 1000}


@pytest.fixture
def engine(shared):
    return shared.engine()


@pytest.fixture
def gw(make, engine):
    """A server, whose processes keep their connections to the engine."""
    return make.server("lighttpd", QUICK, engine=engine)


def away(engine):
    assert engine.say("stop") == "stopped"


def back(engine):
    assert engine.say("start") == "started"
    wakes.until(lambda: answers(engine), 60)


def answers(engine):
    try:
        return engine.call("GET", "/version")[0] == 200
    except OSError:
        return False


def tell_daemon(engine, sig):
    """Rootless it is two processes."""
    wakes.kill([p for p in gateway.processes_of(engine.dir)
                if "system service" in gateway.command_line(p)], sig)


def remove(gw, user):
    """As somebody with a shell does it."""
    status, _ = gw.engine.call("DELETE", "/containers/%s%s?force=true" % (gw.prefix, user))
    assert status in (200, 204), status


def make_by_hand(gw, user, **host):
    status, doc = gw.engine.call("POST", "/containers/create?name=" + gw.prefix + user, {
        "Image": gw.conf["sandbox.engine.image"], "Cmd": ["sleep", "100000"],
        "WorkingDir": "/workspace",
        "HostConfig": dict({"NetworkMode": "none", "Init": True}, **host)})
    assert status == 201, doc


def run(gw, user, command, **kw):
    return mw.check_json(gw.exec(user, command, **kw))


def job(gw, user, command):
    return run(gw, user, command, stream=True)["processId"]


def ended(gw, user, pid):
    """The status of a command once it is over; an engine on a busy machine may take longer
    for one look than the look may wait."""
    seen = []

    def over():
        seen.append(mw.check_json(gw.process(user, pid, "wait=20000")))
        return seen[-1]["status"] != "running"
    wakes.until(over, 120)
    return seen[-1]


# What needs a sandbox, each with a name of its own: (request, what its answer is to be).
def in_container(gw, user, n):
    yield lambda: gw.raw(user, "f", "source=container"), 200
    yield lambda: gw.get(user, "none%d" % n, "source=container"), 404
    yield lambda: gw.list(user, "source=container"), 200
    yield lambda: gw.put(user, "new%d" % n, b"new"), 200
    yield lambda: gw.delete(user, "new%d" % n), 200
    yield lambda: gw.exec(user, "true"), 200
    yield lambda: wakes.wake(gw, user), 200
    yield lambda: gw.sync(user), 200
    yield lambda: gw.call("GET", "/api/super/users/%s/state" % user), 200


def works(gw, user, n):
    for request, status in in_container(gw, user, n):
        r = request()
        assert r.status == status, r


# ---- the engine ----

def refused(r, user, text):
    obj = mw.check_error(r, "sandbox_unreachable", userId=user)
    assert text in obj["error"] and obj["retryable"] is True and r.get("Retry-After"), obj


def without_engine(gw, user, text):
    """Nothing that needs it is 404 or acknowledged; what R2 can answer is answered."""
    assert gw.content(user, "f") == gw.content(user, "f", "source=r2") == b"both"
    refused(gw.get(user, "none"), user, text)
    for query in ("source=container", "source=container&raw=1"):
        refused(gw.get(user, "f", query), user, text)
    refused(gw.list(user, "source=container"), user, text)
    refused(gw.put(user, "f", b"lost"), user, text)
    refused(gw.delete(user, "f"), user, text)
    refused(gw.exec(user, "touch ran"), user, text)
    refused(wakes.wake(gw, user), user, text)
    refused(gw.sync(user), user, text)
    assert gw.put_ok(user, "r2", b"R2's", "target=r2")["success"]
    obj = mw.check_json(gw.call("GET", "/api/super/users/%s/health" % user), 503)
    assert obj["healthy"] is False and obj["checks"]["r2"] is True, obj
    assert text in obj["results"]["sandboxError"], obj


def test_daemon_restarted(gw, engine):
    """It and its socket go away: documented errors.  It is back: everything goes on, a
    command that was running included, by itself."""
    gw.put_ok("u", "f", b"both")
    gw.put_ok("u", "own", b"only here", "target=container")
    pid = job(gw, "u", "sleep 1; echo done; exit 4")
    away(engine)
    try:
        without_engine(gw, "u", "is the engine running?")
        refused(gw.process("u", pid), "u", "is the engine running?")
    finally:
        back(engine)
    obj = ended(gw, "u", pid)
    assert (obj["status"], obj["exitCode"], obj["stdout"]) == ("failed", 4, "done\n"), obj
    assert gw.content("u", "own", "source=container") == b"only here"
    mw.check_json(gw.sync("u"))
    assert gw.content("u", "r2", "source=container") == b"R2's"
    assert run(gw, "u", "ls")["stdout"].split() == ["f", "own", "r2"], "nothing ran meanwhile"
    assert engine.started(gw.prefix + "u") == 1, "it has run on"
    works(gw, "u", 0)


def test_daemon_restarted_between_any_two_requests(gw, engine):
    """Kept connections are dead, and nobody sees it."""
    gw.put_ok("u", "f", b"both")
    for request, status in list(in_container(gw, "u", 0)):
        away(engine)
        back(engine)
        r = request()
        assert r.status == status, r


def test_daemon_restarted_under_a_command(gw, engine):
    """Who waits for its end has it, or is told its name; it ran once."""
    gw.put_ok("u", "f", b"both")
    answer = []
    t = wakes.threading.Thread(target=lambda: answer.append(
        gw.exec("u", "echo x >>once; sleep 4; echo end", timeout=120)))
    t.start()
    wakes.until(lambda: os.path.exists(gw.sandbox("u", "once")), 60)
    away(engine)
    back(engine)
    t.join()
    obj = answer[0].json()
    if answer[0].status != 200:
        obj = mw.check_error(answer[0], "sandbox_unreachable", userId="u", retryable=False)
        obj = ended(gw, "u", obj["details"]["processId"])
    assert obj["exitCode"] == 0 and obj["stdout"] == "end\n", obj
    assert run(gw, "u", "cat once")["stdout"] == "x\n"


def test_socket_gone(gw, engine):
    """The engine lives, but its socket's name is gone.  The kept connections may go on."""
    gw.put_ok("u", "f", b"both")
    os.rename(engine.socket, engine.socket + ".away")
    try:
        r = gw.exec("u", "echo x >>tried")      # on a connection of its own
        refused(r, "u", "is the engine running?")
    finally:
        os.rename(engine.socket + ".away", engine.socket)
    works(gw, "u", 1)
    assert run(gw, "u", "ls")["stdout"].split() == ["f"]


def test_nobody_listens(make, engine):
    """A socket that its daemon has left behind."""
    gw = make(QUICK, engine=engine)
    gw.put_ok("u", "f", b"both")
    tell_daemon(engine, signal.SIGKILL)
    try:
        wakes.until(lambda: not answers(engine))
        if os.path.exists(engine.socket):
            os.unlink(engine.socket)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(engine.socket)
        without_engine(gw, "u", "does not answer at")
    finally:
        away(engine)
        back(engine)
    works(gw, "u", 0)


def test_daemon_hangs(make, engine):
    """It takes connections and says nothing: 504 within sandbox.timeout, nothing else waits."""
    gw = make(dict(QUICK, **{"sandbox.timeout": 1000, "retry.attempts": 1}), engine=engine)
    gw.put_ok("u", "f", b"both")
    tell_daemon(engine, signal.SIGSTOP)
    try:
        r = gw.raw("u", "f", "source=container")
        assert mw.check_error(r, "sandbox_timeout", userId="u")["retryable"], r
        assert gw.content("u", "f") == b"both"
        mw.check_json(gw.call("GET", "/api/super/users/u/health"), 503)
    finally:
        tell_daemon(engine, signal.SIGCONT)
    gw.configure({"sandbox.timeout": 30000})
    wakes.until(lambda: gw.raw("u", "f", "source=container").status == 200)
    works(gw, "u", 0)


def test_breaker_closes_by_itself(make, engine):
    """Once it is open the engine is not asked; when it is back, neither is anybody."""
    gw = make.server("lighttpd", dict(QUICK, **{"breaker.failures": 3, "breaker.open": 500}),
                     engine=engine)
    gw.put_ok("u", "f", b"both")
    away(engine)
    try:
        for _ in range(4):
            r = gw.raw("u", "f", "source=container")
            assert r.status == 503 and r.get("Retry-After"), r
        assert r.get("X-Attempts") == "0", r
    finally:
        back(engine)
    wakes.until(lambda: gw.raw("u", "f", "source=container").status == 200)
    works(gw, "u", 0)


# ---- containers ----

def test_removed_by_hand(gw):
    """A new one has R2's files; what was only inside is gone, and commands are lost."""
    gw.put_ok("u", "f", b"both")
    gw.put_ok("u", "own", b"only here", "target=container")
    pid = job(gw, "u", "echo x; sleep 1000")
    remove(gw, "u")
    assert gw.content("u", "f", "source=container") == b"both"
    mw.check_error(gw.get("u", "own", "source=container"), "file_not_found")
    mw.check_error(gw.process("u", pid), "process_lost")
    works(gw, "u", 0)
    assert gw.engine.started(gw.prefix + "u") == 2


def test_removed_between_any_two_requests(gw):
    gw.put_ok("u", "f", b"both")
    for request, status in list(in_container(gw, "u", 0)):
        remove(gw, "u")
        r = request()
        assert r.status == status, r
        assert gw.content("u", "f", "source=container") == b"both"


def test_stopped_by_hand(gw):
    """Its files are there all the same, and what needs it to run wakes it."""
    gw.put_ok("u", "f", b"both")
    gw.put_ok("u", "own", b"only here", "target=container")
    gw.end_sandboxes()
    assert gw.content("u", "own", "source=container") == b"only here"
    assert wakes.state(gw, "u") == "sleeping"
    assert run(gw, "u", "cat f own")["stdout"] == "bothonly here"
    assert gw.engine.started(gw.prefix + "u") == 2


def test_removed_and_not_ours_to_make(make, engine):
    """sandbox.engine.create = false: an honest error until somebody makes one."""
    gw = make(dict(QUICK, **{"sandbox.engine.create": False}), engine=engine)
    make_by_hand(gw, "u")
    gw.put_ok("u", "f", b"both")
    remove(gw, "u")
    for r in (gw.raw("u", "f", "source=container"), gw.put("u", "f", b"lost"),
              gw.exec("u", "true"), wakes.wake(gw, "u")):
        obj = mw.check_error(r, "sandbox_not_found", userId="u")
        assert "create = false" in obj["error"], obj
    assert gw.content("u", "f") == b"both"
    make_by_hand(gw, "u")
    assert gw.content("u", "f", "source=container") == b"both"
    works(gw, "u", 0)


# ---- a full disk inside ----

def test_disk_full(make, engine):
    """507, and nothing was changed anywhere; with room again it goes on by itself."""
    gw = make(QUICK, engine=engine)
    make_by_hand(gw, "u", Tmpfs={"/workspace/small": "size=64k"})
    gw.put_ok("u", "small/f", b"old")
    for query in ("", "target=container"):
        obj = mw.check_error(gw.put("u", "small/f", b"x" * (1 << 20), query), "storage_full",
                             userId="u", path="/small/f")
        assert obj["retryable"] is True, obj
    row = gw.batch_ok("u", [{"op": "write", "path": "small/f", "content": "x" * (1 << 20)}])
    assert row["results"][0]["code"] == "storage_full", row
    for source in ("r2", "container"):
        assert gw.content("u", "small/f", "source=" + source) == b"old"
    assert engine.inside(gw.prefix + "u", "ls -A small /tmp/.moltworker/in") == (
        0, b"/tmp/.moltworker/in:\n\nsmall:\nf\n"), "no leftovers"
    obj = run(gw, "u", "head -c 1000000 /dev/zero >small/fill")
    assert obj["exitCode"] == 1 and obj["stderr"], obj
    mw.check_error(gw.put("u", "small/f", b"n" * 5000), "storage_full")
    run(gw, "u", "rm small/fill")
    gw.put_ok("u", "small/f", b"n" * 5000)
    assert gw.content("u", "small/f", "source=container") == b"n" * 5000


def test_disk_full_of_output(make, engine):
    """Where commands' results lie: what fits is kept, the command notices nothing; then
    none can be started, until there is room."""
    gw = make(QUICK, engine=engine)
    make_by_hand(gw, "u", Tmpfs={"/tmp/.moltworker/jobs": "size=256k"})
    obj = run(gw, "u", "head -c 1000000 /dev/zero | tr '\\0' x; echo err >&2; exit 3")
    assert obj["exitCode"] == 3 and obj["stdoutTruncated"] is True, obj
    assert 0 < len(obj["stdout"]) < 262144 and set(obj["stdout"]) == {"x"}
    mw.check_error(gw.exec("u", "touch ran"), "storage_full", userId="u")
    status, out = engine.inside(gw.prefix + "u", "ls -A; rm -r /tmp/.moltworker/jobs/*")
    assert (status, out) == (0, b"")
    assert run(gw, "u", "echo again")["stdout"] == "again\n"


# ---- the cost of a wake ----

def own_time(engine, name):
    """The engine's own start and command, at its socket: ms."""
    began = time.monotonic()
    assert engine.call("POST", "/containers/%s/start" % name)[0] == 204
    assert engine.inside(name, "true")[0] == 0
    return (time.monotonic() - began) * 1000


def our_time(gw, user):
    began = time.monotonic()
    assert mw.check_json(wakes.wake(gw, user))["action"] == "started"
    assert run(gw, user, "true")["exitCode"] == 0
    return (time.monotonic() - began) * 1000


def test_cost_of_a_wake(gw, engine):
    """A stopped container's wake and its first command, in turn with the engine's own."""
    run(gw, "u", "true")
    own, ours = [], []
    for _ in range(20 if COST else 2):
        for measure, found in ((lambda: own_time(engine, gw.prefix + "u"), own),
                               (lambda: our_time(gw, "u"), ours)):
            mw.check_json(gw.call("POST", "/api/super/users/u/sleep?sync=false", body=b""))
            found.append(measure())
    over = statistics.median(b - a for a, b in zip(own, ours))
    print("\nstart and command, median of %d: engine %.0f ms, wake and exec %.0f ms; "
          "over it %.0f ms" % (len(own), statistics.median(own), statistics.median(ours), over))
    assert over < (300 if COST else 3000), (own, ours)
