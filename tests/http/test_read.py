# SPDX-License-Identifier: BSD-2-Clause
"""GET of a file as JSON and as bytes: members, types, headers."""
import base64
import email.utils
import hashlib
import os
import re
import time

import pytest

import mw

MEMBERS = {"userId": str, "path": str, "content": str, "encoding": str, "isBinary": bool,
           "size": int, "mimeType": str, "etag": str, "lastModified": str, "source": str,
           "timestamp": str}

CONTENTS = [
    ("text", b"hello\n", "utf-8"),
    ("empty", b"", "utf-8"),
    ("utf-8", "naïve 日本語 😀".encode(), "utf-8"),
    ("BOM", b"\xef\xbb\xbfwith a BOM", "utf-8"),
    ("CRLF", b"a\r\nb\r\n", "utf-8"),
    ("quotes", b"\"\\/\b\f\t</script>", "utf-8"),
    ("all ASCII controls", bytes(range(1, 32)) + b"\x7f", "utf-8"),
    ("U+2028", "a\u2028b\u2029c".encode(), "utf-8"),
    ("noncharacter", "\uffff\U0010ffff".encode(), "utf-8"),
    ("Latin-1", b"caf\xe9", "base64"),
    ("lone surrogate", b"\xed\xa0\x80", "base64"),
    ("overlong", b"\xc0\xaf", "base64"),
    ("cut at the end", b"abc\xe2\x82", "base64"),
    ("every byte", bytes(range(256)) * 5, "base64"),
    ("bad only at the end", b"x" * 200000 + b"\xff", "base64"),
    ("cut by blocks", ("é" * 50001).encode(), "utf-8"),
    ("odd and long", b"x" + "日".encode() * 40000, "utf-8"),
    ("NUL", b"a\0b", None),
    ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0", "base64"),
]


def content_of(obj):
    if obj["encoding"] == "base64":
        return base64.b64decode(obj["content"], validate=True)
    return obj["content"].encode("utf-8")


def need_room(gw, body):
    if gw.kind == "htaccess" and len(body) > 131072:
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")


@pytest.mark.parametrize("source", ["auto", "r2", "container"])
@mw.rows("body,encoding", [c[1:] for c in CONTENTS])
def test_json(gw, user, source, body, encoding):
    need_room(gw, body)
    gw.put_ok(user, "d/f.txt", body)
    r = gw.get(user, "d/f.txt", "source=" + source)
    obj = mw.check_json(r)
    mw.check_members(obj, MEMBERS)
    assert obj["userId"] == user and obj["path"].lstrip("/") == "d/f.txt"
    assert obj["size"] == len(body)
    assert content_of(obj) == body
    if encoding:
        assert obj["encoding"] == encoding
    assert obj["isBinary"] is (obj["encoding"] == "base64")
    assert obj["source"] == ("container" if source == "container" else "r2")
    assert mw.TIME.match(obj["timestamp"]) and mw.TIME.match(obj["lastModified"]), obj
    assert obj["mimeType"].split(";")[0] == "text/plain"
    assert int(r.get("X-Attempts")) >= 1


@pytest.mark.parametrize("source", ["auto", "r2", "container"])
@mw.rows("body", [c[1] for c in CONTENTS])
def test_raw(gw, user, source, body):
    need_room(gw, body)
    gw.put_ok(user, "d/f.txt", body)
    before = time.time()
    r = gw.raw(user, "d/f.txt", "source=" + source)
    assert r.status == 200 and r.complete and r.body == body, r
    mw.check_common(r)
    assert r.get("Content-Length") == str(len(body)) or r.get("Transfer-Encoding")
    assert r.get("Content-Type").split(";")[0] == "text/plain"
    assert re.match(r"attachment\b", r.get("Content-Disposition")), r
    assert r.get("Content-Security-Policy") == "sandbox", r
    assert r.get("X-Source") == ("container" if source == "container" else "r2"), r
    assert int(r.get("X-Attempts")) >= 1
    modified = email.utils.parsedate_to_datetime(r.get("Last-Modified")).timestamp()
    assert abs(modified - before) < 60, r
    assert r.get("Accept-Ranges") in (None, "bytes")
    if source != "container":
        assert r.get("ETag") == '"%s"' % hashlib.md5(body).hexdigest() or gw.store == "dir"
        assert re.fullmatch(r'"[^"]+"', r.get("ETag")), r
    assert r.get("Content-Encoding") is None


