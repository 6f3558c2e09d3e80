# SPDX-License-Identifier: BSD-2-Clause
"""PUT: JSON documents and raw bytes, targets, limits, and the answer."""
import base64
import hashlib
import itertools
import json
import os
import zlib

import pytest

import mw

MEMBERS = {"userId": str, "path": str, "success": bool, "bytesWritten": int, "mimeType": str,
           "etag": str, "r2Sync": dict, "timestamp": str}
R2SYNC = {"success": bool, "queued": bool, "error": (str, type(None))}


def both(gw, user, path, body):
    for source in ("r2", "container"):
        assert gw.content(user, path, "source=" + source) == body, source


# Rows share a user: none is to find what another wrote.
FRESH = map("d/f{}.txt".format, itertools.count())

GOOD = [
    ("plain", {"content": "hello"}, b"hello"),
    ("empty", {"content": ""}, b""),
    ("encoding utf-8", {"content": "é", "encoding": "utf-8"}, "é".encode()),
    ("base64", {"content": "AP8Q", "encoding": "base64"}, b"\0\xff\x10"),
    ("base64 padded", {"content": "YQ==", "encoding": "base64"}, b"a"),
    ("base64 empty", {"content": "", "encoding": "base64"}, b""),
    ("encoding first", b'{"encoding":"base64","content":"YQ=="}', b"a"),
    ("encoding last", b'{"content":"YQ==","encoding":"base64"}', b"a"),
    ("unknown members", {"x": [1, {"content": "no"}], "content": "yes", "y": None}, b"yes"),
    ("nested content first", b'{"meta":{"content":"no","encoding":"base64"},"content":"yes"}',
     b"yes"),
    ("escapes", b'{"content":"a\\n\\t\\"\\\\\\/\\b\\f\\r\\u0041"}', b'a\n\t"\\/\b\f\rA'),
    ("NUL", b'{"content":"a\\u0000b"}', b"a\0b"),
    ("surrogate pair", b'{"content":"\\ud83d\\ude00"}', "😀".encode()),
    ("surrogate pair upper", b'{"content":"\\uD83D\\uDE00x"}', "😀x".encode()),
    ("raw UTF-8", '{"content":"日本\u2028😀"}'.encode(), "日本\u2028😀".encode()),
    ("white space", b' \n\t{ "content" \r\n:\t"x" } \n', b"x"),
    ("escaped key", b'{"c\\u006fntent":"x"}', b"x"),
    ("BOM inside", b'{"content":"\\ufeffx"}', "\ufeffx".encode()),
    ("deep but allowed", b'{"x":' + b"[" * 30 + b"]" * 30 + b',"content":"x"}', b"x"),
    ("long", {"content": "é" * 100000}, ("é" * 100000).encode()),
    ("long base64", {"content": base64.b64encode(bytes(range(256)) * 1000).decode(),
                     "encoding": "base64"}, bytes(range(256)) * 1000),
    ("big numbers", b'{"n":1e999,"m":-0.0e-1,"k":123456789012345678901234567890,"content":"x"}',
     b"x"),
]


@mw.rows("doc,body", [g[1:] for g in GOOD])
def test_json(gw, user, doc, body):
    if gw.kind == "htaccess" and len(body) > 90000:
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    path = next(FRESH)
    obj = mw.check_json(gw.put_json(user, path, doc))
    mw.check_members(obj, MEMBERS)
    mw.check_members(obj["r2Sync"], R2SYNC)
    assert obj["r2Sync"] == {"success": True, "queued": False, "error": None}
    assert obj["success"] is True and obj["bytesWritten"] == len(body)
    assert obj["userId"] == user and obj["path"].lstrip("/") == path
    assert obj["mimeType"].split(";")[0] == "text/plain" and mw.TIME.match(obj["timestamp"])
    both(gw, user, path, body)


