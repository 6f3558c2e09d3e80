# SPDX-License-Identifier: BSD-2-Clause
"""One path that cannot be read, in R2 or in the sandbox, never takes the user down."""
import fcntl
import os
import signal

import pytest

import mw
from s3stub import QUICK
from test_sync_faults import ready, sync, wipe, write

ONE = "users/u/one"
# What a store says when it gives one object to nobody, or a wrong answer for it.
REFUSALS = {
    "denied": dict(status=403), "archived": dict(status=403, code="InvalidObjectState"),
    "encrypted": dict(status=400), "no-etag": dict(lie={"ETag": None}),
    "decoded": dict(lie={"Content-Length": None}),
    "larger": dict(lie={"Content-Length": str(1 << 40)}),
}


@pytest.fixture(params=sorted(REFUSALS))
def refused(request, r2):
    """Objects of u: one that cannot be read, and others.  Its sandbox is a fresh one."""
    ready(r2, "a", "one", "z")
    sync(r2)
    wipe(r2)
    r2.stub.fail(method="GET", key=ONE, times=10 ** 6, **REFUSALS[request.param])
    return r2


def left_behind(entry):
    assert entry["path"] == "/one" and entry["code"] in ("store_error", "file_too_large"), entry
    assert "access_key" not in entry["error"] and "one" in entry["error"], entry


def test_wake_and_exec_go_on(refused):
    mw.check_json(refused.call("POST", "/api/super/users/u/wake", timeout=60))
    for name in "az":
        assert refused.content("u", name, "source=container") == b"content of " + name.encode()
    r = mw.check_json(refused.exec("u", "true"))
    assert r["exitCode"] == 0, r


def test_sync_goes_on(refused):
    obj = sync(refused, "direction=restore", failedCount=1, verified=False)
    left_behind(obj["failed"][0])
    for name in "az":
        assert refused.content("u", name, "source=container") == b"content of " + name.encode()


def test_size_of_the_listing(r2):
    """An object that announces another size than it was listed with is not fetched."""
    ready(r2, "one")
    wipe(r2)
    r2.stub.fail(method="GET", key=ONE, times=10 ** 6, lie={"Content-Length": "3"})
    obj = sync(r2, "direction=restore", failedCount=1)
    left_behind(obj["failed"][0])
    assert "announces 3 bytes, and lists 14" in obj["failed"][0]["error"], obj


def test_manifest_that_cannot_be_read(r2):
    """It is only a memory."""
    ready(r2)
    sync(r2)
    r2.stub.fail(method="GET", key="/.moltworker/manifest", times=10 ** 6, status=403)
    sync(r2, uploaded=0, skipped=1, failed=[], verified=True)


@pytest.mark.parametrize("new", [True, False])
def test_a_listing_that_never_ends(r2, new):
    """Truncated, a new token, no rows: an error after some pages, not a loop."""
    ready(r2)
    pages = [0]

    def page(handler):
        pages[0] += 1
        token = str(pages[0]) if new else "same"
        handler.answer(200, ("<ListBucketResult><IsTruncated>true</IsTruncated>"
                             "<NextContinuationToken>%s</NextContinuationToken>"
                             "</ListBucketResult>" % token).encode())
    r2.stub.list = page
    mw.check_error(r2.sync("u"), "store_error")
    r2.stub.list = None
    assert pages[0] <= 500, pages
    sync(r2, failed=[])


@pytest.fixture
def shut(r2):
    """Directories of u that nobody may list, one of them excluded; R2 has what is in it."""
    if not r2.local or r2.root_inside:
        pytest.skip("no mode stops the sandbox's own user")
    ready(r2, "a", "dir/in", "dir-x/in")
    sync(r2)
    os.chmod(r2.sandbox("u", "dir"), 0)
    yield r2
    if os.path.isdir(r2.sandbox("u", "dir")):
        os.chmod(r2.sandbox("u", "dir"), 0o700)


@pytest.mark.parametrize("query", ["", "delete=true", "delete=true&force=true"])
def test_a_directory_that_cannot_be_listed(shut, query):
    write(shut, "new", b"x")
    obj = sync(shut, query, uploaded=1, deleted=0, failedCount=1, verified=False)
    assert obj["failed"][0]["path"] == "/dir", obj
    assert obj["failed"][0]["code"] == "permission_denied", obj
    assert shut.stub.get("users/u/dir/in") == b"content of dir/in"
    names = [f["relativePath"] for f in mw.check_json(
        shut.list("u", "source=container&recursive=true"))["files"]]
    assert "new" in names and "dir-x/in" in names and "dir/in" not in names, names
    os.chmod(shut.sandbox("u", "dir"), 0o700)
    sync(shut, failed=[], verified=True, uploaded=0)


def test_a_directory_without_search(shut):
    os.chmod(shut.sandbox("u", "dir"), 0o400)
    obj = sync(shut, "delete=true&force=true", deleted=0, failedCount=1)
    assert obj["failed"][0]["path"] == "/dir", obj


