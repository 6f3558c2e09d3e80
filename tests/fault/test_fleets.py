# SPDX-License-Identifier: BSD-2-Clause
"""Fleets in trouble: broken sandboxes, clients that leave, time that runs out, processes
that end.  Commands wait for a file "go", so that the test knows what runs."""
import json
import os
import signal
import socket
import time

import pytest

import mw
import wakes

SERVERS = ["lighttpd", "apache", "nginx"]
HELD = "touch begun; while [ ! -e go ]; do sleep 0.02; done; touch ended"


def users_of(n):
    return ["u%02d" % i for i in range(n)]


def body_of(users, **members):
    return json.dumps(dict(members, userIds=users)).encode()


def post(gw, operation, users, http=120.0, **members):
    return gw.call("POST", "/api/super/bulk/" + operation, [("Content-Type", "application/json")],
                   body_of(users, **members), timeout=http)


def lines(r):
    """The users' lines in the order they came, and the summary."""
    assert r.status == 200 and r.complete, r
    got = [json.loads(line) for line in r.body.decode().splitlines()]
    assert got[-1]["summary"] is True, got[-1]
    assert got[-1]["total"] == len(got) - 1, got[-1]
    return got[:-1], got[-1]


def counts(summary):
    return summary["succeeded"], summary["failed"], summary["skipped"]


def connect(gw, operation, users, **members):
    """A request whose answer is read by hand."""
    body = body_of(users, **members)
    s = socket.create_connection(("127.0.0.1", gw.port), 60)
    s.sendall(mw.head_bytes("POST", "/api/super/bulk/" + operation,
                            [("X-Admin-Secret", gw.secret)], len(body), "localhost") + body)
    return s


def rest_of(s, text=b""):
    try:
        while True:
            got = s.recv(65536)
            if not got:
                return text
            text += got
    except ConnectionResetError:
        return text


def marked(gw, users, name):
    return [u for u in users if os.path.exists(gw.sandbox(u, name))]


def go(gw, users):
    for u in users:
        with open(gw.sandbox(u, "go"), "w"):
            pass


def test_one_broken_sandbox(make):
    """It has its line, and the others theirs."""
    gw = make()
    users = users_of(5)
    if gw.local:
        with open(gw.sandbox(users[2]), "w") as f:
            f.write("a file in the place of the directory")
    else:
        gw.engine.spoil(gw.prefix + users[2])
    for operation, members in (("wake", {}), ("exec", {"command": "true"}), ("sync", {}),
                               ("restart", {})):
        got, summary = lines(post(gw, operation, users, concurrency=2, maxWakeTime=5000, **members))
        bad = [line for line in got if not line["success"]]
        assert [line["userId"] for line in bad] == [users[2]], (operation, bad)
        assert bad[0]["code"] in mw.ERRORS and bad[0]["error"], bad
        assert counts(summary) == (4, 1, 0), summary
    gw.end_sandboxes()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_than_concurrency(make, concurrency):
    """Users' commands are let go one by one: each makes room for one more."""
    gw = make.server("lighttpd", procs=2)
    users = users_of(9)
    lines(post(gw, "wake", users))
    s = connect(gw, "exec", users, command=HELD, concurrency=concurrency, requireGateway=False)
    for n in range(len(users)):
        most = min(n + concurrency, len(users))
        wakes.until(lambda: len(marked(gw, users, "begun")) == most)
        go(gw, [u for u in marked(gw, users, "begun") if u not in marked(gw, users, "ended")][:1])
        wakes.until(lambda: len(marked(gw, users, "ended")) == n + 1)
    assert b'"succeeded":9,"failed":0,"skipped":0' in rest_of(s)
    s.close()
    moments = sorted(moment for u in users for moment in (
        (os.stat(gw.sandbox(u, "begun")).st_mtime_ns, 1),
        (os.stat(gw.sandbox(u, "ended")).st_mtime_ns, -1)))
    at_once, most = 0, 0
    for _, step in moments:
        at_once += step
        most = max(most, at_once)
    assert most == concurrency, moments


