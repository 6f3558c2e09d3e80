# SPDX-License-Identifier: BSD-2-Clause
"""If-Match and If-None-Match on writes and deletes, against R2's ETag."""
import hashlib
import threading

import pytest

import mw
from mwfixtures import STORES, combinations


@pytest.fixture(params=list(combinations()) + (["direct-rgw"] if "rgw" in STORES else []))
def gw(request, shared):
    return shared.get(request.param)


@pytest.fixture
def file(gw, user):
    return gw.put_ok(user, "f", b"old")["etag"]


def test_if_match(gw, user, file):
    r = gw.put(user, "f", b"new", headers=[("If-Match", '"other"')])
    mw.check_error(r, "precondition_failed", userId=user)
    for source in ("r2", "container"):
        assert gw.content(user, "f", "source=" + source) == b"old"
    obj = mw.check_json(gw.put(user, "f", b"new", headers=[("If-Match", file)]))
    assert obj["etag"] != file
    for source in ("r2", "container"):
        assert gw.content(user, "f", "source=" + source) == b"new"
    mw.check_error(gw.put(user, "f", b"newer", headers=[("If-Match", file)]),
                   "precondition_failed")


@pytest.mark.parametrize("value,status", [
    ("*", 200), ('"x", {etag}', 200), ('{etag},"x"', 200), ("W/{etag}", 412), ('"x","y"', 412)])
def test_if_match_lists(gw, user, file, value, status):
    r = gw.put(user, "f", b"new", headers=[("If-Match", value.format(etag=file))])
    assert r.status == status, r
    assert gw.content(user, "f") == (b"new" if status == 200 else b"old")


def test_if_match_of_nothing(gw, user):
    for value in ("*", '"x"'):
        r = gw.put(user, "g", b"new", headers=[("If-Match", value)])
        mw.check_error(r, "precondition_failed")
    assert gw.content(user, "g") is None


def test_if_none_match(gw, user, file):
    r = gw.put(user, "f", b"new", headers=[("If-None-Match", "*")])
    mw.check_error(r, "precondition_failed")
    assert gw.content(user, "f") == b"old"
    mw.check_json(gw.put(user, "g", b"new", headers=[("If-None-Match", "*")]))
    assert gw.content(user, "g") == b"new"
    mw.check_error(gw.put(user, "g", b"2", headers=[("If-None-Match", "*")]),
                   "precondition_failed")


def test_json_write_too(gw, user, file):
    r = gw.put_json(user, "f", {"content": "new"}, headers=[("If-Match", '"other"')])
    mw.check_error(r, "precondition_failed")
    mw.check_json(gw.put_json(user, "f", {"content": "new"}, headers=[("If-Match", file)]))


@pytest.mark.parametrize("name,value", [
    ("If-Match", "unquoted"), ("If-Match", '"open'), ("If-Match", ""), ("If-None-Match", "x y"),
    ("If-Match", '"a" "b"')])
def test_malformed(gw, user, file, name, value):
    """A condition that cannot be understood is never taken as met."""
    r = gw.put(user, "f", b"new", headers=[(name, value)])
    if value == "" and r.status == 200:
        return                      # an empty field is no field to most servers
    assert r.status in (400, 412), r
    assert gw.content(user, "f") == b"old"


def test_delete(gw, user, file):
    r = gw.delete(user, "f", headers=[("If-Match", '"other"')])
    mw.check_error(r, "precondition_failed")
    assert gw.content(user, "f") == b"old"
    mw.check_json(gw.delete(user, "f", headers=[("If-Match", file)]))
    assert gw.content(user, "f") is None


def test_raw_read_if_match_etag_round_trip(gw, user, file):
    """The ETag of a read is the one a write wants."""
    etag = gw.raw(user, "f", "source=r2").get("ETag")
    assert etag == file
    mw.check_json(gw.put(user, "f", b"new", headers=[("If-Match", etag)]))


def test_weak_container_etag_never_matches(gw, user):
    gw.put_ok(user, "f", b"x", "target=container")
    etag = gw.raw(user, "f", "source=container").get("ETag")
    assert etag.startswith("W/"), etag
    mw.check_error(gw.put(user, "f", b"y", headers=[("If-Match", etag)]), "precondition_failed")


def test_one_of_many_creates(gw, user):
    """Eight at once with If-None-Match: *, exactly one wins, and its content stays."""
    results = {}

    def create(i):
        results[i] = gw.put(user, "f", b"by %d" % i, headers=[("If-None-Match", "*")])
    threads = [threading.Thread(target=create, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    won = [i for i, r in results.items() if r.status == 200]
    assert len(won) == 1, results
    for i, r in results.items():
        if i != won[0]:
            mw.check_error(r, "precondition_failed")
    for source in ("r2", "container"):
        assert gw.content(user, "f", "source=" + source) == b"by %d" % won[0]


def test_no_lost_update(gw, user):
    """Four clients add a line each, ten times, with If-Match: no line is lost."""
    gw.put_ok(user, "f", b"")
    conflicts = []

    def add(who):
        for n in range(10):
            while True:
                r = gw.raw(user, "f", "source=r2")
                assert r.status == 200, r
                line = b"%d.%d\n" % (who, n)
                w = gw.put(user, "f", r.body + line, headers=[("If-Match", r.get("ETag"))])
                if w.status == 200:
                    break
                assert w.status == 412, w
                conflicts.append(w)
    threads = [threading.Thread(target=add, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lines = gw.content(user, "f").split()
    assert sorted(lines) == sorted(b"%d.%d" % (w, n) for w in range(4) for n in range(10))


def test_last_writer_is_the_same_in_both(gw, user):
    """Concurrent unconditional writes: both places end with the same content."""
    def write(who):
        for n in range(10):
            gw.put_ok(user, "f", b"%d.%d" % (who, n))
    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    a, b = (gw.content(user, "f", "source=" + s) for s in ("r2", "container"))
    assert a == b and a.split(b".")[1] == b"9", (a, b)


def test_etag_is_of_the_content(gw, user):
    """The same bytes have the same ETag wherever they lie."""
    a = gw.put_ok(user, "a", b"same")["etag"]
    b = gw.put_ok(user, "b", b"same")["etag"]
    if gw.store == "s3":
        assert a == b == '"%s"' % hashlib.md5(b"same").hexdigest()
    assert a != gw.put_ok(user, "a", b"other")["etag"]