def test_json_and_raw_agree(gw, user):
    put = gw.put_ok(user, "f.txt", b"hello")
    r = gw.raw(user, "f.txt", "source=r2")
    obj = mw.check_json(gw.get(user, "f.txt", "source=r2"))
    assert obj["etag"] == r.get("ETag") == put["etag"]
    assert obj["lastModified"][:19] == email.utils.parsedate_to_datetime(
        r.get("Last-Modified")).strftime("%Y-%m-%dT%H:%M:%S")


def test_accept_header_means_raw(gw, user):
    gw.put_ok(user, "f.txt", b"hello")
    for accept in ("application/octet-stream", "Application/Octet-Stream",
                   "text/html, application/octet-stream;q=0.5"):
        r = gw.get(user, "f.txt", headers=[("Accept", accept)])
        assert r.status == 200 and r.body == b"hello" and r.get("X-Source"), (accept, r)
    for accept in ("*/*", "application/json", "application/octet-stream-x"):
        mw.check_json(gw.get(user, "f.txt", headers=[("Accept", accept)]))


def test_raw_values(gw, user):
    gw.put_ok(user, "f", b"hello")
    for v in ("1", "true"):
        assert gw.get(user, "f", "raw=" + v).body == b"hello"
    for v in ("0", "false"):
        mw.check_json(gw.get(user, "f", "raw=" + v))


def test_raw_error_is_json(gw, user):
    mw.check_error(gw.raw(user, "nothing"), "file_not_found")


MIME = [("a.txt", "text/plain"), ("a.md", "text/markdown"), ("a.html", "text/html"),
        ("a.json", "application/json"), ("a.png", "image/png"), ("a.JPG", "image/jpeg"),
        ("a.pdf", "application/pdf"), ("a.tar.gz", "application/gzip"),
        ("noending", "application/octet-stream"), (".gitignore", None),
        ("a.unknown-ending", "application/octet-stream"), ("dir.d/x", "application/octet-stream"),
        ("a.svg", "image/svg+xml"), ("a.csv", "text/csv")]


@mw.rows("name,mime", MIME)
def test_mime(gw, user, name, mime):
    """Without a type of its own a file has the one of its name, in every answer."""
    put = gw.put_ok(user, name, b"x")
    seen = {put["mimeType"].split(";")[0]}
    for source in ("r2", "container"):
        seen.add(mw.check_json(gw.get(user, name, "source=" + source))["mimeType"].split(";")[0])
        seen.add(gw.raw(user, name, "source=" + source).get("Content-Type").split(";")[0])
    assert len(seen) == 1, seen
    if mime:
        assert seen == {mime}


LIMIT = 5242880


@pytest.mark.parametrize("source", ["r2", "container"])
def test_max_json(gw, user, source):
    if gw.kind == "htaccess":
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    gw.put_ok(user, "at", b"x" * LIMIT)
    obj = mw.check_json(gw.get(user, "at", "source=" + source))
    assert len(obj["content"]) == LIMIT and obj["size"] == LIMIT
    gw.put_ok(user, "over", b"x" * (LIMIT + 1))
    obj = mw.check_json(gw.get(user, "over", "source=" + source))
    assert "content" not in obj, list(obj)
    assert obj["size"] == LIMIT + 1 and obj["etag"] and "raw=1" in obj["message"], obj
    r = gw.raw(user, "over", "source=" + source)
    assert r.complete and r.body == b"x" * (LIMIT + 1)


