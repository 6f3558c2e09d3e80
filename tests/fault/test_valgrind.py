# SPDX-License-Identifier: BSD-2-Clause
"""Plain CGI requests under Valgrind's memcheck.

Only what is answered from R2: Valgrind does not know openat2(2), without which
neither the directory store nor a sandbox can be reached.  Definite leaks only:
SQLite points into the middle of the blocks that an open database holds.
"""
import glob
import os
import shutil

import pytest

import gateway
import mw

pytestmark = [
    pytest.mark.skipif(gateway.SANITIZED, reason="the programs have sanitizers"),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")]

MEMCHECK = """#!/bin/sh
exec valgrind -q --log-file=%s --leak-check=full --show-leak-kinds=definite %s "$@"
"""


@pytest.fixture
def checked(r2):
    """call(method, target, …): the request under Valgrind, which must find nothing."""
    logs = r2.path("valgrind")
    r2.write("checked-files.fcgi", MEMCHECK % (logs + ".%p", gateway.binary("files.fcgi")), 0o755)

    def call(method, target, headers=(), body=None, **kw):
        return r2.call(method, target, headers, body,
                       responder=r2.path("checked-files.fcgi"), **kw)
    yield call
    found = []
    for log in glob.glob(logs + ".*"):
        with open(log) as f:
            found += [line for line in f if line.startswith("==")]
    assert glob.glob(logs + ".*"), "Valgrind did not run"
    assert not found, "".join(found[:60])


FILES = "/api/super/users/u/files"
TEXT = [("Content-Type", "text/plain")]


def test_put(r2, checked):
    mw.check_json(checked("PUT", FILES + "/d/f?target=r2", TEXT, b"content" * 9999))
    assert r2.stub.get("users/u/d/f") == b"content" * 9999
    r = checked("PUT", FILES + "/d/f?target=r2", TEXT + [("If-None-Match", "*")], b"x")
    mw.check_error(r, "precondition_failed")


def test_put_json(r2, checked):
    doc = b'{"content":"aGVsbG8=","encoding":"base64"}'
    mw.check_json(checked("PUT", FILES + "/f?target=r2", [("Content-Type", "application/json")], doc))
    assert r2.stub.get("users/u/f") == b"hello"
    r = checked("PUT", FILES + "/f?target=r2", [("Content-Type", "application/json")], b"{")
    mw.check_error(r, "invalid_json")


@pytest.mark.parametrize("query", ["", "raw=1", "source=r2"])
def test_get(r2, checked, query):
    r2.stub.put("users/u/f", b"content" * 9999)
    r = checked("GET", FILES + "/f?" + query)
    assert r.status == 200 and r.complete and b"content" in r.body
    mw.check_error(checked("GET", FILES + "/none?source=r2"), "file_not_found")


def test_range(r2, checked):
    r2.stub.put("users/u/f", bytes(range(256)) * 400)
    r = checked("GET", FILES + "/f?raw=1", [("Range", "bytes=300-309")])
    assert r.status == 206 and r.body == bytes(range(44, 54))


def test_list(r2, checked):
    for i in range(40):
        r2.stub.put("users/u/d%d/f" % (i % 7), b"x")
    mw.check_json(checked("GET", FILES + "?source=r2"))
    mw.check_json(checked("GET", FILES + "?source=r2&recursive=true&limit=3"))


def test_delete(r2, checked):
    r2.stub.put("users/u/f", b"x")
    mw.check_json(checked("DELETE", FILES + "/f?target=r2"))
    assert r2.stub.get("users/u/f") is None


def test_r2_fails(r2, checked):
    r2.stub.put("users/u/f", b"x" * 100000)
    r2.stub.fail(status=503, times=2)
    assert checked("GET", FILES + "/f?raw=1&source=r2").status == 200
    r2.stub.fail(drop=True, times=9)
    mw.check_error(checked("GET", FILES + "/f?source=r2"), "store_unavailable")


def test_refused(checked):
    mw.check_error(checked("GET", FILES + "/../../x"), "invalid_path")
    mw.check_error(checked("GET", FILES + "/f?source=nowhere"), "invalid_argument")
    mw.check_error(checked("GET", FILES + "/f", auth=False), "forbidden")
