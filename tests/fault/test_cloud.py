# SPDX-License-Identifier: BSD-2-Clause
"""Sandboxes behind Cloudflare's APIs: containers that are replaced between any two
calls, pools that are full, answers that are cut, and who is woken by whom."""
import concurrent.futures
import json
import os
import threading

import pytest

import cloudpeer
import mw

LONG = os.environ.get("MW_LONG") == "1"
QUICK = {"retry.base": 5, "retry.max": 20, "retry.budget": 100000}


@pytest.fixture(params=["bridge", "container"])
def gw(request, make, cloud):
    cloud.tell("forget")
    g = make(dict(QUICK, **cloud.settings(request.param)))
    g.cloud = cloud
    return g


@pytest.fixture
def bridge(make, cloud):
    cloud.tell("forget")
    g = make(dict(QUICK, **cloud.settings("bridge")))
    g.cloud = cloud
    return g


users = iter("cloud%d" % n for n in range(1000))


@pytest.fixture
def user():
    return next(users)


def state_of(gw, user):
    return mw.check_json(gw.call("GET", "/api/super/users/%s/state" % user))


def read(gw, user, path, source):
    r = gw.raw(user, path, "source=" + source, timeout=120)
    assert r.status == 200, r
    return r.body


# ---- an empty container under the same name, before any call ----

def put(gw, user, n):
    body = b"new %d" % n
    gw.put_ok(user, "f", body, timeout=120)
    for source in ("r2", "auto", "container"):
        assert read(gw, user, "f", source) == body, source


def put_large(gw, user, n):
    body = bytes([n % 251]) * 300000
    gw.put_ok(user, "large", body, timeout=120)
    for source in ("r2", "container"):
        assert read(gw, user, "large", source) == body, source


def look(gw, user, n):
    if n % 2:
        assert read(gw, user, "kept", "container") == b"kept"
    else:
        mw.check_error(gw.get(user, "never", "source=container", timeout=120), "file_not_found")
    obj = mw.check_json(gw.list(user, "source=container&recursive=true", timeout=120))
    assert {"kept", "deep/er/file"} <= {e["relativePath"] for e in obj["files"]}, obj


def delete(gw, user, n):
    gw.put_ok(user, "gone", b"x", timeout=120)
    assert mw.check_json(gw.delete(user, "gone", timeout=120))["success"]
    for source in ("r2", "auto", "container"):
        assert gw.get(user, "gone", "source=" + source, timeout=120).status == 404, source


def run(gw, user, n):
    """It ran where the user's files are; or it was lost with its container, and says so."""
    r = gw.exec(user, "cat kept && echo x >>log%d && wc -l <log%d" % (n, n), timeout=120)
    if r.status == 410:
        mw.check_error(r, "process_lost")
        return
    obj = mw.check_json(r)
    assert (obj["exitCode"], obj["stdout"]) == (0, "kept1\n"), obj


def batch(gw, user, n):
    gw.put_ok(user, "gone", b"x", timeout=120)
    obj = gw.batch_ok(user, [
        {"op": "write", "path": "f", "content": "batch %d" % n},
        {"op": "read", "path": "kept", "source": "container"}, {"op": "delete", "path": "gone"},
        {"op": "exists", "path": "deep/er/file", "source": "container"},
        {"op": "exists", "path": "never", "source": "container"}], parallel=n % 2 == 0)
    assert obj["succeeded"] == 5, obj
    assert [obj["results"][i]["exists"] for i in (3, 4)] == [True, False], obj
    for source in ("r2", "container"):
        assert read(gw, user, "f", source) == b"batch %d" % n, source
        mw.check_error(gw.get(user, "gone", "source=" + source, timeout=120), "file_not_found")


def wake_up(gw, user):
    r = gw.call("POST", "/api/super/users/%s/wake" % user, body=b"", timeout=120)
    assert mw.check_json(r)["currentState"] == "active"


def wake(gw, user, n):
    """Of one that is empty: also in the middle of being filled."""
    gw.cloud.tell("replace", user=user)
    wake_up(gw, user)


def begin_job(gw, user):
    return mw.check_json(gw.exec(user, "sleep 600", stream=True, timeout=120))["processId"]


def same(gw, user, path):
    """What R2 and the sandbox have of it, which is the same; None = it is in neither."""
    got = [gw.content(user, path, "source=" + s) for s in ("r2", "container")]
    assert got[0] == got[1], (path, got)
    return got[0]


STEPS = [put, put_large, look, delete, run, batch, wake]


@pytest.mark.parametrize("step", STEPS)
def test_replaced_before_any_call(gw, user, step):
    """Before the first call of a request, before the second, and so on to its last."""
    if not LONG and ("bridge" in gw.conf["sandbox.driver"]) != (step in (put, look, run, wake)):
        pytest.skip("each driver has half of the steps; MW_LONG=1 for all")
    gw.put_ok(user, "kept", b"kept", timeout=120)
    gw.put_ok(user, "deep/er/file", b"deep", timeout=120)
    some = (4, 6) if step == wake else (1, 2)
    for n in range(1, 60) if LONG else some:
        pid = begin_job(gw, user)
        gw.cloud.tell("forget")
        gw.cloud.tell("replace_at", user=user, call=n)
        step(gw, user, n)
        assert same(gw, user, "kept") == b"kept"
        if gw.cloud.calls(user) < n:
            return                      # it was never replaced: all calls have been tried
        mw.check_error(gw.process(user, pid, timeout=120), "process_lost")
    assert not LONG, "no end"


