# SPDX-License-Identifier: BSD-2-Clause
"""Range requests on raw reads (RFC 9110 14), from both sources."""
import pytest

import mw

EVERY_SERVER = True     # see mwfixtures.py

BODY = bytes(range(256)) * 4
N = len(BODY)

SERVED = [
    ("bytes=0-0", 0, 0),
    ("bytes=0-99", 0, 99),
    ("bytes=100-199", 100, 199),
    ("bytes=1000-", 1000, N - 1),
    ("bytes=0-", 0, N - 1),
    ("bytes=1023-1023", 1023, 1023),
    ("bytes=1000-99999999999999", 1000, N - 1),
    ("bytes=-1", N - 1, N - 1),
    ("bytes=-100", N - 100, N - 1),
    ("bytes=-1024", 0, N - 1),
    ("bytes=-99999", 0, N - 1),
    ("Bytes=5-9", 5, 9),
    ("bytes= 5-9", 5, 9),
]
BEYOND = ["bytes=1024-", "bytes=1024-1025", "bytes=99999-", "bytes=-0",
          "bytes=9223372036854775807-"]
IGNORED = ["bytes=5-2", "bytes=a-b", "bytes=", "bytes", "lines=0-5", "bytes=--5", "bytes=5",
           "bytes=0x1-0x2", "bytes=1.5-3", "bytes=-", "0-5", "bytes=99999999999999999999999-5",
           "bytes=0-1,", "bytes=+1-2"]
SEVERAL = ["bytes=0-1,5-6", "bytes=0-0,-1", "bytes=0-1,0-1,0-1"]
SOURCES = ["r2", "container"]


@pytest.fixture
def file(gw, user):
    gw.put_ok(user, "f.bin", BODY)

    def get(value, source, *more, method="GET"):
        return gw.call(method, gw.target(user, "f.bin", "raw=1&source=" + source),
                       [("Range", value)] + list(more))
    get.gw, get.user = gw, user
    return get


@pytest.mark.parametrize("source", SOURCES)
@mw.rows("value,first,last", SERVED)
def test_served(file, source, value, first, last):
    r = file(value, source)
    if value == "bytes= 5-9" and r.status == 200:
        assert r.body == BODY       # the grammar has no space there; ignoring it is right too
        return
    assert r.status == 206 and r.complete, r
    assert r.body == BODY[first:last + 1]
    assert r.get("Content-Range") == "bytes %d-%d/%d" % (first, last, N), r
    assert r.get("Content-Length") == str(last - first + 1), r
    assert r.get("ETag") and r.get("X-Source") == source
    mw.check_common(r)


@pytest.mark.parametrize("source", SOURCES)
@mw.rows("value", BEYOND)
def test_beyond(file, source, value):
    r = file(value, source)
    mw.check_error(r, "range_not_satisfiable")
    assert r.get("Content-Range") == "bytes */%d" % N, r


@pytest.mark.parametrize("source", SOURCES)
@mw.rows("value", IGNORED + SEVERAL)
def test_ignored(file, source, value):
    """Malformed, other units, or several: the whole file (RFC 9110 14.2)."""
    r = file(value, source)
    if value == "bytes=0-1," and r.status == 206:
        assert r.body == BODY[:2]   # an empty list element may be ignored
        return
    assert r.status == 200 and r.body == BODY and r.complete, r
    assert r.get("Content-Range") is None


@pytest.mark.parametrize("source", SOURCES)
def test_head(file, source):
    get, head = file("bytes=5-9", source), file("bytes=5-9", source, method="HEAD")
    # RFC 9110 14.2: Range is defined for GET only; a HEAD may answer either way
    assert head.status in (200, 206) and head.body == b"", head
    if head.status == 206:
        assert head.get("Content-Range") == get.get("Content-Range")


@pytest.mark.parametrize("source", SOURCES)
def test_json_read_ignores_range(file, source):
    gw, user = file.gw, file.user
    obj = mw.check_json(gw.get(user, "f.bin", "source=" + source, [("Range", "bytes=0-1")]))
    assert obj["size"] == N


def test_if_range(file):
    etag = file("bytes=0-0", "r2").get("ETag")
    r = file("bytes=5-9", "r2", ("If-Range", etag))
    assert r.status == 206 and r.body == BODY[5:10], r
    for other in ('"other"', "W/" + etag, "Wed, 21 Oct 2015 07:28:00 GMT"):
        r = file("bytes=5-9", "r2", ("If-Range", other))
        assert r.status == 200 and r.body == BODY, (other, r)
    r = file("bytes=99999-", "r2", ("If-Range", '"other"'))
    assert r.status == 200 and r.body == BODY, r


def test_if_range_never_matches_a_weak_tag(file):
    weak = file("bytes=0-0", "container").get("ETag")
    r = file("bytes=5-9", "container", ("If-Range", weak))
    if weak.startswith("W/"):
        assert r.status == 200 and r.body == BODY, r


def test_if_none_match_wins(file):
    etag = file("bytes=0-0", "r2").get("ETag")
    r = file("bytes=0-1", "r2", ("If-None-Match", etag))
    assert r.status == 304, r


@pytest.mark.parametrize("source", SOURCES)
def test_empty_file(gw, user, source):
    gw.put_ok(user, "e", b"")
    r = gw.raw(user, "e", "source=" + source, [("Range", "bytes=0-")])
    mw.check_error(r, "range_not_satisfiable")
    assert r.get("Content-Range") == "bytes */0"


@pytest.mark.parametrize("source", SOURCES)
def test_resumed_download(gw, user, source):
    """A client that takes the file in pieces gets the file."""
    body = bytes((i * 7 + i // 251) & 255 for i in range(100000))
    gw.put_ok(user, "big", body)
    got = b""
    while len(got) < len(body):
        r = gw.raw(user, "big", "source=" + source,
                   [("Range", "bytes=%d-%d" % (len(got), len(got) + 17999))])
        assert r.status == 206
        got += r.body
    assert got == body
