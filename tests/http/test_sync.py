# SPDX-License-Identifier: BSD-2-Clause
"""POST …/sync and GET …/r2-status: the contract, over each server and store."""
import os

import pytest

import mw

SYNC = {"userId": str, "syncId": str, "direction": str, "dryRun": bool, "uploaded": int,
        "downloaded": int, "deleted": int, "skipped": int, "waiting": int, "failed": list,
        "failedCount": int, "newer": list, "newerCount": int, "skippedNames": list,
        "skippedNamesCount": int, "bytes": int, "durationMs": int, "verified": bool,
        "timestamp": str}
STATUS = {"userId": str, "objects": int, "bytes": int, "lastSync": (dict, type(None)),
          "outbox": dict, "differences": (dict, type(None)), "timestamp": str,
          "restoreMissing": list, "restoreMissingCount": int}


def sync(gw, user, query="", **wanted):
    obj = mw.check_json(gw.sync(user, query))
    mw.check_members(obj, SYNC)
    for name, value in wanted.items():
        assert obj[name] == value, (name, value, obj)
    return obj


def status(gw, user):
    obj = mw.check_json(gw.r2_status(user))
    mw.check_members(obj, STATUS, {"differencesError": str})
    mw.check_members(obj["outbox"], {"pending": int, "parked": int, "bytes": int,
                                     "oldestSeconds": int})
    return obj


def write(gw, user, path, content, mode=0o644, mtime=None):
    """As a program in the sandbox does."""
    name = gw.sandbox(user, path)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as f:
        f.write(content)
    os.chmod(name, mode)
    if mtime is not None:
        os.utime(name, (mtime, mtime))


def test_backup_and_status(gw, user):
    gw.put_ok(user, "a", b"by the API")
    write(gw, user, "dir/own", b"by a program", mtime=1.5e9)
    obj = sync(gw, user, uploaded=1, downloaded=0, deleted=0, failed=[], newer=[], verified=True,
               direction="backup", dryRun=False, bytes=12)
    assert gw.content(user, "dir/own", "source=r2") == b"by a program"
    st = status(gw, user)
    assert st["objects"] == 2 and st["bytes"] == 22, st
    assert st["lastSync"]["syncId"] == obj["syncId"], st
    assert st["lastSync"]["files"] == 2 and st["lastSync"]["bytes"] == 22, st
    assert mw.TIME.match(st["lastSync"]["finishedAt"]), st
    assert st["differences"] == {"changed": 0, "unknown": 0, "onlyInR2": 0, "newerInR2": 0,
                                 "waiting": 0}, st
    sync(gw, user, uploaded=0, skipped=2, bytes=0, verified=True)
    write(gw, user, "dir/own", b"again", mtime=1.6e9)
    assert status(gw, user)["differences"]["changed"] == 1
    sync(gw, user, "dryRun=true", uploaded=1, verified=False, dryRun=True, bytes=5)
    assert gw.content(user, "dir/own", "source=r2") == b"by a program"
    sync(gw, user, uploaded=1)
    assert gw.content(user, "dir/own", "source=r2") == b"again"


def test_status_before_a_sync(direct):
    """No manifest says what was equal: sizes show what is not, and the rest is not called
    changed."""
    user = direct.new_user()
    for name in ("same", "equal", "other", "longer"):
        direct.put_ok(user, name, b"12345")
    write(direct, user, "equal", b"54321")
    write(direct, user, "longer", b"123456")
    write(direct, user, "new", b"x")
    mw.check_json(direct.call("POST", "/api/super/users/%s/wake" % user, body=b"", timeout=60))
    st = status(direct, user)
    assert st["differences"] == {"changed": 2, "unknown": 3, "onlyInR2": 0, "newerInR2": 0,
                                 "waiting": 0}, st
    sync(direct, user)
    st = status(direct, user)
    assert (st["differences"]["changed"], st["differences"]["unknown"]) == (0, 0), st


def test_nobody(gw, user):
    st = status(gw, user)
    assert st["objects"] == 0 and st["lastSync"] is None and st["differences"] is None, st
    assert not gw.can_stop or not os.path.exists(gw.sandbox(user)), "a GET made a sandbox"
    mw.check_error(gw.sync(user, "maxWakeTime=0"), "sandbox_hibernating")
    assert status(gw, user)["lastSync"] is None