def honest(r, *codes):
    """Was it done?  If not, the client is told to come again, or one of the codes."""
    if r.status == 200:
        return True
    obj = r.json()
    assert obj["code"] in codes or (r.status in (503, 504) and obj["retryable"]), r
    return False


def requests(gw, user, n):
    """One of each kind; what was acknowledged, {path: content}."""
    said = {}
    r = gw.raw(user, "kept", "source=container", timeout=120)
    assert not honest(r) or r.body == b"kept", r
    if honest(gw.put(user, "f", b"put %d" % n, timeout=120)):
        said["f"] = b"put %d" % n
    if honest(gw.delete(user, "gone", timeout=120)):
        said["gone"] = None
    r = gw.exec(user, "cat kept", timeout=120)
    assert not honest(r, "process_lost") or r.json()["stdout"] == "kept", r
    obj = gw.batch_ok(user, [{"op": "write", "path": "b", "content": "batch %d" % n},
                             {"op": "read", "path": "kept", "source": "container"}])
    for row in obj["results"]:
        assert row["success"] or row["status"] in (503, 504), row
    if obj["results"][0]["success"]:
        said["b"] = b"batch %d" % n
    assert not obj["results"][1]["success"] or obj["results"][1]["content"] == "kept", obj
    honest(gw.call("POST", "/api/super/users/%s/wake" % user, body=b"", timeout=120))
    return said


def test_replaced_before_every_nth_call(gw, user):
    """Again and again: it may be that nothing can be done, but nothing said is untrue.  Once
    it is over, R2 and the sandbox have what was acknowledged."""
    gw.put_ok(user, "kept", b"kept", timeout=120)
    for n in range(1, 25) if LONG else (5,) if "bridge" in gw.conf["sandbox.driver"] else (9,):
        gw.put_ok(user, "gone", b"x", timeout=120)
        pid = begin_job(gw, user)
        gw.cloud.tell("forget")
        gw.cloud.tell("replace_at", user=user, call=n, again=True)
        said = requests(gw, user, n)
        gw.cloud.tell("forget")
        assert gw.drain() == 0
        wake_up(gw, user)
        mw.check_error(gw.process(user, pid, timeout=120), "process_lost")
        for path, content in said.items():
            assert same(gw, user, path) == content, (n, path)
        for path in ("kept", "f", "gone", "b"):
            same(gw, user, path)


def test_a_lost_job_is_lost(gw, user):
    r = mw.check_json(gw.exec(user, "echo begun >>log; sleep 600", stream=True, timeout=120))
    pid = r["processId"]
    obj = mw.check_json(gw.process(user, pid, timeout=120))
    assert obj["running"] is True, obj
    gw.cloud.tell("replace", user=user)
    mw.check_error(gw.process(user, pid, timeout=120), "process_lost")
    # Another one runs, in the container that has taken its place.
    obj = mw.check_json(gw.exec(user, "cat log; echo ran", timeout=120))
    assert obj["stdout"] == "ran\n", obj


def test_a_command_runs_once(gw, user):
    """Cut the answer to an exec anywhere: it ran once, and its answer is right."""
    gw.put_ok(user, "kept", b"kept", timeout=120)
    for after in (0, 1, 100, 300, 450, 700) if not LONG else range(0, 1200, 7):
        gw.cloud.tell("forget")
        gw.cloud.tell("cut", after=after, times=1)
        obj = mw.check_json(gw.exec(user, "echo x >>log%d; wc -l <log%d" % (after, after),
                                    timeout=120))
        assert (obj["exitCode"], obj["stdout"]) == (0, "1\n"), (after, obj)


def test_a_write_is_one_step(gw, user):
    """/tmp and /workspace are two mounts here of one device: nothing is renamed between
    them.  Whoever looks sees one of the two whole files, and nothing else is left."""
    size = 4 << 20
    gw.put_ok(user, "f", b"0" * size, timeout=120)
    root, done, seen = cloudpeer.Cloud(gw.cloud, "").root(user), threading.Event(), set()

    def watch():
        while not done.is_set():
            with open(os.path.join(root, "workspace", "f"), "rb") as f:
                seen.add((os.fstat(f.fileno()).st_size, f.read(1)))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        watcher = pool.submit(watch)
        for n in range(3):
            gw.put_ok(user, "f", b"%d" % n * size, timeout=120)
        done.set()
        watcher.result()
    assert {s for s, _ in seen} == {size}, seen
    assert os.listdir(os.path.join(root, "workspace")) == ["f"]