# Not JSON at all: a 400 with the byte offset of the fault.
INVALID = [
    ("nothing", b"", 0), ("word", b"hello", 0), ("cut", b'{"content":"x"', 14),
    ("cut string", b'{"content":"x', 13), ("two documents", b'{"content":"x"} {}', 16),
    ("trailing comma", b'{"content":"x",}', 15), ("single quotes", b"{'content':'x'}", 1),
    ("no colon", b'{"content" "x"}', 11), ("bare key", b'{content:"x"}', 1),
    ("control byte", b'{"content":"a\nb"}', 13), ("NUL byte", b'{"content":"a\0b"}', 13),
    ("bad escape", b'{"content":"\\x"}', 13), ("bad hex", b'{"content":"\\u12g4"}', 16),
    ("lone high surrogate", b'{"content":"\\ud800"}', None),
    ("lone low surrogate", b'{"content":"\\udc00"}', None),
    ("high, then letter", b'{"content":"\\ud800x"}', None),
    ("high, high", b'{"content":"\\ud800\\ud800"}', None),
    ("bad UTF-8", b'{"content":"a\xffb"}', 13), ("overlong", b'{"content":"\xc0\xaf"}', 12),
    ("UTF-8 surrogate", b'{"content":"\xed\xa0\x80"}', None),
    ("bad UTF-8 in a key", b'{"\xff":1,"content":"x"}', 2),
    ("BOM", b'\xef\xbb\xbf{"content":"x"}', 0), ("comment", b'{"content":"x"/**/}', 14),
    ("leading zero", b'{"n":01,"content":"x"}', None), ("NaN", b'{"n":NaN,"content":"x"}', None),
    ("plus", b'{"n":+1,"content":"x"}', 5), ("bare point", b'{"n":1.,"content":"x"}', None),
    ("Infinity", b'{"n":Infinity}', 5), ("tru", b'{"n":tru}', None),
    ("too deep", b'{"x":' + b"[" * 40 + b"]" * 40 + b',"content":"x"}', None),
    ("very deep", b'{"x":' + b"[" * 200000, None), ("mismatch", b'{"x":[}', 6),
    ("UTF-16", '{"content":"x"}'.encode("utf-16-le"), None),
]


@mw.rows("doc,offset", [i[1:] for i in INVALID])
def test_invalid_json(gw, user, doc, offset):
    if gw.kind == "htaccess" and len(doc) > 131072:
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    gw.put_ok(user, "f", b"old")
    obj = mw.check_error(gw.put_json(user, "f", doc), "invalid_json", userId=user)
    numbers = [int(w) for w in "".join(c if c.isdigit() else " " for c in obj["error"]).split()]
    assert numbers, "no byte offset in %r" % obj["error"]
    if offset is not None:      # the faulty byte, counted from 0 or from 1
        assert offset in numbers or offset + 1 in numbers, (offset, obj["error"])
    both(gw, user, "f", b"old")


# JSON, but not what the contract asks for.
WRONG = [
    ("no content", {}), ("null", {"content": None}), ("number", {"content": 1}),
    ("array", {"content": ["x"]}), ("object", {"content": {}}), ("bool", {"content": True}),
    ("top array", [{"content": "x"}]), ("top string", b'"x"'), ("top null", b"null"),
    ("encoding unknown", {"content": "x", "encoding": "utf-16"}),
    ("encoding case", {"content": "x", "encoding": "BASE64"}),
    ("encoding empty", {"content": "x", "encoding": ""}),
    ("encoding number", {"content": "x", "encoding": 1}),
    ("content twice", b'{"content":"a","content":"b"}'),
    ("encoding twice", b'{"content":"YQ==","encoding":"base64","encoding":"utf-8"}'),
    ("base64 letter", {"content": "a*b=", "encoding": "base64"}),
    ("base64 cut", {"content": "YQ=", "encoding": "base64"}),
    ("base64 unpadded", {"content": "YQ", "encoding": "base64"}),
    ("base64 one letter", {"content": "Y", "encoding": "base64"}),
    ("base64 after padding", {"content": "YQ==YQ==", "encoding": "base64"}),
    ("base64 line break", {"content": "YQ==\n", "encoding": "base64"}),
    ("base64 url letters", {"content": "-_-_", "encoding": "base64"}),
    ("base64 UTF-8", {"content": "é", "encoding": "base64"}),
    ("base64 bad late", {"content": "YWJj" * 50000 + "*", "encoding": "base64"}),
    ("base64 bad, encoding last", b'{"content":"a*b=","encoding":"base64"}'),
]


@mw.rows("doc", [w[1] for w in WRONG])
def test_wrong_document(gw, user, doc):
    if gw.kind == "htaccess" and len(doc) and len(json.dumps(doc, default=str)) > 100000:
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    gw.put_ok(user, "f", b"old")
    r = gw.put_json(user, "f", doc)
    assert r.status == 400, r
    mw.check_error(r, r.json()["code"])
    assert r.json()["code"] in ("invalid_argument", "invalid_json"), r
    both(gw, user, "f", b"old")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8",
                                  "Application/JSON", "application/merge-patch+json"])
def test_json_types(gw, user, kind):
    r = gw.put(user, "f", b'{"content":"x"}', headers=[("Content-Type", kind)])
    mw.check_json(r)
    assert gw.content(user, "f") == b"x"