def test_ours_are_hidden(gw, user):
    gw.put_ok(user, "a", b"x")
    sync(gw, user)
    obj = mw.check_json(gw.list(user, "source=r2&recursive=true"))
    assert [f["relativePath"] for f in obj["files"]] == ["a"]
    mw.check_error(gw.get(user, ".last-sync"), "invalid_path")
    mw.check_error(gw.get(user, ".moltworker/manifest"), "invalid_path")


def test_delete(gw, user):
    for name in ("a", "b", "c"):
        gw.put_ok(user, name, b"x")
    sync(gw, user)
    os.unlink(gw.sandbox(user, "a"))
    sync(gw, user, deleted=0, uploaded=0)
    assert gw.content(user, "a", "source=r2") == b"x"
    assert status(gw, user)["differences"]["onlyInR2"] == 1
    sync(gw, user, "delete=true&dryRun=true", deleted=1)
    assert gw.content(user, "a", "source=r2") == b"x"
    sync(gw, user, "delete=true", deleted=1)
    assert gw.content(user, "a", "source=r2") is None
    os.unlink(gw.sandbox(user, "b"))
    os.unlink(gw.sandbox(user, "c"))
    mw.check_error(gw.sync(user, "delete=true"), "conflict", userId=user)
    assert gw.content(user, "b", "source=r2") == b"x"
    sync(gw, user, "delete=true&force=true", deleted=2)
    assert status(gw, user)["objects"] == 0


def test_restore(gw, user):
    gw.put_ok(user, "old", b"R2's")
    gw.put_ok(user, "kept", b"R2's")
    sync(gw, user)
    os.unlink(gw.sandbox(user, "old"))
    write(gw, user, "kept", b"written since")
    write(gw, user, "own", b"only here")
    sync(gw, user, "direction=restore", downloaded=1, uploaded=0, newer=["/kept"], verified=True)
    assert gw.content(user, "old", "source=container") == b"R2's"
    assert gw.content(user, "kept", "source=container") == b"written since"
    assert gw.content(user, "own", "source=container") == b"only here"
    sync(gw, user, "direction=restore&force=true", downloaded=1, newer=[])
    assert gw.content(user, "kept", "source=container") == b"R2's"
    sync(gw, user, "direction=restore&delete=true", deleted=1, downloaded=0)
    assert gw.content(user, "own", "source=container") is None
    assert gw.content(user, "old", "source=container") == b"R2's"


def test_verify(gw, user):
    """The same size and mtime, and another content."""
    for name in ("a", "b"):
        write(gw, user, name, b"12345", mtime=1.5e9)
    gw.put_ok(user, "c", b"x")
    sync(gw, user, uploaded=2)
    write(gw, user, "a", b"54321", mtime=1.5e9)
    sync(gw, user, uploaded=0)
    sync(gw, user, "direction=restore&verify=true", downloaded=0, newer=["/a"])
    assert gw.content(user, "a", "source=container") == b"54321"
    sync(gw, user, "verify=true", uploaded=1, newer=[], failed=[])
    assert gw.content(user, "a", "source=r2") == b"54321"
    sync(gw, user, "verify=true", uploaded=0, verified=True)


def test_one_sided(gw, user):
    gw.put_ok(user, "a", b"both")
    gw.put_ok(user, "a", b"sandbox", "target=container")
    gw.put_ok(user, "b", b"x")
    mw.check_json(gw.delete(user, "b", "target=container"))
    assert gw.content(user, "a", "source=r2") == b"both"
    sync(gw, user, uploaded=1, deleted=1, failed=[])
    assert gw.content(user, "a", "source=r2") == b"sandbox"
    assert gw.content(user, "b", "source=r2") is None and gw.content(user, "b") is None


