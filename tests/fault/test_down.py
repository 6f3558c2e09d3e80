# SPDX-License-Identifier: BSD-2-Clause
"""R2 is down: never a false 404, never an older copy, nothing acknowledged is lost."""
import hashlib
import json
import os
import time

import pytest

import mw
from s3stub import QUICK

HOW = ["refused", "503", "dropped", "500"]


def break_it(stub, how):
    if how == "refused":
        stub.down()
    elif how == "dropped":
        stub.fail(times=10 ** 9, drop=True)
    else:
        stub.fail(times=10 ** 9, status=int(how))


@pytest.fixture(params=HOW)
def down(request, r2):
    """R2 is down in one of its ways; r2.stub.back() brings it back."""
    r2.put_ok("u", "f", b"before")
    r2.put_ok("u", "g", b"other")
    r2.stub.reset()
    break_it(r2.stub, request.param)
    return r2


def pending(gw):
    return mw.check_json(gw.call("GET", "/api/super/health"))["outbox"]["pending"]


def test_r2_read_is_503(down):
    for path in ("f", "none"):
        for query in ("source=r2", "source=r2&raw=1"):
            mw.check_error(down.get("u", path, query), "store_unavailable", userId="u")
    mw.check_error(down.list("u", "source=r2"), "store_unavailable")
    r = down.head("u", "none", "raw=1&source=r2")
    assert r.status == 503 and r.get("Retry-After"), r


def test_auto_falls_to_the_sandbox(down):
    obj = mw.check_json(down.get("u", "f"))
    assert obj["source"] == "container" and obj["content"] == "before"
    r = down.raw("u", "f")
    assert r.body == b"before" and r.get("X-Source") == "container"
    obj = mw.check_json(down.list("u", "source=container"))
    assert [f["name"] for f in obj["files"]] == ["f", "g"]


def test_auto_never_says_404(down):
    """Not in the sandbox, and R2 cannot be asked: that is not "no such file"."""
    r = down.get("u", "none")
    mw.check_error(r, "store_unavailable", userId="u")


def test_health_says_so(down):
    r = down.call("GET", "/api/super/health")
    assert r.status in (200, 503), r
    assert r.json()["store"]["ok"] is False
    mw.check_json(down.request("GET", "/healthz"))


def test_write_queues(down):
    for i, put in enumerate((lambda: down.put("u", "f", b"after"),
                             lambda: down.put_json("u", "f", {"content": "after"}))):
        obj = mw.check_json(put())
        sync = obj["r2Sync"]
        assert obj["success"] is True and sync["success"] is False and sync["queued"] is True
        assert isinstance(sync["error"], str) and sync["error"]
        assert obj["etag"] == '"%s"' % hashlib.md5(b"after").hexdigest()
        assert obj["bytesWritten"] == 5
    assert pending(down) == 1, "one row a path"
    assert down.content("u", "f", "source=container") == b"after"


@pytest.mark.parametrize("query", ["", "source=r2"])
def test_read_your_own_write(down, query):
    down.put_ok("u", "f", b"after")
    obj = mw.check_json(down.get("u", "f", query))
    assert obj["content"] == "after" and obj["source"] == "r2"
    r = down.raw("u", "f", query)
    assert r.body == b"after" and r.get("X-Pending") == "1" and r.get("X-Source") == "r2", r
    assert r.get("ETag") == '"%s"' % hashlib.md5(b"after").hexdigest()
    r = down.raw("u", "f", query, [("Range", "bytes=1-2")])
    assert r.status == 206 and r.body == b"ft", r
    r = down.raw("u", "f", query, [("If-None-Match", r.get("ETag"))])
    assert r.status == 304


def test_pending_wins_over_a_returned_r2(down):
    """R2 is back with its old copy, the row still waits: no read sees the old one."""
    down.put_ok("u", "f", b"after")
    down.stub.back()
    assert down.stub.get("users/u/f") == b"before"
    for query in ("", "source=r2", "source=container"):
        assert down.content("u", "f", query) == b"after", query


