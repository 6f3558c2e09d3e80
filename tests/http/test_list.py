# SPDX-License-Identifier: BSD-2-Clause
"""Listing: rows, order, paging, types, hidden names."""
import os
import time

import pytest

import mw

TREE = ["a", "a.txt", "b/c", "b/d/e", "b/d/f", "b-c", "b.txt", "z", "é/x", "日本", "A", "_x",
        "b/~", "0", "b d/x", "b%/x"]
SOURCES = ["r2", "container"]
ROW = {"name": str, "relativePath": str, "type": str, "size": (int, type(None)),
       "modifiedAt": (str, type(None))}


def by_bytes(names):
    return sorted(names, key=lambda n: n.encode())


def listing(gw, user, query):
    r = gw.list(user, query)
    obj = mw.check_json(r)
    mw.check_members(obj, {"userId": str, "path": str, "files": list, "count": int,
                           "source": str, "timestamp": str}, {"nextCursor": str, "skippedNames": int})
    for f in obj["files"]:
        mw.check_members(f, ROW, {"mode": (str, int), "etag": str})
        assert f["type"] in ("file", "directory", "symlink"), f
        assert f["name"] == f["relativePath"].split("/")[-1] != "", f
        assert f["modifiedAt"] is None or mw.TIME.match(f["modifiedAt"]), f
        if f["type"] == "file":
            assert f["size"] is not None and f["modifiedAt"] is not None, f
    assert obj["count"] == len(obj["files"]) and obj["userId"] == user
    return obj


def names(obj, *types):
    return [f["relativePath"] for f in obj["files"] if not types or f["type"] in types]


@pytest.fixture
def tree(gw, user):
    for i, n in enumerate(TREE):
        gw.put_ok(user, n, b"x" * i)


@pytest.mark.parametrize("source", SOURCES)
def test_recursive(gw, user, tree, source):
    obj = listing(gw, user, "recursive=true&source=" + source)
    assert obj["source"] == source and "nextCursor" not in obj
    assert names(obj, "file") == by_bytes(TREE)
    assert names(obj) == by_bytes(names(obj)), "byte order of relativePath, directories too"
    sizes = {f["relativePath"]: f["size"] for f in obj["files"] if f["type"] == "file"}
    assert sizes == {n: i for i, n in enumerate(TREE)}