def test_modes_times_links(gw, user):
    gw.put_ok(user, "a", b"x")
    write(gw, user, "bin/tool", b"#!/bin/sh\n", 0o755, 1.2e9)
    os.makedirs(gw.sandbox(user, "empty/inner"))
    os.chmod(gw.sandbox(user, "empty"), 0o711)
    os.symlink("../a", gw.sandbox(user, "bin/link"))
    os.symlink("nowhere at all", gw.sandbox(user, "dangling"))
    sync(gw, user, uploaded=1, failed=[])
    for name in ("bin/tool", "bin/link", "dangling"):
        os.unlink(gw.sandbox(user, name))
    os.removedirs(gw.sandbox(user, "empty/inner"))
    os.rmdir(gw.sandbox(user, "bin"))
    sync(gw, user, "direction=restore", downloaded=1, failed=[])
    st = os.stat(gw.sandbox(user, "bin/tool"))
    assert st.st_mode & 0o777 == 0o755 and st.st_mtime == 1.2e9
    assert os.readlink(gw.sandbox(user, "bin/link")) == "../a"
    assert os.readlink(gw.sandbox(user, "dangling")) == "nowhere at all"
    assert os.listdir(gw.sandbox(user, "empty/inner")) == []
    assert os.stat(gw.sandbox(user, "empty")).st_mode & 0o777 == 0o711


def test_excluded(gw, user):
    gw.put_ok(user, "a", b"x")
    for name in ("node_modules/m/index.js", "x/.cache/c", "half.tmp", "kept.txt"):
        write(gw, user, name, b"y")
    sync(gw, user, uploaded=1)
    obj = mw.check_json(gw.list(user, "source=r2&recursive=true"))
    assert [f["relativePath"] for f in obj["files"]] == ["a", "kept.txt"]
    gw.put_ok(user, "by-name.tmp", b"z")        # who writes it by name gets it
    os.unlink(gw.sandbox(user, "by-name.tmp"))
    sync(gw, user, "delete=true", deleted=0)
    assert gw.content(user, "by-name.tmp", "source=r2") == b"z"


def test_names(gw, user):
    gw.put_ok(user, "a", b"x")
    root = gw.sandbox(user).encode()
    good = [b"quote's \"name\"", "ümläut€".encode(), b"-dash", b"a b%20c+d#e?f", b"$(x);&|"]
    bad = [b"new\nline", b"not\xffutf8"]
    for name in good + bad:
        with open(root + b"/" + name, "wb") as f:
            f.write(name)
    obj = sync(gw, user, uploaded=len(good), failed=[], skippedNamesCount=len(bad), verified=True)
    assert sorted(obj["skippedNames"]) == ["/new?line", "/not?utf8"], obj
    for name in good:
        assert gw.content(user, name.decode(), "source=r2") == name
        os.unlink(root + b"/" + name)
    sync(gw, user, "direction=restore", downloaded=len(good), failed=[])
    for name in good:
        with open(root + b"/" + name, "rb") as f:
            assert f.read() == name


def test_planted(gw, user):
    """Links out of the root are links, pipes and sockets are nothing."""
    gw.put_ok(user, "a", b"x")
    secret = gw.path("admin.secret")
    os.symlink(secret, gw.sandbox(user, "link"))
    os.symlink(os.path.dirname(secret), gw.sandbox(user, "dir"))
    os.mkfifo(gw.sandbox(user, "pipe"))
    sync(gw, user, uploaded=0, failed=[])
    assert status(gw, user)["objects"] == 1
    os.unlink(gw.sandbox(user, "link"))
    sync(gw, user, "direction=restore", downloaded=0, failed=[])
    assert os.readlink(gw.sandbox(user, "link")) == secret
    os.unlink(gw.sandbox(user, "pipe"))


@pytest.mark.parametrize("query, name", [
    ("direction=up", "direction"), ("delete=maybe", "delete"), ("dryRun=2", "dryRun"), ("verify=x", "verify"),
    ("force=x", "force"), ("maxWakeTime=-1", "maxWakeTime"), ("maxWakeTime=abc", "maxWakeTime")])
def test_bad_parameters(gw, user, query, name):
    obj = mw.check_error(gw.sync(user, query), "invalid_argument")
    assert name in obj["error"], obj
    assert not os.path.exists(gw.sandbox(user))


def test_methods(gw, user):
    base = "/api/super/users/%s/" % user
    r = gw.call("GET", base + "sync")
    mw.check_error(r, "method_not_allowed")
    assert r.get("Allow") == "POST"
    r = gw.call("POST", base + "r2-status", body=b"")
    mw.check_error(r, "method_not_allowed")
    mw.check_error(gw.call("POST", base + "sync", body=b"", auth=False), "forbidden")
    mw.check_error(gw.call("GET", base + "r2-status", auth=False), "forbidden")
    mw.check_error(gw.call("GET", "/api/super/users/a..b/r2-status"), "invalid_user_id")