def test_drain(down):
    for i in range(5):
        down.put_ok("u", "d/%d" % i, b"%d" % i)
    down.put_ok("u", "f", b"1")
    down.put_ok("u", "f", b"2")
    assert down.drain() == 1, "rows left"
    down.stub.back()
    assert down.drain() == 0
    assert {k: down.stub.get(k) for k in down.stub.keys()} == {
        "users/u/f": b"2", "users/u/g": b"other",
        **{"users/u/d/%d" % i: b"%d" % i for i in range(5)}}
    assert pending(down) == 0 and down.drain() == 0
    r = down.raw("u", "f", "source=r2")
    assert r.body == b"2" and r.get("X-Pending") is None
    assert not [c for c in down.stub.calls if c.key == "users/u/f" and c.method == "PUT"
                and c.headers["content-length"] != "1"], "a replaced write is not sent"


def test_one_put_a_path(down):
    """The newest content only reaches R2, once."""
    for i in range(6):
        down.put_ok("u", "f", b"version %d" % i)
    down.stub.back()
    down.stub.reset()
    assert down.drain() == 0
    assert down.stub.count("PUT", "users/u/f") == 1
    assert down.stub.get("users/u/f") == b"version 5"


def test_delete_queues(down):
    obj = mw.check_json(down.delete("u", "f"))
    assert obj["existed"] is True
    assert obj["r2Sync"]["queued"] is True and obj["r2Sync"]["success"] is False
    down.stub.back()
    for query in ("", "source=r2", "source=container"):
        assert down.content("u", "f", query) is None, query
    r = down.list("u", "source=r2")
    assert [f["name"] for f in r.json()["files"]] == ["g"], "a pending delete hides the key"
    assert down.drain() == 0
    assert down.stub.keys() == ["users/u/g"]
    down.end_sandboxes()
    assert down.content("u", "f", "source=container") is None


def test_delete_then_write_then_delete(down):
    mw.check_json(down.delete("u", "f"))
    down.put_ok("u", "f", b"again")
    assert down.content("u", "f") == b"again"
    mw.check_json(down.delete("u", "g"))
    down.stub.back()
    assert down.drain() == 0
    assert down.stub.get("users/u/f") == b"again" and down.stub.keys() == ["users/u/f"]


def test_delete_of_what_never_was(down):
    """R2 cannot say, the sandbox has none: an unknown is no 404."""
    r = down.delete("u", "none")
    if r.status == 200:
        obj = mw.check_json(r)
        assert obj["existed"] is False and obj["r2Sync"]["queued"] is True
    else:
        mw.check_error(r, "store_unavailable")
    down.stub.back()
    assert down.drain() == 0


def test_list_overlays_pending_rows(down):
    down.put_ok("u", "new/a", b"abc")
    down.put_ok("u", "f", b"longer than before")
    mw.check_json(down.delete("u", "g"))
    down.stub.back()
    obj = mw.check_json(down.list("u", "source=r2&recursive=true"))
    rows = {f["relativePath"]: f["size"] for f in obj["files"] if f["type"] == "file"}
    assert rows == {"f": 18, "new/a": 3}
    obj = mw.check_json(down.list("u", "source=r2"))
    assert [(f["name"], f["type"]) for f in obj["files"]] == [("f", "file"), ("new", "directory")]
    obj = mw.check_json(down.list("u", "source=r2&path=new"))
    assert [f["name"] for f in obj["files"]] == ["a"]


def test_overlay_keeps_paging(r2):
    for i in range(0, 20, 2):
        r2.put_ok("u", "%02d" % i, b"x")
    r2.stub.down()
    for i in range(1, 20, 2):
        r2.put_ok("u", "%02d" % i, b"yy")
    for i in (0, 8, 18):
        mw.check_json(r2.delete("u", "%02d" % i))
    r2.stub.back()
    want = ["%02d" % i for i in range(20) if i not in (0, 8, 18)]
    for limit in (1, 2, 3, 5, 17, 100):
        got, cursor = [], ""
        while True:
            obj = mw.check_json(r2.list("u", "source=r2&limit=%d%s" % (
                limit, "&cursor=" + mw.enc(cursor, b"") if cursor else "")))
            got += [f["relativePath"] for f in obj["files"]]
            cursor = obj.get("nextCursor")
            if not cursor:
                break
        assert got == want, limit


