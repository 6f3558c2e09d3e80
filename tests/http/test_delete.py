# SPDX-License-Identifier: BSD-2-Clause
"""DELETE removes in both places, and what is deleted stays deleted."""
import os

import pytest

import mw

MEMBERS = {"success": bool, "existed": bool, "r2Sync": dict}
MORE = {"userId": str, "path": str, "timestamp": str}


@pytest.mark.parametrize("put", ["both", "r2", "container"])
def test_delete(gw, user, put):
    gw.put_ok(user, "keep", b"k")
    gw.put_ok(user, "d/f", b"x", "target=" + put)
    r = gw.delete(user, "d/f")
    obj = mw.check_json(r)
    mw.check_members(obj, MEMBERS, MORE)
    mw.check_members(obj["r2Sync"], {"success": bool, "queued": bool,
                                     "error": (str, type(None))})
    assert obj["success"] is True and obj["existed"] is True
    assert obj["r2Sync"]["success"] is True and obj["r2Sync"]["queued"] is False
    for query in ("", "source=r2", "source=container"):
        assert gw.content(user, "d/f", query) is None, query
        assert gw.content(user, "keep", query) == b"k"


def test_missing(gw, user):
    r = gw.delete(user, "nothing")
    obj = mw.check_error(r, "file_not_found", userId=user)
    assert obj["triedSources"] == ["r2", "container"]


def test_twice(gw, user):
    gw.put_ok(user, "f", b"x")
    mw.check_json(gw.delete(user, "f"))
    mw.check_error(gw.delete(user, "f"), "file_not_found")


@pytest.mark.parametrize("target,r2,box", [("both", False, False), ("r2", False, True),
                                           ("container", True, False)])
def test_target(gw, user, target, r2, box):
    gw.put_ok(user, "f", b"x")
    mw.check_json(gw.delete(user, "f", "target=" + target))
    if target != "r2":      # a delete in R2 alone may reach an awake sandbox at once
        assert os.path.exists(gw.sandbox(user, "f")) is box
    assert (gw.content(user, "f", "source=r2") is not None) is r2
    assert gw.content(user, "f") is None, "deleted: auto must not serve the other side's copy"


def test_write_after_delete(gw, user):
    gw.put_ok(user, "f", b"1")
    for target in ("both", "r2", "container"):
        mw.check_json(gw.delete(user, "f", "target=" + target))
        gw.put_ok(user, "f", b"again")
        for query in ("", "source=r2", "source=container"):
            assert gw.content(user, "f", query) == b"again", (target, query)


def test_directory(gw, user):
    gw.put_ok(user, "d/f", b"x")
    mw.check_error(gw.delete(user, "d"), "conflict", userId=user)
    assert gw.content(user, "d/f") == b"x"


def test_symlink_is_removed_not_followed(gw, user):
    gw.put_ok(user, "f", b"x")
    os.symlink("f", gw.sandbox(user, "link"))
    r = gw.delete(user, "link")
    assert r.status == 200, r
    assert not os.path.lexists(gw.sandbox(user, "link"))
    assert gw.content(user, "f") == b"x"


def test_stays_deleted_through_a_restore(gw, user):
    """The sandbox starts anew, empty: restore must not bring the file back."""
    gw.put_ok(user, "keep", b"k")
    gw.put_ok(user, "f", b"x")
    mw.check_json(gw.delete(user, "f"))
    gw.end_sandboxes()
    assert gw.content(user, "f", "source=container") is None
    assert gw.content(user, "keep", "source=container") == b"k"
    assert gw.content(user, "f") is None


def test_body_is_ignored(gw, user):
    gw.put_ok(user, "f", b"x")
    r = gw.delete(user, "f", body=b'{"x":1}')
    mw.check_json(r)
