# SPDX-License-Identifier: BSD-2-Clause
"""POST …/files/batch: whole-request validation, order, results, and the file named batch."""
import base64
import json

import pytest

import mw

MEMBERS = {"userId": str, "completed": int, "succeeded": int, "failed": int, "results": list,
           "parallel": bool, "durationMs": int, "timestamp": str}
RESULT = {"op": str, "path": str, "success": bool, "status": int}
OPTIONAL = {"source": str, "content": str, "encoding": str, "size": int, "isBinary": bool,
            "exists": bool, "existed": bool, "bytesWritten": int, "r2Sync": dict, "error": str,
            "code": str, "errorType": str, "skipped": bool, "message": str}
SYNCED = {"success": True, "queued": False, "error": None}


def read(path, **more):
    return dict({"op": "read", "path": path}, **more)


def write(path, content, **more):
    return dict({"op": "write", "path": path, "content": content}, **more)


def exists(path, **more):
    return dict({"op": "exists", "path": path}, **more)


def delete(path):
    return {"op": "delete", "path": path}


@pytest.mark.parametrize("parallel", [False, True])
def test_each_kind(gw, user, parallel):
    obj = gw.batch_ok(user, [
        write("a", "hällo\n"), read("/a"), exists("a"), exists("none"), read("none"),
        write("bin", base64.b64encode(b"\0\xff\x10").decode(), encoding="base64"),
        read("bin", source="container"), delete("a"), exists("//a"), delete("a"),
    ], parallel=parallel)
    mw.check_members(obj, MEMBERS)
    for r in obj["results"]:
        mw.check_members(r, RESULT, OPTIONAL)
    assert (obj["completed"], obj["succeeded"], obj["failed"]) == (10, 8, 2)
    assert obj["parallel"] is parallel and mw.TIME.match(obj["timestamp"])
    w, r, e, e0, none, wb, rb, d, e1, d1 = obj["results"]
    assert w["bytesWritten"] == 7 and w["r2Sync"] == SYNCED
    assert (r["content"], r["encoding"], r["size"], r["isBinary"], r["source"]) == (
        "hällo\n", "utf-8", 7, False, "r2")
    assert e["exists"] is True and e["size"] == 7 and e["source"] == "r2"
    assert e0 == {"op": "exists", "path": "none", "success": True, "status": 200, "exists": False}
    assert (none["status"], none["code"], none["errorType"]) == (
        404, "file_not_found", "client_error") and "none" in none["error"]
    assert wb["bytesWritten"] == 3
    assert (rb["content"], rb["encoding"], rb["size"], rb["isBinary"], rb["source"]) == (
        "AP8Q", "base64", 3, True, "container")
    assert d["existed"] is True and d["r2Sync"] == SYNCED
    assert e1["exists"] is False and d1["status"] == 404
    assert gw.content(user, "bin", "source=r2") == b"\0\xff\x10"
    assert gw.content(user, "a") is None


def test_answer(gw, user):
    r = gw.batch(user, [exists("x"), write("x", "y")])
    mw.check_json(r)
    assert int(r.get("X-Attempts")) >= 2, r
    if gw.kind == "direct":
        assert int(r.get("Content-Length")) == len(r.body)


def test_default_is_the_order_of_the_request(gw, user):
    ops = []
    for i in range(8):
        ops += [write("f", "v%d" % i), read("f")]
    got = [r["content"] for r in gw.batch_ok(user, ops)["results"] if r["op"] == "read"]
    assert got == ["v%d" % i for i in range(8)]


def test_one_path_keeps_its_order_in_parallel(gw, user):
    ops = []
    for i in range(6):
        for path in "abcd":
            ops += [write(path, "%s%d" % (path, i)), read(path)]
    results = gw.batch_ok(user, ops, parallel=True)["results"]
    assert [r["content"] for r in results if r["op"] == "read"] == [
        "%s%d" % (path, i) for i in range(6) for path in "abcd"]


