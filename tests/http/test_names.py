# SPDX-License-Identifier: BSD-2-Clause
"""Odd names round-trip under every server, by path and by ?path=."""
import os

import pytest

import mw

NAMES = [
    "a b", " lead", "trail ", "two  spaces", "a%b", "100%25", "a%2Fb", "%41", "a+b", "++", "a#b",
    "a?b=c&d", "a&b=c", "it's", 'say "hi"', "back\\slash", "a;b", "a:b", "a,b", "a=b", "a@b",
    "$HOME", "`id`", "$(id)", "*", "[a]", "{a}", "<a>", "a|b", "^", "~", "!", "(a)", "-rf", "--",
    "-", "...", "..a", "a..", ".hidden", "a.", "naïve", "日本語", "😀", "Ω≈ç√", "a\u00a0b",
    "a\u2028b", "\ufeffbom", "\u200bzero", "İstanbul", "con", "batch", "files", "health", "raw=1",
    "d e/f g", "d%/f+", "é/ü/ß", ".../x", "-/-", "deep/" * 20 + "f", "x" * 255, "日" * 85,
    "a.txt.gz.", "index.html", ".htaccess", ".htpasswd", "x.php", "x.cgi", "x.fcgi", "cgi-bin/x",
    "'; rm -rf . #", "\\n", "%00", "..%2f", "%2e%2e",
]


def query_target(user, name, more=""):
    return "/api/super/users/%s/files?path=%s%s" % (user, mw.enc(name, b""), more)


def test_round_trip(gw, user):
    """One user for all: each name is gone again before the next one comes."""
    mw.each(NAMES, lambda name: round_trip(gw, user, name))


def round_trip(gw, user, name):
    body = ("content of " + name).encode()
    put = mw.check_json(gw.put(user, name, body))
    assert put["path"].lstrip("/") == name
    with open(os.path.join(gw.sandbox(user), name), "rb") as f:
        assert f.read() == body, "the sandbox has it under exactly this name"
    for source in ("r2", "container"):
        r = gw.raw(user, name, "source=" + source)
        assert r.status == 200 and r.body == body, r
        obj = mw.check_json(gw.get(user, name, "source=" + source))
        assert obj["path"].lstrip("/") == name and obj["content"].encode() == body
        listed = mw.check_json(gw.list(user, "recursive=true&source=" + source))
        assert [f["relativePath"] for f in listed["files"] if f["type"] == "file"] == [name]
        assert [f["name"] for f in listed["files"] if f["type"] == "file"] == [name.split("/")[-1]]
    if gw.s3:
        assert gw.s3.get("users/%s/%s" % (user, name)) == body
    obj = mw.check_json(gw.delete(user, name))
    assert obj["existed"] is True
    assert gw.content(user, name) is None
    assert not os.path.lexists(os.path.join(gw.sandbox(user), name))


def test_round_trip_as_query(gw, user):
    """files?path= takes the same names for PUT, GET with raw=1 or content=1, DELETE."""
    mw.each(NAMES, lambda name: round_trip_as_query(gw, user, name))


def round_trip_as_query(gw, user, name):
    body = ("query " + name).encode()
    r = gw.call("PUT", query_target(user, name), [("Content-Type", "text/plain")], body)
    mw.check_json(r)
    assert gw.call("GET", query_target(user, name, "&raw=1")).body == body
    obj = mw.check_json(gw.call("GET", query_target(user, name, "&content=1")))
    assert obj["content"].encode() == body and obj["path"].lstrip("/") == name
    r = gw.call("HEAD", query_target(user, name, "&raw=1"))
    assert r.status == 200 and r.body == b""
    assert gw.content(user, name) == body
    assert mw.check_json(gw.call("DELETE", query_target(user, name)))["existed"] is True
    r = gw.call("GET", query_target(user, name, "&raw=1"))
    mw.check_error(r, "file_not_found")


def test_plus_in_a_query_is(gw, user):
    """%2B is always a plus."""
    gw.put_ok(user, "a+b", b"plus")
    r = gw.call("GET", "/api/super/users/%s/files?path=a%%2Bb&raw=1" % user)
    assert r.body == b"plus", r


@mw.rows("piece,name", [
    ("a+b", "a+b"), ("a@b:c", "a@b:c"), ("a;b=c", "a;b=c"), ("a,b", "a,b"), ("it's", "it's"),
    ("(x)", "(x)"), ("!$*", "!$*"), ("a&b", "a&b"), ("a%2bb", "a+b"), ("%c3%a9", "é"),
    ("~x", "~x"), ("%7Ex", "~x")])
def test_unencoded(gw, user, piece, name):
    """What RFC 3986 lets stand in a path means itself; hex in either case."""
    base = "/api/super/users/%s/files/%s" % (user, piece)
    mw.check_json(gw.call("PUT", base, [("Content-Type", "text/plain")], b"x"))
    assert gw.content(user, name) == b"x"
    assert os.listdir(gw.sandbox(user)) == [name]
    mw.check_json(gw.delete(user, name))


def test_names_are_bytes(gw, user):
    """Names that differ in case or by a final dot or space are different files."""
    names = ["f", "F", "f.", "f ", " f"]
    for n in names:
        gw.put_ok(user, n, n.encode())
    for n in names:
        for source in ("r2", "container"):
            assert gw.content(user, n, "source=" + source) == n.encode()


def test_encoded_slash(gw, user):
    """%2F separates, as it would in the sandbox: no name can hold a slash."""
    if gw.kind.startswith("htaccess"):
        pytest.skip("AllowEncodedSlashes is not allowed in .htaccess: 404 for %2F; use files?path=")
    base = "/api/super/users/%s/files/d%%2Fe%%2Ff" % user
    mw.check_json(gw.call("PUT", base, [("Content-Type", "text/plain")], b"x"))
    assert gw.content(user, "d/e/f") == b"x"
    assert gw.call("GET", base + "?raw=1").body == b"x"
    assert mw.check_json(gw.call("DELETE", base))["existed"] is True