@pytest.mark.parametrize("verb", ["sleep", "restart"])
def test_sleep_goes_on(shut, verb):
    write(shut, "new", b"x")
    os.chmod(shut.sandbox("u", "new"), 0)
    obj = mw.check_json(shut.call("POST", "/api/super/users/u/" + verb, timeout=60))
    assert sorted(f["path"] for f in obj["failed"]) == ["/dir", "/new"], obj
    assert obj["currentState"] == ("sleeping" if verb == "sleep" else "active"), obj


def test_excluded_names_are_not_opened(shut):
    os.makedirs(shut.sandbox("u", "node_modules/x"))
    write(shut, "node_modules/f", b"x")
    os.chmod(shut.sandbox("u", "node_modules"), 0)
    os.chmod(shut.sandbox("u", "dir"), 0o700)
    sync(shut, uploaded=0, failed=[], verified=True)
    os.chmod(shut.sandbox("u", "node_modules"), 0o700)


def test_a_lease(shut):
    """A program inside that holds a lease keeps its file from the backup, and no more."""
    os.chmod(shut.sandbox("u", "dir"), 0o700)
    write(shut, "held", b"x")
    fd = os.open(shut.sandbox("u", "held"), os.O_RDWR)
    handler = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        obj = sync(shut, failedCount=1)
        assert obj["failed"][0]["path"] == "/held" and obj["failed"][0]["code"] == "conflict", obj
        mw.check_json(shut.call("POST", "/api/super/users/u/sleep", timeout=60))
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, handler)


def shown(gw, count):
    """What every answer about the user says is missing."""
    u = "/api/super/users/u/"
    for method, path in (("GET", "state"), ("GET", "r2-status"), ("GET", "health"),
                         ("POST", "wake")):
        obj = gw.call(method, u + path, timeout=60).json()
        assert obj["restoreMissingCount"] == count == len(obj["restoreMissing"]), obj
        if count:
            left_behind(obj["restoreMissing"][0])
        if path == "health":
            assert obj["healthy"] is True, obj


def test_not_restored_is_not_absent(refused):
    """It is told, kept in R2 whatever is asked for, and brought as soon as it can be."""
    mw.check_json(refused.exec("u", "true"))
    shown(refused, 1)
    mw.check_error(refused.raw("u", "one", "source=container"), "store_error")
    mw.check_error(refused.raw("u", "never", "source=container"), "file_not_found")
    for query in ("", "delete=true", "delete=true&force=true"):
        sync(refused, query, deleted=0, failed=[], verified=True)
    for verb in ("sleep", "restart"):
        mw.check_json(refused.call("POST", "/api/super/users/u/%s" % verb, timeout=60))
    assert refused.stub.get(ONE) == b"content of one"
    shown(refused, 1)
    # What the sandbox makes in its place does not replace it.
    write(refused, "one", b"made without it")
    for query in ("", "delete=true&force=true", "direction=restore"):
        obj = sync(refused, query, failedCount=1)
        assert obj["failed"][0]["path"] == "/one" and obj["failed"][0]["code"] == "conflict", obj
    assert refused.stub.get(ONE) == b"content of one"
    os.unlink(refused.sandbox("u", "one"))
    # R2 gives it again: the next wake brings it.
    refused.stub.faults.clear()
    mw.check_json(refused.call("POST", "/api/super/users/u/restart", timeout=60))
    assert refused.content("u", "one", "source=container") == b"content of one"
    shown(refused, 0)


def test_a_restore_brings_it(refused):
    sync(refused, "direction=restore", failedCount=1)
    refused.stub.faults.clear()
    sync(refused, "direction=restore", downloaded=1, failed=[])
    shown(refused, 0)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_client_writes_it(refused, method):
    """By its path, through the API: that is the newer truth."""
    refused.exec("u", "true")
    if method == "PUT":
        refused.put_ok("u", "one", b"written")
    else:
        mw.check_json(refused.delete("u", "one"))
    refused.stub.faults.clear()
    shown(refused, 0)
    sync(refused, "delete=true", failed=[], verified=True)
    assert refused.stub.get(ONE) == (b"written" if method == "PUT" else None)


def test_wake_that_must_be_whole(make, stub):
    gw = make(dict(QUICK, **{"wake.restore_failures": "stop", "wake.failure_ttl": 0}),
              store="s3", s3=stub)
    gw.stub = stub
    ready(gw, "a", "one")
    sync(gw)
    wipe(gw)
    stub.fail(method="GET", key=ONE, times=10 ** 6, status=403)
    r = gw.call("POST", "/api/super/users/u/wake", timeout=60)
    mw.check_error(r, "store_error")
    assert "/one" in r.json()["error"], r
    assert gw.call("GET", "/api/super/users/u/state").json()["restoreMissingCount"] == 1
    stub.faults.clear()
    mw.check_json(gw.call("POST", "/api/super/users/u/wake", timeout=60))
    assert gw.content("u", "one", "source=container") == b"content of one"