BODIES = [("empty", b""), ("one", b"x"), ("zeroes", b"\0" * 1000), ("every byte", bytes(range(256))),
          ("JSON text", b'{"content":"not unwrapped"}'), ("CRLF", b"\r\n\r\n" * 9),
          ("form", b"a=b&c=d"), ("64 KiB", os.urandom(65536)), ("odd", os.urandom(100001))]


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain",
                                  "application/x-www-form-urlencoded", None])
@mw.rows("body", [b[1] for b in BODIES])
def test_raw(gw, user, body, kind):
    headers = [("X-Admin-Secret", gw.secret)] + ([("Content-Type", kind)] if kind else [])
    path = next(FRESH)
    r = gw.request("PUT", gw.target(user, path), headers, body)
    obj = mw.check_json(r)
    mw.check_members(obj, MEMBERS)
    assert obj["bytesWritten"] == len(body)
    both(gw, user, path, body)


@pytest.mark.parametrize("size", [5 << 20, (32 << 20) - 1, 32 << 20])
def test_big(gw, user, size):
    if gw.kind == "htaccess":
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    body = os.urandom(1 << 20) * (size >> 20) + os.urandom(size & 0xfffff)
    obj = gw.put_ok(user, "big", body, timeout=120)
    assert obj["bytesWritten"] == size
    for source in ("r2", "container"):
        r = gw.raw(user, "big", "source=" + source, timeout=120)
        assert r.complete and hashlib.md5(r.body).digest() == hashlib.md5(body).digest()


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json"])
def test_too_large(gw, user, kind):
    if gw.kind == "htaccess":
        pytest.skip("mod_fcgid's 128 KiB body limit cannot be raised in .htaccess")
    gw.put_ok(user, "f", b"old")
    body = b'{"content":"' + b"x" * ((32 << 20) + 1 - 14) + b'"}'
    r = gw.put(user, "f", body, headers=[("Content-Type", kind)], timeout=120)
    mw.check_error(r, "body_too_large", userId=user)
    both(gw, user, "f", b"old")


@pytest.mark.parametrize("query,r2,box", [
    ("", True, True), ("target=both", True, True), ("target=r2", True, False),
    ("target=container", False, True), ("skipR2=true", False, True), ("skipR2=1", False, True),
    ("skipR2=false", True, True), ("target=both&skipR2=true", False, True)])
def test_target(gw, user, query, r2, box):
    gw.put_ok(user, "f", b"x", query)
    assert (gw.content(user, "f", "source=r2") == b"x") is r2
    if not box:     # r2 only: applied at once if the sandbox is awake, else at its next wake
        assert not os.path.exists(gw.sandbox(user, "f"))
    else:
        assert gw.content(user, "f", "source=container") == b"x"
    assert gw.content(user, "f") == b"x"


def test_r2_write_reaches_an_awake_sandbox(gw, user):
    gw.put_ok(user, "f", b"old")
    gw.put_ok(user, "f", b"new", "target=r2")
    assert gw.content(user, "f", "source=r2") == b"new"
    assert gw.content(user, "f", "source=container") in (b"new", b"old")
    assert gw.content(user, "f") == b"new", "no read returns older content"


@pytest.mark.parametrize("first", ["both", "r2"])
def test_newer_in_the_sandbox_wins(gw, user, first):
    gw.put_ok(user, "f", b"old", "target=" + first)
    gw.put_ok(user, "f", b"newer", "target=container")
    assert gw.content(user, "f") == b"newer"
    obj = mw.check_json(gw.get(user, "f"))
    assert obj["content"] == "newer" and obj["source"] == "container"
    gw.put_ok(user, "f", b"newest")
    both(gw, user, "f", b"newest")
    assert gw.content(user, "f") == b"newest"


def test_overwrite(gw, user):
    for body in (b"first, and longer", b"2", b"", b"fourth"):
        gw.put_ok(user, "f", body)
        both(gw, user, "f", body)


def test_over_a_directory(gw, user):
    gw.put_ok(user, "d/f", b"x")
    mw.check_error(gw.put(user, "d", b"y"), "conflict", userId=user)
    mw.check_error(gw.put_json(user, "d", {"content": "y"}), "conflict")
    both(gw, user, "d/f", b"x")


def test_mode_is_kept(gw, user):
    """Replacing a script leaves it a script; a new file is 0644."""
    gw.put_ok(user, "run.sh", b"1")
    assert os.stat(gw.sandbox(user, "run.sh")).st_mode & 0o777 == 0o644
    os.chmod(gw.sandbox(user, "run.sh"), 0o755)
    gw.put_ok(user, "run.sh", b"2")
    assert os.stat(gw.sandbox(user, "run.sh")).st_mode & 0o777 == 0o755