@pytest.mark.parametrize("source", SOURCES)
def test_flat(gw, user, tree, source):
    obj = listing(gw, user, "source=" + source)
    assert names(obj, "file") == by_bytes(n for n in TREE if "/" not in n)
    assert names(obj, "directory") == by_bytes({n.split("/")[0] for n in TREE if "/" in n})
    assert names(obj) == by_bytes(names(obj))
    for f in obj["files"]:
        if f["type"] == "directory" and source == "r2":
            assert f["size"] is None and f["modifiedAt"] is None, f


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("path", ["b", "/b", "/b/", "//b//", "./b"])
def test_below(gw, user, tree, source, path):
    obj = listing(gw, user, "path=%s&source=%s" % (mw.enc(path, b""), source))
    assert names(obj, "file") == ["c", "~"] and names(obj, "directory") == ["d"]
    assert obj["path"].strip("/") == "b"
    obj = listing(gw, user, "recursive=true&path=%s&source=%s" % (mw.enc(path, b""), source))
    assert names(obj, "file") == ["c", "d/e", "d/f", "~"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("path,want", [("é", ["x"]), ("b d", ["x"]), ("b%", ["x"]),
                                       ("b/d", ["e", "f"])])
def test_odd_directories(gw, user, tree, source, path, want):
    assert names(listing(gw, user, "path=%s&source=%s" % (mw.enc(path, b""), source))) == want


@pytest.mark.parametrize("source", SOURCES)
@mw.rows("limit", [1, 2, 3, 7, 15, 16, 17, 1000])
@mw.rows("recursive", ["true", "false"])
def test_paging(gw, user, tree, source, limit, recursive):
    whole = names(listing(gw, user, "recursive=%s&source=%s" % (recursive, source)))
    got, cursor, pages = [], "", 0
    while True:
        query = "recursive=%s&source=%s&limit=%d" % (recursive, source, limit)
        obj = listing(gw, user, query + ("&cursor=" + mw.enc(cursor, b"") if cursor else ""))
        assert len(obj["files"]) <= limit
        got += names(obj)
        pages += 1
        cursor = obj.get("nextCursor")
        if not cursor:
            break
        assert len(obj["files"]) == limit, "a page that is not the last is full"
    assert got == whole, "complete, in order, without repeats"
    assert pages == max(1, -(-len(whole) // limit)), "no empty last page"


def test_paging_while_files_come_and_go(gw, user, tree):
    for source in SOURCES:
        first = listing(gw, user, "recursive=true&limit=4&source=" + source)
        gone = names(first)[-1]
        gw.delete(user, gone)
        rest = listing(gw, user, "recursive=true&source=%s&cursor=%s" % (
            source, mw.enc(first["nextCursor"], b"")))
        assert not set(names(first)) & set(names(rest))
        seen = names(first, "file") + names(rest, "file")
        gw.put_ok(user, gone, b"back")
        assert seen == by_bytes(TREE)


def test_cursor_of_the_other_source(gw, user, tree):
    cursors = {s: listing(gw, user, "limit=2&source=" + s)["nextCursor"] for s in SOURCES}
    for mine, other in (("r2", "container"), ("container", "r2")):
        r = gw.list(user, "limit=2&source=%s&cursor=%s" % (mine, mw.enc(cursors[other], b"")))
        obj = mw.check_error(r, "invalid_argument")
        assert "cursor" in obj["error"]


@pytest.mark.parametrize("source", SOURCES)
def test_missing_and_not_a_directory(gw, user, tree, source):
    obj = mw.check_error(gw.list(user, "path=/nothing&source=" + source), "file_not_found")
    assert obj["triedSources"] == [source]
    r = gw.list(user, "path=/a.txt&source=" + source)
    assert r.status in (404, 409), r
    mw.check_error(r, r.json()["code"])


def test_prefix_is_no_directory(gw, user):
    """R2 knows keys only: `b` is not the parent of `b-c`."""
    gw.put_ok(user, "bcd/x", b"x")
    for source in SOURCES:
        mw.check_error(gw.list(user, "path=b&source=" + source), "file_not_found")


def test_limits(gw, user, tree):
    assert len(listing(gw, user, "limit=1000&recursive=true&source=r2")["files"]) >= len(TREE)
    r = gw.list(user, "limit=100000&source=r2")
    assert r.status in (200, 400), r


def test_files_with_slash_is_the_list(gw, user, tree):
    r = gw.call("GET", "/api/super/users/%s/files/?source=r2" % user)
    assert names(mw.check_json(r)) == names(listing(gw, user, "source=r2"))


def test_etag_and_mode(gw, user):
    etag = gw.put_ok(user, "f", b"x")["etag"]
    os.chmod(gw.sandbox(user, "f"), 0o640)
    (row,) = listing(gw, user, "source=r2")["files"]
    assert row.get("etag", etag) == etag
    (row,) = listing(gw, user, "source=container")["files"]
    assert row.get("mode") in (None, "640", "0640", 0o640, "rw-r-----", "-rw-r-----"), row


def test_kinds_in_the_sandbox(gw, user):
    gw.put_ok(user, "d/f", b"abc")
    os.symlink("d/f", gw.sandbox(user, "link"))
    os.symlink("d", gw.sandbox(user, "dirlink"))
    os.mkdir(gw.sandbox(user, "empty"))
    os.mkfifo(gw.sandbox(user, "pipe"))
    obj = listing(gw, user, "recursive=true&source=container")
    kinds = {f["relativePath"]: f["type"] for f in obj["files"]}
    kinds.pop("pipe", None)
    assert kinds == {"d": "directory", "d/f": "file", "link": "symlink", "dirlink": "symlink",
                     "empty": "directory"}


def test_modified_at(gw, user):
    gw.put_ok(user, "f", b"x")
    os.utime(gw.sandbox(user, "f"), (1600000000.5, 1600000000.5))
    (row,) = listing(gw, user, "source=container")["files"]
    assert row["modifiedAt"] == "2020-09-13T12:26:40.500Z"


def test_ours_is_hidden(gw, user):
    """What a sync or a job leaves in R2 is not the user's."""
    gw.put_ok(user, "f", b"x")
    if gw.s3:
        for key in (".last-sync", ".moltworker/manifest", ".moltworker/jobs/1"):
            gw.s3.put("users/%s/%s" % (user, key), b"ours")
    for d in (".moltworker",):
        os.makedirs(gw.sandbox(user, d))
    for source in SOURCES:
        for recursive in ("true", "false"):
            obj = listing(gw, user, "recursive=%s&source=%s" % (recursive, source))
            assert names(obj) == ["f"], source
    mw.check_error(gw.list(user, "path=.moltworker&source=r2"), "invalid_path")


def test_names_in_the_sandbox_that_no_path_can_have(gw, user):
    """Bytes a client could never ask for are skipped, not mangled."""
    gw.put_ok(user, "f", b"x")
    for name in (b"bad\xff", b"new\nline", b"esc\x1b"):
        with open(gw.sandbox(user).encode() + b"/" + name, "wb"):
            pass
    obj = listing(gw, user, "source=container")
    assert names(obj) == ["f"] and obj.get("skippedNames", 3) == 3, obj


def test_auto_source(gw, user, tree):
    obj = listing(gw, user, "")
    assert obj["source"] in SOURCES
    assert names(obj, "file") == by_bytes(n for n in TREE if "/" not in n)


def test_many(gw, user):
    """More rows than one page of the store."""
    n = 1203
    gw.put_ok(user, "m/0000", b"")
    for i in range(1, n):
        with open(gw.sandbox(user, "m", "%04d" % i), "wb"):
            pass
    got, cursor, start = [], "", time.monotonic()
    while True:
        obj = listing(gw, user, "path=m&source=container" + ("&cursor=" + cursor if cursor else ""))
        got += names(obj)
        cursor = mw.enc(obj.get("nextCursor", ""), b"")
        if not cursor:
            break
    assert got == ["%04d" % i for i in range(n)]
    assert time.monotonic() - start < 60


def test_head(gw, user, tree):
    r = gw.call("HEAD", "/api/super/users/%s/files?source=r2" % user)
    assert r.status == 200 and r.body == b"", r
