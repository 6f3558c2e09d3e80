# SPDX-License-Identifier: BSD-2-Clause
"""Pools: as large as the requests at once need, then small again; what is answered at
the bound; and whom a client that leaves sets free."""
import os
import signal
import socket
import threading
import time

import pytest

import mw
import wakes

SERVERS = ["lighttpd", "nginx"]
PATIENT = {"timeout": 120.0}
COLD = wakes.COUNT + "sleep 3; touch up; exec sleep 100000"
U = "/api/super/users/u"


def pool_socket(gw, name):
    for top, _, files in os.walk(gw.dir):
        if name + ".sock" in files:
            return os.path.join(top, name + ".sock")
    raise AssertionError("no socket of " + name)


def begun(path):
    """A request that has begun and does not go on: whoever takes it is busy."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(bytes([1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    return s


@pytest.mark.parametrize("server", SERVERS)
def test_a_burst_and_the_rest(make, server):
    """200 at once on an idle pool: one more is answered, so all have a process; then
    the pool is small again."""
    gw = make.server(server, {"pool.idle": 500}, procs=None)
    wakes.until(lambda: len(gw.responders("files.fcgi")) == 2)
    path = pool_socket(gw, "files")
    held = [begun(path) for _ in range(200)]
    r = gw.call("GET", U + "/files/x?source=r2")
    assert r.status == 404, r
    assert len(gw.responders("files.fcgi")) > 200
    for s in held:
        s.close()
    wakes.until(lambda: len(gw.responders("files.fcgi")) == 2)
    assert gw.call("GET", U + "/files/x?source=r2").status == 404
    assert "ended" not in open(gw.path("stderr.log")).read()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("n", [10, 60])
def test_all_wait_for_one_cold_user(make, server, n):
    """Commands and reads of a user whose gateway takes seconds: none is refused."""
    gw = make.server(server, wakes.settings(COLD, exec_max_jobs=200), procs=None)
    calls = [lambda: gw.exec("u", "echo hi", **PATIENT) for _ in range(n)]
    calls += [lambda: gw.call("GET", U + "/files/no?source=container", **PATIENT)
              for _ in range(n)]
    results = wakes.side_by_side(calls)
    assert [r.status for r in results] == [200] * n + [404] * n
    assert len(wakes.starts(gw, "u")) == 1


@pytest.mark.parametrize("server", SERVERS)
def test_the_death_of_an_idle_process_is_not_seen(make, server):
    """A connection that comes in the very moment is another's."""
    gw = make.server(server, {"pool.files": "1"}, procs=None)
    for _ in range(30):
        for pid in gw.responders("files.fcgi"):
            os.kill(pid, signal.SIGKILL)
        r = gw.call("GET", U + "/files/x?source=r2")
        assert r.status == 404, r


def waiting(gw, n, seconds=60):
    """n long polls for a command that goes on, each in its process."""
    started = mw.check_json(gw.exec("u", "sleep %d" % seconds, stream=True, timeout=100000))
    target = U + "/exec/%s/status?wait=20000" % started["processId"]
    threads = [threading.Thread(target=gw.call, args=("GET", target), daemon=True)
               for _ in range(n)]
    for t in threads:
        t.start()
    return started["processId"], threads


@pytest.mark.parametrize("server", SERVERS)
def test_the_bound(make, server):
    """Who waits leaves one process to who cannot; more get a 503 that names the
    setting; which may be raised meanwhile."""
    gw = make.server(server, {"pool.exec": "1-3"}, procs=None)
    job, threads = waiting(gw, 2)
    wakes.until(lambda: len(gw.responders("exec.fcgi")) == 3)
    began = time.monotonic()
    r = gw.exec("u", "echo hi", **PATIENT)
    obj = mw.check_error(r, "sandbox_unavailable")
    assert "pool.exec" in obj["error"] and r.get("Retry-After") == "1", obj
    assert 1.5 < time.monotonic() - began < 10
    assert mw.check_json(gw.call("GET", U + "/exec/%s/status" % job))["running"]
    gw.configure({"pool.exec": "1-6"})

    def taken():
        return gw.exec("u", "echo hi", **PATIENT).status == 200
    wakes.until(taken)
    mw.check_json(gw.call("DELETE", U + "/exec/" + job))
    for t in threads:
        t.join(30)


def test_a_place_that_becomes_free_is_waited_for(make):
    gw = make.server("nginx", {"pool.exec": "1-2"}, procs=None)
    command = "until test -f go; do sleep 0.05; done; echo went"
    first = threading.Thread(target=gw.exec, args=("u", command), kwargs=PATIENT)
    first.start()
    wakes.until(lambda: len(gw.responders("exec.fcgi")) == 2)
    go = threading.Timer(0.5, lambda: open(gw.sandbox("u", "go"), "w").close())
    go.start()
    r = gw.exec("u", "echo hi", **PATIENT)
    assert mw.check_json(r)["stdout"] == "hi\n"
    first.join(30)
    go.join()


def leave(gw, method, target, body=b""):
    """A client that asks, and hangs up when its request is being worked at."""
    s = socket.create_connection(("127.0.0.1", gw.port))
    s.sendall(("%s %s HTTP/1.1\r\nHost: localhost\r\nX-Admin-Secret: %s\r\n"
               "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
                   method, target, gw.secret, len(body))).encode() + body)
    return s


# lighttpd as we set it up tells only who writes.
@pytest.mark.parametrize("server,what", [
    ("nginx", "exec"), ("nginx", "poll"), ("nginx", "stream"), ("nginx", "wake"),
    ("lighttpd", "stream")])
def test_a_client_that_leaves_frees_its_process(make, server, what):
    """With one process, the next request waits for what the last client left behind."""
    never = wakes.settings(wakes.COUNT + "exec sleep 100000")
    name = "state" if what == "wake" else "exec"
    gw = make.server(server, dict(never if what == "wake" else {}, **{"pool." + name: "1"}),
                     procs=None)
    path, body = U + "/wake", b""
    if what != "wake":
        job = mw.check_json(gw.exec("u", "echo out; sleep 100", stream=True, limit=200000))["processId"]
        path = U + "/exec/%s/%s" % (job, {"poll": "status?wait=25000&stdoutOffset=4"}.get(what, "stream"))
    if what == "exec":
        path, body = U + "/exec", b'{"command":"touch at; sleep 30"}'
    s = leave(gw, "POST" if what in ("exec", "wake") else "GET", path, body)
    if what == "exec":
        wakes.until(lambda: os.path.exists(gw.sandbox("u", "at")))
    elif what == "wake":
        wakes.until(lambda: wakes.starts(gw, "u"))
    elif what == "stream":
        assert s.recv(1) == b"H"
    else:
        wakes.until(lambda: busy(gw, name))
    s.close()
    left = time.monotonic()
    r = gw.call("GET", U + ("/state" if what == "wake" else "/exec"), timeout=60.0)
    took = time.monotonic() - left
    mw.check_json(r)
    assert took < 4, "free after %.1f s" % took


def busy(gw, name):
    """Has the one process taken the request that is there?"""
    with open("/proc/net/unix") as f:
        return sum(line.rstrip().endswith("/%s.sock" % name) for line in f) > 1