def put_until_taken(gw, user, body):
    """As a client would: again, for as long as the answer says that this may help."""
    for _ in range(3):
        r = gw.put(user, "f", body, timeout=120)
        if r.status == 200:
            return
        assert r.status == 503 and r.json()["retryable"], r.body
    raise AssertionError(r.body)


def test_cut_reads_and_writes(gw, user):
    body = bytes(range(256)) * 300
    gw.put_ok(user, "f", body, timeout=120)
    for after in (0, 10, 200, 5000, 100000):
        gw.cloud.tell("forget")
        gw.cloud.tell("cut", after=after, times=1)
        assert read(gw, user, "f", "container") == body, after
        gw.cloud.tell("cut", after=after, times=1)
        body = body[1:] + body[:1]
        put_until_taken(gw, user, body)
        assert read(gw, user, "f", "container") == body, after


# ---- who is woken ----

def test_no_get_wakes(bridge, user):
    bridge.put_ok(user, "f", b"in R2", "target=r2")
    for _ in range(2):
        assert read(bridge, user, "f", "auto") == b"in R2"
        state = state_of(bridge, user)
        assert state["state"] in ("stopped", "sleeping"), state
        assert bridge.list(user).status == 200
        r = bridge.get(user, "f", "source=container&maxWakeTime=0")
        mw.check_error(r, "sandbox_hibernating")
        assert bridge.call("GET", "/api/super/users/%s/health" % user).status in (200, 503)
    assert bridge.cloud.calls(user) == 0


def test_awake_for_awake_ttl_only(make, cloud, user):
    cloud.tell("forget")
    gw = make(dict(QUICK, **cloud.settings("bridge"), **{"sandbox.bridge.awake_ttl": 1}))
    gw.put_ok(user, "f", b"x", timeout=120)
    before = cloud.calls(user)
    state = state_of(gw, user)
    assert state["state"] in ("stopped", "sleeping"), state
    assert cloud.calls(user) == before


def test_an_awake_user_is_one_call(gw, user):
    gw.put_ok(user, "f", b"x", timeout=120)
    for query in ("f", "f"):
        before = gw.cloud.calls(user)
        assert read(gw, user, query, "container") == b"x"
        assert gw.cloud.calls(user) == before + 1


# ---- what the platform refuses ----

def test_capacity(bridge, user):
    bridge.put_ok(user, "f", b"x", "target=r2")
    bridge.cloud.tell("capacity", max=0)
    mw.check_error(bridge.get(user, "f", "source=container", timeout=120), "sandbox_capacity")
    assert read(bridge, user, "f", "auto") == b"x"
    bridge.cloud.tell("capacity", max=None)


def test_pool_error(bridge, user):
    bridge.put_ok(user, "f", b"x", "target=r2")
    bridge.cloud.tell("pool", broken=True)
    before = bridge.cloud.calls(user)
    mw.check_error(bridge.get(user, "f", "source=container", timeout=120), "sandbox_unreachable")
    assert bridge.cloud.calls(user) == before + 3, "a start is tried again"
    bridge.cloud.tell("pool", broken=False)


def test_wrong_token(make, cloud, user):
    cloud.tell("forget")
    gw = make(dict(QUICK, **cloud.settings("bridge")))
    gw.write("token", "wrong\n", 0o600)
    gw.configure({"sandbox.bridge.token_file": gw.path("token")})
    gw.put_ok(user, "f", b"x", "target=r2")
    r = gw.get(user, "f", "source=container", timeout=120)
    mw.check_error(r, "sandbox_unavailable")
    assert "token_file" in json.loads(r.body)["error"], r
    assert "wrong" not in gw.log() and "wrong" not in r.body.decode()


def test_slow_answers_time_out(make, cloud, user):
    cloud.tell("forget")
    gw = make(dict(QUICK, **cloud.settings("container"),
                   **{"sandbox.timeout": 2000, "retry.attempts": 1}))
    gw.put_ok(user, "f", b"x", timeout=120)
    cloud.tell("delay", ms=8000)
    mw.check_error(gw.get(user, "f", "source=container&maxWakeTime=0", timeout=120),
                   "sandbox_timeout")


def test_a_status_does_not_wait_for_much_output(gw, user):
    """The status of a job that is over has its piece at once; copying all of it to R2, in
    calls that take a second and more, is the drain's."""
    gw.without_drain()
    mb = 1 << 20
    obj = mw.check_json(gw.exec(user, "head -c %d /dev/zero | tr '\\0' x" % (8 * mb)))
    before = gw.cloud.calls(user)
    gw.cloud.tell("delay", ms=1500, times=40)
    r = gw.process(user, obj["processId"], "stdoutOffset=%d" % (8 * mb - 3), timeout=120)
    assert mw.check_json(r)["stdout"] == "xxx"
    assert gw.cloud.calls(user) - before < 6, "far from all nine pieces"
    assert "left to the drain" in gw.log()
    gw.cloud.tell("forget")
    kept = gw.path("store", "users", user, ".moltworker", "jobs", obj["processId"] + ".out")
    assert not os.path.exists(kept) and gw.drain() == 0
    assert os.path.getsize(kept) == 8 * mb