def test_json_worst_case_growth(gw, user):
    """Every byte may become six: the answer is still whole."""
    body = b"\x01" * 1000003
    if gw.kind == "htaccess":
        body = body[:100003]
    gw.put_ok(user, "f", body)
    obj = mw.check_json(gw.get(user, "f"))
    assert content_of(obj) == body


def same_headers(a, b):
    drop = {"date", "x-request-id", "connection", "keep-alive", "transfer-encoding", "server"}
    return [sorted((n.lower(), v) for n, v in r.headers if n.lower() not in drop) for r in (a, b)]


@pytest.mark.parametrize("query", ["raw=1", "raw=1&source=r2", "raw=1&source=container"])
def test_head_is_get_without_body(gw, user, query):
    gw.put_ok(user, "f.txt", b"hello, HEAD")
    get = gw.get(user, "f.txt", query)
    head = gw.head(user, "f.txt", query)
    assert head.status == 200 and head.body == b""
    a, b = same_headers(get, head)
    assert a == b


def test_head_range_and_missing(gw, user):
    gw.put_ok(user, "f", b"0123456789")
    r = gw.head(user, "nothing")
    assert r.status == 404 and r.body == b"", r
    r = gw.head(user, "f", "")
    assert r.status == 200 and r.body == b"", r


def test_conditional_get(gw, user):
    etag = gw.put_ok(user, "f", b"hello")["etag"]
    for value in (etag, "W/" + etag, "*", '"other", ' + etag, etag + ',"x"'):
        r = gw.raw(user, "f", "source=r2", [("If-None-Match", value)])
        assert r.status == 304 and r.body == b"", (value, r)
        assert r.get("ETag") == etag, r
        r = gw.head(user, "f", headers=[("If-None-Match", value)])
        assert r.status == 304, r
    for value in ('"other"', 'W/"other"', '"%s' % etag.strip('"')):
        r = gw.raw(user, "f", "source=r2", [("If-None-Match", value)])
        assert r.status in (200, 400) and (r.status == 400 or r.body == b"hello"), (value, r)


def test_conditional_get_of_a_container_copy(gw, user):
    gw.put_ok(user, "f", b"hello", "target=container")
    r = gw.raw(user, "f", "source=container")
    assert r.status == 200 and r.get("ETag").startswith('W/"'), r
    again = gw.raw(user, "f", "source=container", [("If-None-Match", r.get("ETag"))])
    assert again.status == 304 and again.body == b"", again


def test_disposition_is_safe(gw, user):
    """A name cannot end its quotes or start another header."""
    for name in ('a"b.txt', "a;b.txt", "a\\b.txt", "é.txt", "a b.txt"):
        gw.put_ok(user, name, b"x")
        r = gw.raw(user, name)
        value = r.get("Content-Disposition")
        assert value.startswith("attachment"), r
        rest = re.sub(r'"(\\.|[^"\\])*"', "", value)
        assert '"' not in rest and len(rest.split(";")) <= 3, value
        assert len(r.all("Content-Security-Policy")) == 1


@pytest.mark.parametrize("mode,code", [(0o000, "permission_denied"), (0o644, None)])
def test_permission_denied(gw, user, mode, code):
    if code and gw.root_inside:
        pytest.skip("the sandbox's own user is root, whom no mode stops")
    gw.put_ok(user, "f", b"secret", "target=container")
    os.chmod(gw.sandbox(user, "f"), mode)
    r = gw.raw(user, "f", "source=container")
    if code:
        mw.check_error(r, code, userId=user)
        mw.check_error(gw.get(user, "f", "source=container"), code)
    else:
        assert r.body == b"secret"


def test_read_of_a_directory(gw, user):
    gw.put_ok(user, "d/f", b"x")
    for query in ("source=container", "raw=1&source=container"):
        mw.check_error(gw.get(user, "d", query), "conflict", userId=user)
    r = gw.get(user, "d", "source=r2")
    assert r.status in (404, 409), r