def test_conditions_while_pending(down):
    """The pending row's ETag is the one that counts."""
    etag = down.put_ok("u", "f", b"after")["etag"]
    for bad in ('"other"', '"%s"' % hashlib.md5(b"before").hexdigest()):
        mw.check_error(down.put("u", "f", b"x", headers=[("If-Match", bad)]),
                       "precondition_failed")
    mw.check_error(down.put("u", "f", b"x", headers=[("If-None-Match", "*")]),
                   "precondition_failed")
    obj = mw.check_json(down.put("u", "f", b"third", headers=[("If-Match", etag)]))
    assert obj["r2Sync"]["queued"] is True
    assert down.content("u", "f") == b"third"
    mw.check_json(down.delete("u", "f"))
    mw.check_error(down.put("u", "f", b"x", headers=[("If-Match", "*")]), "precondition_failed")
    mw.check_json(down.put("u", "f", b"new", headers=[("If-None-Match", "*")]))
    down.stub.back()
    assert down.drain() == 0 and down.stub.get("users/u/f") == b"new"


def test_condition_that_needs_r2(down):
    """No row and R2 down: 503, and nothing is touched."""
    etag = '"%s"' % hashlib.md5(b"before").hexdigest()
    for header in (("If-Match", etag), ("If-None-Match", "*")):
        mw.check_error(down.put("u", "f", b"x", headers=[header]), "store_unavailable")
    mw.check_error(down.delete("u", "f", headers=[("If-Match", etag)]), "store_unavailable")
    assert down.content("u", "f", "source=container") == b"before" and pending(down) == 0


def test_target_r2(down):
    obj = mw.check_json(down.put("u", "h", b"x", "target=r2"))
    assert obj["r2Sync"]["queued"] is True
    assert down.content("u", "h") == b"x"
    down.stub.back()
    assert down.drain() == 0 and down.stub.get("users/u/h") == b"x"


def test_target_container_queues_nothing(down):
    down.put_ok("u", "h", b"x", "target=container")
    down.put_ok("u", "i", b"x", "skipR2=true")
    assert pending(down) == 0
    assert down.content("u", "h") == b"x"
    down.stub.back()
    assert down.content("u", "h") == b"x", "newer in the sandbox: asked first"


def test_conditional_put_refused_when_it_drains(r2):
    """Somebody else wrote meanwhile: the row is parked, counted, not dropped."""
    etag = r2.put_ok("u", "f", b"old")["etag"]
    r2.stub.fail(method="PUT", times=99, status=503)
    obj = mw.check_json(r2.put("u", "f", b"mine", headers=[("If-Match", etag)]))
    assert obj["r2Sync"]["queued"] is True
    r2.stub.reset()
    r2.stub.put("users/u/f", b"theirs")
    assert r2.drain() == 2
    assert r2.stub.get("users/u/f") == b"theirs"
    health = mw.check_json(r2.call("GET", "/api/super/health"))
    assert health["outbox"]["pending"] + health["outbox"].get("parked", 0) >= 1, health
    r2.put_ok("u", "f", b"final")       # a later write replaces a parked row
    assert r2.drain() == 0 and r2.stub.get("users/u/f") == b"final"


def test_parked_blocks_only_its_path(r2):
    r2.stub.fail(method="PUT", times=99, status=503)
    r2.put_ok("u", "bad", b"x")
    r2.put_ok("u", "good", b"y")
    r2.stub.reset()
    r2.stub.fail(method="PUT", key="users/u/bad", times=99, status=403)
    assert r2.drain() == 2
    assert r2.stub.get("users/u/good") == b"y" and r2.stub.get("users/u/bad") is None
    assert r2.content("u", "bad") == b"x", "still readable, never dropped"


def test_outbox_full_is_507(make, stub):
    gw = make(dict(QUICK, **{"outbox.max_bytes": 40000}), store="s3", s3=stub)
    gw.put_ok("u", "f", b"before")
    stub.down()
    gw.put_ok("u", "a", b"x" * 24000)
    r = gw.put("u", "f", b"y" * 24000)
    mw.check_error(r, "storage_full", userId="u")
    assert gw.content("u", "f", "source=container") == b"before", "nothing was changed"
    gw.put_ok("u", "a", b"z" * 28000)        # it replaces its own row
    stub.back()
    assert gw.drain() == 0
    gw.put_ok("u", "f", b"y" * 24000)
    assert stub.get("users/u/f") == b"y" * 24000 and stub.get("users/u/a") == b"z" * 28000