def test_fifty_and_no_more(gw, user):
    assert gw.batch_ok(user, [exists("a")] * 50)["succeeded"] == 50
    mw.check_error(gw.batch(user, [exists("a")] * 51), "too_many_operations", userId=user)


def test_stop_on_error(gw, user):
    obj = gw.batch_ok(user, [write("a", "1"), read("none"), write("b", "2"), read("a")],
                      stopOnError=True)
    assert (obj["completed"], obj["succeeded"], obj["failed"]) == (2, 1, 3)
    for r in obj["results"][2:]:
        assert r["skipped"] is True and r["success"] is False and r["status"] == 424
        assert "operations[1]" in r["error"] and "code" not in r
    assert gw.content(user, "b") is None
    obj = gw.batch_ok(user, [read("none"), read("a")])
    assert (obj["completed"], obj["succeeded"]) == (2, 1), "without it all of them run"


@pytest.mark.parametrize("name", ["n%2F", "ö", "a b+c", "q\"uo\\te'", "\u2028", "$(x)`y`"])
def test_names(gw, user, name):
    obj = gw.batch_ok(user, [write(name, "x"), read("/./" + name), delete(name)])
    assert obj["succeeded"] == 3, obj
    assert gw.content(user, name) is None


# The body, the code, and what the text and details say: (index, field) or None.
BAD = [
    ("nothing", b"", "invalid_json", None),
    ("not JSON", b"hello", "invalid_json", None),
    ("cut", b'{"operations":[{"op":"read"', "invalid_json", None),
    ("not UTF-8", b'{"operations":[{"op":"read","path":"\xff"}]}', "invalid_json", None),
    ("array", b"[]", "invalid_argument", None),
    ("no operations", b"{}", "invalid_argument", None),
    ("no rows", b'{"operations":[]}', "invalid_argument", None),
    ("no array", b'{"operations":"all"}', "invalid_argument", None),
    ("parallel", b'{"operations":[{"op":"read","path":"a"}],"parallel":"yes"}',
     "invalid_argument", None),
    ("stopOnError", b'{"operations":[{"op":"read","path":"a"}],"stopOnError":1}',
     "invalid_argument", None),
]
ROWS = [
    ("no object", 5, "invalid_argument", None),
    ("no op", {"path": "a"}, "invalid_argument", "op"),
    ("bad op", {"op": "list", "path": "a"}, "invalid_argument", "op"),
    ("op null", {"op": None, "path": "a"}, "invalid_argument", "op"),
    ("no path", {"op": "read"}, "invalid_argument", "path"),
    ("path no string", {"op": "read", "path": 1}, "invalid_argument", "path"),
    ("root", {"op": "read", "path": "/"}, "invalid_path", "path"),
    ("dots", {"op": "delete", "path": "a/../../b"}, "invalid_path", "path"),
    ("NUL", {"op": "read", "path": "a\0b"}, "invalid_path", "path"),
    ("ours", {"op": "write", "path": ".moltworker/x", "content": ""}, "invalid_path", "path"),
    ("not NFC", {"op": "write", "path": "e\u0301", "content": ""}, "invalid_path", "path"),
    ("no content", {"op": "write", "path": "a"}, "invalid_argument", "content"),
    ("content no string", {"op": "write", "path": "a", "content": 1}, "invalid_argument", "content"),
    ("encoding", {"op": "write", "path": "a", "content": "", "encoding": "latin1"},
     "invalid_argument", "encoding"),
    ("base64", {"op": "write", "path": "a", "content": "AP8", "encoding": "base64"},
     "invalid_argument", "content"),
    ("source", {"op": "read", "path": "a", "source": "sandbox"}, "invalid_argument", "source"),
]


@mw.rows("body,code", [b[1:3] for b in BAD])
def test_bad_body(gw, user, body, code):
    obj = mw.check_error(gw.batch(user, body), code, userId=user, attempts=0)
    assert "details" not in obj


