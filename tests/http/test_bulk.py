# SPDX-License-Identifier: BSD-2-Clause
"""One operation for many users (doc/api.md, Fleet)."""
import json
import os
import socket
import time

import pytest

import mw

EVERY_SERVER = True     # see mwfixtures.py

OPERATIONS = ("wake", "restart", "exec", "sync", "config-patch")
OWN = {"exec": {"command": "true"}, "config-patch": {"patch": {}}}
LINE = {"userId": str, "success": bool, "status": int, "attempts": int, "durationMs": int,
        "timestamp": str}
FAILURE = {"error": str, "code": str, "errorType": str, "retryable": bool}
FAILURE_TOO = {"retryAfter": int, "details": dict, "notRun": bool}
SUMMARY = {"summary": bool, "operation": str, "total": int, "succeeded": int, "failed": int,
           "skipped": int, "durationMs": int, "requestId": str, "timestamp": str}
CHANGE = {"previousState": str, "currentState": str, "action": str, "waitedMs": int}
RESULT = {"processId": str, "exitCode": int, "stdout": str, "stdoutEncoding": str, "stderr": str,
          "stderrEncoding": str, "stdoutTruncated": bool, "stderrTruncated": bool,
          "duration": int}
STARTED = {"processId": str, "stream": bool, "pollEndpoint": str, "streamEndpoint": str}
SYNC = {"syncId": str, "direction": str, "dryRun": bool, "uploaded": int, "downloaded": int,
        "deleted": int, "skipped": int, "waiting": int, "failed": list, "failedCount": int,
        "newer": list, "newerCount": int, "skippedNames": list, "skippedNamesCount": int,
        "bytes": int, "verified": bool}
CONFIG = {"path": str, "etag": str, "source": str, "lastModified": str, "saved": bool, "applied": bool,
          "r2Sync": dict}


def target(operation):
    return "/api/super/bulk/" + operation


def post(gw, operation, users, timeout=120.0, **members):
    """users: the member userIds, or the body itself; `limit` is the member timeout."""
    if "limit" in members:
        members["timeout"] = members.pop("limit")
    body = users if isinstance(users, bytes) else json.dumps(
        dict(members, userIds=users)).encode()
    return gw.call("POST", target(operation), [("Content-Type", "application/json")], body,
                   timeout=timeout)


def lines_of(r):
    """{user: line} of a whole answer, checked as far as every answer is; and its summary."""
    assert r.status == 200 and r.complete, r
    mw.check_common(r)
    assert r.get("Content-Type").split(";")[0] == "application/x-ndjson", r
    assert r.body.endswith(b"\n"), r
    lines = [json.loads(line, object_pairs_hook=mw.no_duplicates)
             for line in r.body.decode().splitlines()]
    summary = lines.pop()
    mw.check_members(summary, SUMMARY)
    assert summary["requestId"] == r.get("X-Request-Id"), summary
    by = {line["userId"]: line for line in lines}
    assert len(by) == len(lines) == summary["total"], lines
    assert not any("summary" in line for line in lines), lines
    for line in lines:
        if line["success"]:
            assert line["status"] in (200, 202) and "code" not in line, line
        else:
            status, kind, retryable = mw.ERRORS[line["code"]]
            assert (line["status"], line["errorType"], line["retryable"]) == (
                status, kind, retryable), line
            assert line["error"].strip() and ("retryAfter" in line) >= (status in (429, 503)), line
    good = sum(line["success"] for line in lines)
    skipped = sum(line.get("notRun", False) for line in lines)
    assert (summary["succeeded"], summary["skipped"], summary["failed"]) == (
        good, skipped, len(lines) - good - skipped), summary
    return by, summary


def members(line, more, optional=()):
    """Exactly the documented members of a user's line."""
    if line["success"]:
        mw.check_members(line, dict(LINE, **more), optional)
    else:
        mw.check_members(line, dict(LINE, **FAILURE), dict(FAILURE_TOO, **more))


def three(user):
    return [user, user + "-b", user + ".c"]


def states(gw, users):
    return [mw.check_json(gw.call("GET", "/api/super/users/%s/state" % u))["state"] for u in users]


# ---- each operation ----

