# SPDX-License-Identifier: BSD-2-Clause
"""One path that cannot be read, in R2 or in the sandbox, never takes the user down."""
import pytest

import mw
from test_sync_faults import ready, sync, wipe

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
    assert entry["path"] == "/one" and entry["code"] == "store_error", entry
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