@mw.rows("row,code,field", [r[1:] for r in ROWS])
def test_bad_row(gw, user, row, code, field):
    """Named, and nothing was done: not even what stands before it."""
    for parallel in (False, True):
        obj = mw.check_error(gw.batch(user, [write("first", "x"), write("second", "y"), row],
                                      parallel=parallel), code, userId=user, attempts=0)
        assert obj["error"].startswith("operations[2]" + ("." + field if field else "")), obj
        assert obj["details"] == dict({"index": 2}, **({"field": field} if field else {}))
    assert gw.content(user, "first", "source=r2") is None
    assert gw.content(user, "second", "source=r2") is None


@pytest.mark.parametrize("value", ["-1", "x", "1.5", ""])
def test_bad_max_wake(gw, user, value):
    mw.check_error(gw.batch(user, [read("a")], "maxWakeTime=" + value), "invalid_argument")


def test_a_file_named_batch(gw, user):
    """Every method but POST means the file."""
    gw.put_ok(user, "batch", b"a file")
    assert gw.content(user, "batch") == b"a file"
    assert gw.batch_ok(user, [read("batch")])["results"][0]["content"] == "a file"
    r = gw.head(user, "batch")
    assert r.status == 200 and r.get("Content-Length") == "6", r
    obj = mw.check_json(gw.get(user, "batch"))
    assert obj["path"] == "/batch" and obj["content"] == "a file"
    r = gw.call("PATCH", gw.target(user, "batch"), body=b"")
    mw.check_error(r, "method_not_allowed")
    assert sorted(r.get("Allow").split(", ")) == ["DELETE", "GET", "HEAD", "POST", "PUT"]
    mw.check_json(gw.delete(user, "batch"))
    assert gw.content(user, "batch") is None


def test_post_elsewhere(gw, user):
    for path in ("batches", "d/batch", "batch/x"):
        r = gw.call("POST", gw.target(user, path), body=b"{}")
        mw.check_error(r, "method_not_allowed")
        gw.put_ok(user, path, b"x")
    assert gw.content(user, "d/batch") == b"x"


def test_secret_first(gw, user):
    r = gw.request("POST", gw.target(user, "batch"), [
        ("Content-Type", "application/json"), ("X-Admin-Secret", "wrong")], b"{",
        source=gw.new_address())
    mw.check_error(r, "forbidden")


def test_body_too_large(make):
    gw = make({"http.max_body": 1000})
    body = json.dumps({"operations": [write("a", "x" * 1000)]}).encode()
    mw.check_error(gw.batch("u", body), "body_too_large")
    assert gw.content("u", "a", "source=r2") is None


def test_settings(make):
    gw = make({"batch.max_operations": 2, "read.default_source": "container", "read.max_json": 10})
    gw.batch_ok("u", [write("a", "x" * 10), write("b", "y" * 11)])
    mw.check_error(gw.batch("u", [read("a")] * 3), "too_many_operations")
    a, b = gw.batch_ok("u", [read("a"), read("b")])["results"]
    assert a["source"] == "container" and a["content"] == "x" * 10
    assert b["success"] is True and b["size"] == 11 and "content" not in b and "raw=1" in b["message"]


def test_large(direct):
    """Contents of many megabytes both ways, bit for bit."""
    user = direct.new_user()
    bodies = [bytes((i * k) % 256 for k in range(1 << 16)) * 40 for i in range(5)]
    direct.batch_ok(user, [write("f%d" % i, base64.b64encode(b).decode(), encoding="base64")
                           for i, b in enumerate(bodies)], parallel=True)
    got = direct.batch_ok(user, [read("f%d" % i) for i in range(5)], parallel=True)["results"]
    for r, body in zip(got, bodies):
        data = base64.b64decode(r["content"]) if r["isBinary"] else r["content"].encode()
        assert data == body and r["size"] == len(body)
    direct.end_sandboxes()


def test_no_wake_by_max_wake_0(make):
    gw = make()
    obj = gw.batch_ok("u", [write("a", "x"), exists("a", source="r2")], "maxWakeTime=0")
    w, e = obj["results"]
    assert (w["status"], w["code"], w["errorType"]) == (
        503, "sandbox_hibernating", "container_error"), w
    assert e["exists"] is False
    assert "[WAKE]" not in gw.log()