def test_wake_and_restart(gw, user):
    users = three(user)
    by, summary = lines_of(post(gw, "wake", users, concurrency=2))
    assert summary["operation"] == "wake" and summary["succeeded"] == 3, summary
    for u in users:
        members(by[u], CHANGE)
        assert (by[u]["previousState"], by[u]["currentState"], by[u]["action"]) == (
            gw.absent, "active", "started"), by[u]
    assert states(gw, users) == ["active"] * 3
    by, _ = lines_of(post(gw, "restart", users, sync=False))
    for u in users:
        members(by[u], CHANGE)
        assert (by[u]["previousState"], by[u]["action"]) == ("active", "restarted"), by[u]


def test_wake_without_waiting(gw, user):
    by, _ = lines_of(post(gw, "wake", [user], wait=False))
    assert (by[user]["status"], by[user]["action"]) == (202, "started"), by
    deadline = time.monotonic() + 30
    while states(gw, [user]) != ["active"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_exec(gw, user):
    users = three(user)
    by, summary = lines_of(post(gw, "exec", users, command="cat; echo $X >&2; exit 3",
                                env={"X": "ä"}, stdin="in", idempotencyKey="k"))
    assert summary["succeeded"] == 3, "a command that ran has succeeded: " + repr(summary)
    for u in users:
        members(by[u], RESULT)
        assert (by[u]["exitCode"], by[u]["stdout"], by[u]["stderr"]) == (3, "in", "ä\n"), by[u]
    again, _ = lines_of(post(gw, "exec", users, command="cat; echo $X >&2; exit 3",
                             env={"X": "ä"}, stdin="in", idempotencyKey="k"))
    assert {u: v["processId"] for u, v in by.items()} == {
        u: v["processId"] for u, v in again.items()}, "the key is each user's"
    other, _ = lines_of(post(gw, "exec", users[:1], command="true", idempotencyKey="k"))
    assert other[user]["code"] == "conflict", other
    r = gw.exec(user, "echo own", idempotencyKey="k")
    assert mw.check_json(r)["stdout"] == "own\n", "not the key of the user's own commands"


def test_exec_that_is_killed_or_streams(gw, user):
    by, summary = lines_of(post(gw, "exec", [user], command="echo begun; exec sleep 100000",
                                limit=1000))
    members(by[user], dict(RESULT, partial=bool))
    assert by[user]["code"] == "command_timeout" and by[user]["stdout"] == "begun\n", by
    assert (by[user]["exitCode"], by[user]["partial"], summary["failed"]) == (-1, True, 1), by
    by, _ = lines_of(post(gw, "exec", [user], command="echo x", stream=True))
    members(by[user], STARTED)
    obj = mw.check_json(gw.call("GET", by[user]["pollEndpoint"] + "?wait=20000", timeout=60))
    assert obj["stdout"] == "x\n", obj


def test_sync(gw, user):
    users = three(user)
    for u in users:
        gw.put_ok(u, "f", u.encode(), "target=container")
    by, _ = lines_of(post(gw, "sync", users, dryRun=True))
    assert all(v["uploaded"] == 1 and v["dryRun"] for v in by.values()), by
    assert gw.content(user, "f", "source=r2") is None
    by, _ = lines_of(post(gw, "sync", users))
    for u in users:
        members(by[u], SYNC)
        assert (by[u]["uploaded"], by[u]["direction"], by[u]["verified"]) == (1, "backup", True), by
        assert gw.content(u, "f", "source=r2") == u.encode()
    os.unlink(gw.sandbox(user, "f"))
    by, _ = lines_of(post(gw, "sync", [user], direction="restore"))
    assert (by[user]["downloaded"], by[user]["direction"]) == (1, "restore"), by


def test_config_patch(gw, user):
    users = three(user)
    url = "/api/super/users/%s/config"
    for i, u in enumerate(users[:2]):
        mw.check_json(gw.call("PUT", url % u, [("Content-Type", "application/json")],
                              b'{"n":%d,"old":true,"deep":{"a":1}}' % i))
    by, summary = lines_of(post(gw, "config-patch", users, patch={
        "old": None, "deep": {"b": "é\"}{"}}))
    assert (summary["succeeded"], summary["failed"]) == (2, 1), summary
    assert by[users[2]]["code"] == "file_not_found", by[users[2]]
    for i, u in enumerate(users[:2]):
        members(by[u], CONFIG)
        obj = mw.check_json(gw.call("GET", url % u))
        assert obj["config"] == {"n": i, "deep": {"a": 1, "b": "é\"}{"}}, obj
        assert obj["etag"] == by[u]["etag"], by[u]


def test_all(make):
    """"all" is whoever has a prefix in R2 or a sandbox, and nobody when there is nobody."""
    gw = make()
    by, summary = lines_of(post(gw, "exec", "all", command="true"))
    assert by == {} and summary["total"] == 0, summary
    gw.put_ok("in-r2", "f", b"x", "target=r2")
    gw.put_ok("both", "f", b"x")
    gw.put_ok("in-sandbox", "f", b"x", "target=container")
    by, _ = lines_of(post(gw, "exec", "all", command="cat f"))
    # Cloudflare's APIs cannot be asked for a list.
    assert sorted(by) == ["both", "in-r2"] + ["in-sandbox"] * (not gw.comes_back_empty), by
    assert all(v["stdout"] == "x" for v in by.values()), by
    gw.end_sandboxes()


# ---- live ----

@pytest.fixture
def streaming(gw):
    if gw.kind == "direct":
        pytest.skip("no connection to read from")
    if gw.kind == "htaccess":
        pytest.skip("mod_fcgid collects 64 KiB, and .htaccess cannot tell it not to")
    return gw


def test_lines_are_live(streaming, user):
    """The first line is there while the slowest user's command still waits for it."""
    gw, slow = streaming, user + "-slow"
    lines_of(post(gw, "wake", [user, slow]))
    body = json.dumps({"userIds": [slow, user], "command":
                       "case $PWD in *-slow) while [ ! -e go ]; do sleep 0.05; done;; esac",
                       "timeout": 60000}).encode()
    with socket.create_connection(("127.0.0.1", gw.port), 60) as s:
        s.sendall(mw.head_bytes("POST", target("exec"), [("X-Admin-Secret", gw.secret)],
                                len(body), "localhost") + body)
        text = b""
        while b'"exitCode"' not in text:
            got = s.recv(65536)
            assert got, text
            text += got
        assert b'"userId":"%s"' % user.encode() in text and slow.encode() not in text, text
        with open(gw.sandbox(slow, "go"), "w"):
            pass
        while b'"summary":true' not in text:
            got = s.recv(65536)
            assert got, text
            text += got
    assert text.count(b'"exitCode":0') == 2, text


# ---- what is refused, with nothing done ----

BAD = [
    ("wake", b"", "invalid_json", None, None),
    ("wake", b"[]", "invalid_argument", "body", None),
    ("wake", b"{}", "invalid_argument", "userIds", None),
    ("wake", {"userIds": "u"}, "invalid_argument", "userIds", None),
    ("wake", {"userIds": "All"}, "invalid_argument", "userIds", None),
    ("wake", {"userIds": ""}, "invalid_argument", "userIds", None),
    ("wake", {"userIds": None}, "invalid_argument", "userIds", None),
    ("wake", {"userIds": {}}, "invalid_argument", "userIds", None),
    ("wake", {"userIds": []}, "invalid_argument", "userIds", None),
    ("wake", {"userIds": ["all"] * 2}, "invalid_argument", "userIds", 1),
    ("wake", {"userIds": ["a", 1]}, "invalid_argument", "userIds", 1),
    ("wake", {"userIds": ["a", ["b"]]}, "invalid_argument", "userIds", 1),
    ("wake", {"userIds": ["a", None]}, "invalid_argument", "userIds", 1),
    ("wake", {"userIds": ["a", "../b"]}, "invalid_user_id", "userIds", 1),
    ("wake", {"userIds": ["", "b"]}, "invalid_user_id", "userIds", 0),
    ("wake", {"userIds": ["a", "b", "a"]}, "invalid_argument", "userIds", 2),
    ("wake", {"userIds": ["u%d" % i for i in range(10001)]}, "too_many_operations", "userIds", None),
    ("wake", {"userIds": ["a"], "concurrency": 0}, "invalid_argument", "concurrency", None),
    ("wake", {"userIds": ["a"], "concurrency": 65}, "invalid_argument", "concurrency", None),
    ("wake", {"userIds": ["a"], "concurrency": "8"}, "invalid_argument", "concurrency", None),
    ("wake", {"userIds": ["a"], "maxWakeTime": -1}, "invalid_argument", "maxWakeTime", None),
    ("wake", {"userIds": ["a"], "wait": 1}, "invalid_argument", "wait", None),
    ("restart", {"userIds": ["a"], "sync": "no"}, "invalid_argument", "sync", None),
    ("exec", {"userIds": ["a"]}, "invalid_argument", "command", None),
    ("exec", {"userIds": ["a"], "command": ""}, "invalid_argument", "command", None),
    ("exec", {"userIds": ["a"], "command": "x", "timeout": "1"}, "invalid_argument", "timeout", None),
    ("sync", {"userIds": ["a"], "direction": "up"}, "invalid_argument", "direction", None),
    ("config-patch", {"userIds": ["a"]}, "invalid_argument", "patch", None),
    ("config-patch", {"userIds": ["a"], "patch": []}, "invalid_argument", "patch", None),
    ("config-patch", b'{"userIds":["a"],"patch":{"x":"' + b"y" * 1048576 + b'"}}',
     "body_too_large", "patch", None),
]


@pytest.mark.parametrize("operation,body,code,field,index", BAD,
                         ids=["%s-%d" % (b[0], i) for i, b in enumerate(BAD)])
def test_refused(direct, operation, body, code, field, index):
    """Hazard: userIds given as a string, or missing, meant all users."""
    mw.check_json(direct.call("GET", "/api/super/users"))    # the store is made by now
    before = os.listdir(direct.path("sandboxes")), os.listdir(direct.path("store"))
    r = post(direct, operation, body if isinstance(body, bytes) else json.dumps(body).encode())
    obj = mw.check_error(r, code)
    if field:
        assert field in obj["error"], obj
    if index is not None:
        assert obj["details"] == {"index": index, "field": field}, obj
        assert "userIds[%d]" % index in obj["error"], obj
    assert before == (os.listdir(direct.path("sandboxes")), os.listdir(direct.path("store")))


@pytest.mark.parametrize("operation,query", [
    ("sync", "dryRun=true"), ("sync", "x=1&delete=true"), ("sync", "direction=restore"),
    ("restart", "force=false"), ("wake", "maxWakeTime=0"), ("exec", "command=ls"),
    ("exec", "userIds=u"), ("config-patch", "concurrency")])
def test_members_in_the_query(direct, operation, query):
    """Whoever puts a member there means something else than what would be done."""
    user = direct.new_user()
    body = dict(OWN.get(operation, {}), userIds=[user])
    r = direct.call("POST", target(operation) + "?" + query, [("Content-Type", "application/json")],
                    json.dumps(body).encode())
    name = query.split("&")[-1].split("=")[0]
    obj = mw.check_error(r, "invalid_argument")
    assert name in obj["error"] and obj["details"] == {"field": name}, obj
    assert not os.path.exists(direct.sandbox(user))


def test_other_queries_are_ignored(direct):
    user = direct.new_user()
    r = direct.call("POST", target("wake") + "?dryRun=true&command=ls&x", [],
                    json.dumps({"userIds": [user]}).encode(), timeout=120)
    assert lines_of(r)[0][user]["success"]


def test_refused_behind_servers(gw):
    for operation in OPERATIONS:
        obj = mw.check_error(post(gw, operation, "everyone", **OWN.get(operation, {})),
                             "invalid_argument")
        assert "userIds" in obj["error"], obj


def test_methods_and_secret(gw):
    for operation in OPERATIONS:
        r = gw.call("GET", target(operation))
        mw.check_error(r, "method_not_allowed")
        assert r.get("Allow") == "POST", r
    r = gw.call("POST", target("wake"), body=b"", auth=False,
                source=gw.new_address())
    mw.check_error(r, "forbidden")
    mw.check_error(post(gw, "destroy", "all"), "not_found")