@pytest.mark.parametrize("server", SERVERS)
def test_client_gone(make, server):
    """Nothing new begins; what is begun ends."""
    gw = make.server(server, procs=2)
    users = users_of(40)
    s = connect(gw, "exec", users, command=HELD, concurrency=2, requireGateway=False)
    wakes.until(lambda: len(marked(gw, users, "begun")) == 2)
    s.close()
    ended = "code=client_gone"
    if server == "apache":
        # It learns that its client has left when it writes: at the second line or so.
        deadline = time.monotonic() + 60
        while ended not in gw.log():
            assert time.monotonic() < deadline
            go(gw, marked(gw, users, "begun"))
            time.sleep(0.02)
        assert len(marked(gw, users, "begun")) <= 8, marked(gw, users, "begun")
    else:
        wakes.until(lambda: ended in gw.log())
        assert len(marked(gw, users, "begun")) == 2
        go(gw, marked(gw, users, "begun"))
    begun = marked(gw, users, "begun")
    wakes.until(lambda: marked(gw, users, "ended") == begun)
    lines(post(gw, "exec", users[:1], command="true"))
    assert marked(gw, users, "begun") == begun


def test_time_runs_out(make, driver):
    """bulk.timeout is the whole request's: who is in hand, and who was not begun, says so."""
    gw = make({"bulk.timeout": wakes.ample(driver, 3000)})
    users = users_of(4)
    gw.put_ok(users[0], "quick", b"", "target=r2")
    got, summary = lines(post(gw, "exec", users, command="[ -e quick ] || sleep 60",
                              concurrency=1))
    assert [line["userId"] for line in got] == users, got
    assert [line.get("code") for line in got] == [None] + ["deadline_exceeded"] * 3, got
    assert "processId" in got[1]["details"] and "notRun" not in got[1], got[1]
    assert [line.get("notRun") for line in got[2:]] == [True, True], got
    assert counts(summary) == (1, 1, 2), summary
    gw.end_sandboxes()


@pytest.mark.parametrize("operation", ["wake", "exec"])
def test_term(make, operation):
    """Whoever is in hand and whoever is left is told to come again; the answer is whole."""
    settings = wakes.settings(wakes.COUNT + "exec sleep 100000")
    gw = make.server("lighttpd", settings if operation == "wake" else {}, procs=2)
    users = users_of(6)
    s = connect(gw, operation, users, concurrency=2,
                **({"command": HELD} if operation == "exec" else {}))
    name = "begun" if operation == "exec" else "starts"
    wakes.until(lambda: len(marked(gw, users, name)) == 2)
    told = time.monotonic()
    wakes.kill(gw.responders("bulk.fcgi"), signal.SIGTERM)
    text = rest_of(s).decode()
    took = time.monotonic() - told
    s.close()
    got = [json.loads(line) for line in text.split("\r\n") for line in line.splitlines()
           if line.startswith("{")]
    assert counts(got[-1]) == (0, 2, 4), got
    for line in got[:-1]:
        assert (line["code"], line["retryable"], line["retryAfter"]) == (
            "sandbox_unavailable", "processId" not in line.get("details", {}), 1), line
    assert len(marked(gw, users, name)) == 2
    assert took < 20, took


@pytest.mark.parametrize("server", SERVERS)
def test_killed_in_mid_answer(make, server):
    """An answer that was cut has no summary, however whole it looks."""
    gw = make.server(server, procs=2)
    users = users_of(3)
    s = connect(gw, "exec", users, command=HELD, concurrency=3, requireGateway=False)
    wakes.until(lambda: len(marked(gw, users, "begun")) == 3)
    go(gw, users[:1])
    text = b""
    while b'"userId":"u00"' not in text:
        text += s.recv(65536)
    wakes.kill(gw.responders("bulk.fcgi"))
    text = rest_of(s, text)
    s.close()
    assert b'"summary"' not in text and text.count(b'"userId"') == 1, text
    go(gw, users)
