# SPDX-License-Identifier: BSD-2-Clause
"""Paths: what is refused, what is the same file, what is ours."""
import os

import pytest

import mw

EVERY_SERVER = True     # see mwfixtures.py

# Raw request-target pieces after .../files/ that must never be served.
BAD = [
    ("dotdot", ".."),
    ("dotdot in the middle", "a/../b"),
    ("dotdot at the end", "a/.."),
    ("encoded dotdot", "%2e%2e"),
    ("encoded dotdot upper", "%2E%2E/x"),
    ("half encoded", ".%2e/x"),
    ("dotdot, encoded slash", "..%2fx"),
    ("dotdot, encoded slash upper", "..%2Fx"),
    ("all encoded", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    ("inside, encoded slash", "a%2f..%2f..%2fb"),
    ("NUL", "a%00b"),
    ("NUL only", "%00"),
    ("newline", "a%0Ab"),
    ("CR", "a%0Db"),
    ("tab", "a%09b"),
    ("escape", "a%1Bb"),
    ("DEL", "a%7Fb"),
    ("control 1", "%01"),
    ("lone byte", "%FF"),
    ("overlong slash", "a%C0%AFb"),
    ("overlong dot", "%C0%AE%C0%AE/x"),
    ("cut sequence", "a%E2%82"),
    ("surrogate", "%ED%A0%80"),
    ("past Unicode", "%F4%90%80%80"),
    ("bad escape", "a%zz"),
    ("cut escape", "a%2"),
    ("bare percent", "100%"),
    ("segment 256", "s" * 256),
    ("path 1025", "/".join(["s" * 204] * 5) + "/x"),
    ("path very long", "/".join(["s" * 100] * 30)),
    ("ours .last-sync", ".last-sync"),
    ("ours .moltworker", ".moltworker"),
    ("ours below", ".moltworker/jobs/x"),
    ("ours, dots", "./.moltworker/x"),
    ("ours, slashes", "/.moltworker/x"),
    ("ours, encoded", "%2Emoltworker/x"),
    ("ours, encoded slash", ".moltworker%2Fx"),
]


def refuse(gw, r):
    if gw.kind == "direct":
        mw.check_error(r, "invalid_path")
    else:           # the server may refuse it first, in its own words
        assert r.status in (400, 403, 404, 414), r
        if r.status == 400 and (r.get("Content-Type") or "").startswith("application/json"):
            mw.check_error(r, "invalid_path")


@mw.rows("piece", [b[1] for b in BAD])
def test_bad_path(gw, user, piece):
    gw.put_ok(user, "x", b"inside")
    base = "/api/super/users/%s/files/%s" % (user, piece)
    refuse(gw, gw.call("GET", base))
    refuse(gw, gw.call("GET", base + "?raw=1"))
    refuse(gw, gw.call("DELETE", base))
    refuse(gw, gw.call("PUT", base, [("Content-Type", "text/plain")], b"evil"))
    assert gw.content(user, "x") == b"inside"
    assert os.listdir(gw.sandbox(user)) == ["x"]


@mw.rows("piece", [b[1] for b in BAD if b[0] not in ("bad escape", "bare percent", "cut escape")])
def test_bad_path_as_query(gw, user, piece):
    """The same names by files?path=, which no server normalises."""
    for method in ("GET", "PUT", "DELETE"):
        query = "path=" + piece.replace("/", "%2F") + ("&raw=1" if method == "GET" else "")
        r = gw.call(method, "/api/super/users/%s/files?%s" % (user, query),
                    [("Content-Type", "text/plain")], b"x" if method == "PUT" else None)
        if len(piece) > 2000:
            assert r.status in (400, 414), r
        else:
            mw.check_error(r, "invalid_path")


NOT_NFC = [("e + acute", "e%CC%81"), ("A + ring", "A%CC%8A/x"), ("angstrom sign", "%E2%84%AB"),
           ("hangul jamo", "%E1%84%92%E1%85%A1")]


@mw.rows("piece", [n[1] for n in NOT_NFC])
def test_not_nfc_is_refused_on_write_only(gw, user, piece):
    base = "/api/super/users/%s/files/%s" % (user, piece)
    r = gw.call("PUT", base, [("Content-Type", "text/plain")], b"x")
    mw.check_error(r, "invalid_path")
    mw.check_error(gw.call("GET", base), "file_not_found")


def test_longest_names(gw, user):
    """1024 bytes of path and 255 of a segment are allowed, in bytes."""
    deep = "/".join(["s" * 204] * 4 + ["t" * 204])
    assert len(deep) == 1024
    for name in ("s" * 255, "é" * 127 + "x", deep):
        r = gw.put(user, name, b"long")
        if gw.store == "s3" and len(name) > 1000:
            # the key is longer than the path by the user's prefix; S3 stops at 1024 bytes
            assert r.status in (200, 400), r
            continue
        mw.check_json(r)
        assert gw.content(user, name, "source=container") == b"long"


SAME = ["a/b", "/a/b", "//a///b", "./a/./b", "a//b", "a/./././b", "a%2Fb", "%61/%62", "a/%2e/b"]


@mw.rows("piece", SAME)
def test_same_file(gw, user, piece):
    if gw.kind.startswith("htaccess") and "%2F" in piece:
        pytest.skip("AllowEncodedSlashes is not allowed in .htaccess: 404 for %2F; use files?path=")
    gw.put_ok(user, "a/b", b"same")
    r = gw.call("GET", "/api/super/users/%s/files/%s?raw=1" % (user, piece))
    assert r.status == 200 and r.body == b"same", r
    obj = mw.check_json(gw.call("GET", "/api/super/users/%s/files/%s" % (user, piece)))
    assert obj["path"].lstrip("/") == "a/b"


def test_error_names_the_path(gw, user):
    obj = mw.check_error(gw.get(user, "no/such"), "file_not_found", userId=user)
    assert obj["path"].lstrip("/") == "no/such"


@pytest.mark.parametrize("query", ["", "source=auto", "source=r2", "source=container"])
def test_tried_sources(gw, user, query):
    gw.put_ok(user, "other", b"x")
    obj = mw.check_error(gw.get(user, "nothing", query), "file_not_found")
    want = {"source=r2": ["r2"], "source=container": ["container"]}.get(query, ["r2", "container"])
    assert obj["triedSources"] == want
    r = gw.raw(user, "nothing", query)
    assert mw.check_error(r, "file_not_found")["triedSources"] == want


def test_hidden_names_elsewhere_are_ordinary(gw, user):
    """Only the root's .last-sync and .moltworker are ours."""
    for name in ("a/.last-sync", "a/.moltworker/x", ".moltworker2", ".last-sync.txt", ".hidden"):
        gw.put_ok(user, name, b"mine")
        assert gw.content(user, name) == b"mine"


def test_file_below_a_file(gw, user):
    gw.put_ok(user, "f", b"x")
    mw.check_error(gw.put(user, "f/g", b"y"), "conflict")
    assert gw.content(user, "f") == b"x"
    r = gw.raw(user, "f/g")
    assert r.status in (404, 409), r


def test_root_is_no_file(gw, user):
    gw.put_ok(user, "f", b"x")
    for method, body in (("PUT", b"x"), ("DELETE", None)):
        r = gw.call(method, "/api/super/users/%s/files" % user,
                    [("Content-Type", "text/plain")], body)
        assert r.status in (400, 409), r
        assert r.json()["code"] in ("invalid_path", "invalid_argument", "conflict"), r
    assert gw.content(user, "f") == b"x"