def test_another_bucket_parks_the_rows(r2, stub):
    """Rows carry the store's identity: they do not go astray."""
    gw = r2
    gw.put_ok("u", "f", b"w")
    stub.down()
    gw.put_ok("u", "f", b"x")
    stub.back()
    gw.configure({"store.driver": "dir"})
    assert gw.drain() == 2
    assert stub.get("users/u/f") == b"w"
    assert not any(files for _, _, files in os.walk(gw.path("store")))
    gw.configure({"store.driver": "s3"})
    assert gw.drain() in (0, 2)
    assert gw.content("u", "f") == b"x"


def test_survives_a_new_process(down):
    """Every CGI request is one; the rows are on disk before the answer."""
    down.put_ok("u", "f", b"durable")
    names = os.listdir(down.path("state", "spool"))
    assert len(names) >= 1, names
    down.stub.back()
    assert down.drain() == 0
    left = os.listdir(down.path("state", "spool"))
    assert left == [], "the body goes with its row"


def test_log_has_no_secret_and_says_what(down):
    down.get("u", "f", "source=r2")
    down.put_ok("u", "f", b"x")
    assert "[FILES]" in down.log(), down.log()[-1000:]
    down.check_no_secret()


def test_detached_drain(make, stub):
    """A row reaches R2 by itself once R2 is back and requests come."""
    gw = make(dict(QUICK, **{"outbox.drain_interval": 50}), store="s3", s3=stub)
    gw.put_ok("u", "f", b"w")
    stub.down()
    gw.put_ok("u", "f", b"x")
    stub.back()
    deadline = time.monotonic() + 60
    while stub.get("users/u/f") != b"x":
        assert time.monotonic() < deadline, "not drained after 20 s"
        gw.get("u", "f")
        time.sleep(0.2)
    assert json.dumps(pending(gw)) == "0"


# ---- who there is ----

def listed(gw, url, *sources):
    """The users of a listing that lacks what these sources would add."""
    obj = mw.check_json(gw.call("GET", url))
    assert obj.get("partial", False) is bool(sources), obj
    assert [e["source"] for e in obj.get("errors", [])] == list(sources), obj
    for e in obj.get("errors", []):
        assert e["code"] in mw.ERRORS and e["error"].strip(), e
    return [u["userId"] for u in obj["users"]]


def test_users_without_r2(down):
    """Sandboxes, what waits in the outbox, and the jobs of this host."""
    down.put_ok("waits", "f", b"x", "target=r2")
    for url in ("/api/super/users", "/api/super/state/dashboard"):
        assert listed(down, url, "r2") == ["u", "waits"], url
    first = mw.check_json(down.call("GET", "/api/super/users?limit=1"))
    assert listed(down, "/api/super/users?cursor=" + first["nextCursor"], "r2") == ["waits"]
    r = down.call("POST", "/api/super/bulk/exec", body=b'{"userIds":"all","command":"touch x"}')
    assert "all" in mw.check_error(r, "store_unavailable")["error"]
    assert not os.path.exists(down.sandbox("u", "x"))
    down.stub.back()
    assert listed(down, "/api/super/users") == ["u"]


def test_users_without_sandboxes(make, stub):
    gw = make(dict(QUICK, **{"sandbox.driver": "engine",
                             "sandbox.engine.socket": "/nonexistent/socket"}), store="s3", s3=stub)
    gw.without_drain()
    gw.put_ok("u", "f", b"x", "target=r2")
    for url in ("/api/super/users", "/api/super/state/dashboard"):
        assert listed(gw, url, "sandbox") == ["u"], url
    stub.objects.clear()
    stub.down()
    assert listed(gw, "/api/super/users", "r2", "sandbox") == ["u"], "it has a mark"


@pytest.mark.parametrize("url", ["/api/super/users", "/api/super/state/dashboard"])
def test_nobody_can_be_listed(r2, url):
    r2.stub.down()
    mw.check_error(r2.call("GET", url), "store_unavailable")


def test_users_while_r2_hangs(make, stub):
    """It does not take the time that the others need."""
    gw = make(dict(QUICK, **{"store.timeout": 1000}), store="s3", s3=stub)
    gw.without_drain()
    gw.put_ok("u", "f", b"x", "target=container")
    stub.fail(times=10 ** 9, hang=60)
    for url in ("/api/super/users", "/api/super/state/dashboard"):
        assert listed(gw, url, "r2") == ["u"], url
