# SPDX-License-Identifier: BSD-2-Clause
"""What other tools keep in a bucket, and what stands between us and it."""
import json
import os

import pytest

import mw


def names(gw, query):
    return [(f["relativePath"], f["type"]) for f in mw.check_json(gw.list("u", query))["files"]]


def test_markers_are_directories(r2):
    for key in ("", "empty/", "full/", "full/f", "deep/er/"):
        r2.stub.put("users/u/" + key, b"x" if key.endswith("f") else b"")
    r2.stub.put("users/u/odd/", b"not empty")
    assert names(r2, "source=r2") == [(n, "directory") for n in ("deep", "empty", "full", "odd")]
    assert names(r2, "source=r2&path=empty") == []
    obj = mw.check_json(r2.list("u", "source=r2&recursive=true"))
    assert obj["skippedNames"] == 1, obj
    assert [(f["relativePath"], f["type"]) for f in obj["files"]] == [
        ("deep/er", "directory"), ("empty", "directory"), ("full", "directory"), ("full/f", "file")]
    obj = mw.check_json(r2.sync("u", "direction=restore"))
    assert obj["failed"] == [] and obj["skippedNames"] == ["/odd/"], obj
    for d in ("empty", "full", "deep/er"):
        assert os.path.isdir(r2.sandbox("u", d)), d
    assert os.path.isfile(r2.sandbox("u", "full/f"))
    obj = mw.check_json(r2.sync("u", "delete=true"))
    assert obj["skippedNames"] == ["/odd/"] and obj["deleted"] == 0, obj
    assert "users/u/empty/" in r2.stub.objects


@pytest.mark.parametrize("bad", ["a\nb", "a\x01", "\x7f", "d/\tx"])
def test_control_bytes_are_counted(r2, bad):
    r2.stub.put("users/u/" + bad, b"x")
    r2.stub.put("users/u/z", b"x")
    obj = mw.check_json(r2.list("u", "source=r2&recursive=true"))
    assert obj["skippedNames"] == 1 and obj["count"] == 1, obj
    obj = mw.check_json(r2.sync("u", "direction=restore"))
    assert obj["skippedNamesCount"] == 1, obj


def test_a_file_and_a_directory_of_one_name(r2):
    for key in ("a", "a/b", "a-", "c/d"):
        r2.stub.put("users/u/" + key, b"x")
    want = [("a", "file"), ("a", "directory"), ("a-", "file"), ("c", "directory")]
    assert names(r2, "source=r2") == want
    for limit in (1, 2, 3):
        got, cursor = [], ""
        while cursor is not None:
            obj = mw.check_json(r2.list("u", "source=r2&limit=%d%s" % (limit, cursor)))
            assert 0 < obj["count"] <= limit, obj
            got += [(f["relativePath"], f["type"]) for f in obj["files"]]
            cursor = "&cursor=" + obj["nextCursor"] if "nextCursor" in obj else None
        assert got == want, limit
    r2.stub.fail(method="PUT", times=99, status=503)
    r2.put_ok("u", "a", b"new", "target=r2")
    assert [f["size"] for f in mw.check_json(r2.list("u", "source=r2"))["files"]][:2] == [3, None]


@pytest.mark.parametrize("mode,want", [("33261", 0o755), ("33188", 0o644), ("33152", 0o600),
                                       ("100755", 0o755), ("755", 0o755), ("0600", 0o600),
                                       ("16877", 0o644), ("99999", 0o644)])
def test_modes(r2, mode, want):
    """Decimal with its type bits is s3fs's, octal is rclone's and ours; what is neither is nobody's."""
    r2.stub.put("users/u/f", b"x")
    body, etag, kind, meta, when = r2.stub.objects["users/u/f"]
    r2.stub.objects["users/u/f"] = (body, etag, kind, {
        **(meta or {}), "x-amz-meta-mode": mode, "x-amz-meta-mtime": "1500000000.25",
        "x-amz-meta-uid": "1000", "x-amz-meta-gid": "1000"}, when)
    mw.check_json(r2.sync("u", "direction=restore"))
    st = os.stat(r2.sandbox("u", "f"))
    assert st.st_mode & 0o7777 == want and st.st_mtime == 1500000000.25