def test_nothing_left_beside(gw, user):
    gw.put_ok(user, "d/f", b"x" * 100000)
    assert os.listdir(gw.sandbox(user)) == ["d"] and os.listdir(gw.sandbox(user, "d")) == ["f"]


def test_no_content_length(gw, user):
    """A chunked body, where the server takes one, or a clean refusal."""
    if gw.kind == "direct":
        r = gw.call("PUT", gw.target(user, "f"), [("Content-Type", "text/plain")])
        assert r.status in (200, 400, 411), r
        return
    r = gw.call("PUT", gw.target(user, "f"), [("Content-Type", "text/plain"),
                ("Transfer-Encoding", "chunked")], b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert r.status in (200, 400, 411, 501), r
    if r.status == 200:
        both(gw, user, "f", b"abcde")


# ---- what a request says of its body ----

REFUSED = [
    ("part", "Content-Range", "bytes 4-8/9", "invalid_argument"),
    ("part of unknown length", "Content-Range", "bytes 4-8/*", "invalid_argument"),
    ("gzip", "Content-Encoding", "gzip", "unsupported_media_type"),
    ("two codings", "Content-Encoding", "identity, gzip", "unsupported_media_type"),
    ("chunks of S3", "Content-Encoding", "aws-chunked", "unsupported_media_type"),
    ("form", "Content-Type", "multipart/form-data; boundary=b", "unsupported_media_type"),
    ("form in capitals", "Content-Type", "Multipart/Form-Data;boundary=b", "unsupported_media_type"),
]


@pytest.mark.parametrize("name,value,code", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(gw, user, name, value, code):
    """What would make another file of it than the client meant."""
    gw.put_ok(user, "f", b"old")
    obj = mw.check_error(gw.put(user, "f", b"tail!", headers=[(name, value)]), code, userId=user)
    assert (name if name != "Content-Type" else "multipart/form-data") in obj["error"], obj
    if name == "Content-Type":
        assert "curl -X PUT --data-binary @FILE" in obj["error"], obj
    both(gw, user, "f", b"old")


@pytest.mark.parametrize("value", ["identity", "Identity", "identity, identity"])
def test_identity(gw, user, value):
    mw.check_json(gw.put(user, "f", b"new", headers=[("Content-Encoding", value)]))
    both(gw, user, "f", b"new")


def sums(body, change=0):
    """Each header with the right value, of another's making than ours; change: a wrong one."""
    def b64(raw):
        return base64.b64encode(bytes([raw[0] ^ change]) + raw[1:]).decode()
    yield "Content-MD5", b64(hashlib.md5(body).digest())
    yield "x-amz-checksum-crc32", b64(zlib.crc32(body).to_bytes(4, "big"))
    yield "x-amz-checksum-sha1", b64(hashlib.sha1(body).digest())
    yield "x-amz-checksum-sha256", b64(hashlib.sha256(body).digest())
    for name in ("Content-Digest", "Repr-Digest"):
        yield name, "sha-256=:%s:" % b64(hashlib.sha256(body).digest())
        yield name, "x=:AA==:,sha-512=:%s:;a=1 , md5=:%s:" % (
            b64(hashlib.sha512(body).digest()), b64(hashlib.md5(body).digest()))
    if body == b"123456789":
        yield "x-amz-checksum-crc32c", b64(bytes.fromhex("e3069283"))
        yield "x-amz-checksum-crc64nvme", b64(bytes.fromhex("ae8b14860a799888"))


@pytest.mark.parametrize("body", [b"123456789", b"", b"x" * 70000], ids=["nine", "empty", "long"])
def test_sums(gw, user, body):
    for (name, value), (_, wrong) in zip(sums(body), sums(body, 1)):
        gw.put_ok(user, "f", b"old")
        for bad in (wrong, "no base64"):
            mw.check_error(gw.put(user, "f", body, headers=[(name, bad)]), "invalid_argument",
                           userId=user)
            both(gw, user, "f", b"old")
        mw.check_json(gw.put(user, "f", body, headers=[(name, value)]))
        both(gw, user, "f", body)


def test_sum_of_a_document(gw, user):
    """The sum is that of the body, as it is sent; an unknown digest is nobody's."""
    doc = b'{"content":"eA==","encoding":"base64"}'
    md5 = base64.b64encode(hashlib.md5(doc).digest()).decode()
    kind = ("Content-Type", "application/json")
    mw.check_json(gw.put(user, "f", doc, headers=[kind, ("Content-MD5", md5),
                                                  ("Content-Digest", "unixsum=:AAAA:")]))
    both(gw, user, "f", b"x")
    mw.check_error(gw.put(user, "f", doc + b" ", headers=[kind, ("Content-MD5", md5)]),
                   "invalid_argument")
    both(gw, user, "f", b"x")