def empty_404(stub):
    """What a proxy answers that has lost its way: nothing of S3 in it."""
    stub.fail(times=10 ** 9, status=404, empty=True)


def test_an_empty_404_is_no_answer(r2):
    r2.put_ok("u", "f", b"x", "target=r2")
    empty_404(r2.stub)
    mw.check_error(r2.get("u", "f", "source=r2"), "store_error")
    mw.check_error(r2.put("u", "g", b"x", "target=r2"), "store_error")
    mw.check_error(r2.list("u", "source=r2"), "store_error")


@pytest.mark.parametrize("status,code", [(503, "store_unavailable"), (403, "store_error")])
def test_a_list_says_what_r2_said(r2, status, code):
    """The sandbox is asked instead, and sleeps: that hides nothing."""
    r2.stub.put("users/u/f", b"x")
    r2.stub.fail(method="GET", times=10 ** 9, status=status)
    mw.check_error(r2.list("u"), code)


def test_what_is_never_brought_back(r2):
    r2.configure({"sync.exclude_restore": ["*.lock", "run"]})
    for key in ("f", "a/gateway.lock", "run/pid", "x/run/"):
        r2.stub.put("users/u/" + key, b"" if key.endswith("/") else b"x")
    for _ in range(2):
        mw.check_json(r2.sync("u", "direction=restore"))
        assert sorted(os.listdir(r2.sandbox("u"))) == ["f"]
    with open(r2.sandbox("u", "own.lock"), "w") as f:
        f.write("held")
    obj = mw.check_json(r2.sync("u", "direction=restore&delete=true&force=true"))
    assert obj["deleted"] == 0 and os.path.exists(r2.sandbox("u", "own.lock")), obj
    mw.check_json(r2.sync("u"))
    assert "users/u/own.lock" in r2.stub.objects and "users/u/run/pid" in r2.stub.objects
    obj = mw.check_json(r2.sync("u", "delete=true&force=true"))
    assert obj["deleted"] == 0 and "users/u/run/pid" in r2.stub.objects, obj


def lifecycle(gw, how, query):
    if how == "bulk":
        members = {k: v == "true" for k, v in (p.split("=") for p in query.split("&"))}
        r = gw.call("POST", "/api/super/bulk/restart",
                    body=json.dumps({"userIds": ["u"], **members}).encode())
        return json.loads(r.body.splitlines()[0])
    r = gw.call("POST", "/api/super/users/u/%s?%s" % (how, query), body=b"")
    return {"status": r.status, **r.json()}


@pytest.mark.parametrize("how", ["sleep", "restart", "bulk"])
def test_what_was_removed_stays_removed(r2, how):
    for n in range(4):
        r2.put_ok("u", "f%d" % n, b"x")
    mw.check_json(r2.sync("u"))
    os.unlink(r2.sandbox("u", "f0"))
    obj = lifecycle(r2, how, "sync=false&delete=true")
    assert obj["status"] == 400 and obj["error"].startswith("delete:"), obj
    assert lifecycle(r2, how, "delete=true")["status"] == 200
    assert r2.stub.keys("users/u/f") == ["users/u/f1", "users/u/f2", "users/u/f3"]
    for n in (1, 2):
        mw.check_json(r2.call("POST", "/api/super/users/u/wake", body=b""))
        os.unlink(r2.sandbox("u", "f%d" % n))
    obj = lifecycle(r2, how, "delete=true")
    assert obj["status"] == 409 and obj["code"] == "conflict", obj
    assert len(r2.stub.keys("users/u/f")) == 3
    assert lifecycle(r2, how, "delete=true&force=true")["status"] == 200
    assert r2.stub.keys("users/u/f") == ["users/u/f3"]
