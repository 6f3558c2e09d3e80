# SPDX-License-Identifier: BSD-2-Clause
"""A path that is a file, then a directory, then a link: a backup keeps what it is now."""
import os
import shutil

import pytest

from test_sync import sync, write


def names(gw, user):
    r = gw.list(user, "source=r2&recursive=true").json()
    return sorted(f["relativePath"] for f in r["files"] if f["type"] == "file")


def begin(gw, user):
    for i in range(8):
        gw.put_ok(user, "rest%d" % i, b"x")
    gw.put_ok(user, "a", b"a file")
    gw.put_ok(user, "a-b/c", b"between a and a/ in the order of bytes")
    gw.put_ok(user, "d/e", b"in a directory")
    gw.put_ok(user, "d/f/g", b"deeper")


REST = ["a-b/c"] + ["rest%d" % i for i in range(8)]


def to_dir(gw, user):
    os.unlink(gw.sandbox(user, "a"))
    write(gw, user, "a/x/y", b"below a now")
    return ["a/x/y", "d/e", "d/f/g"], 1


def to_empty_dir(gw, user):
    os.unlink(gw.sandbox(user, "a"))
    os.mkdir(gw.sandbox(user, "a"))
    return ["d/e", "d/f/g"], 1


def to_file(gw, user):
    shutil.rmtree(gw.sandbox(user, "d"))
    write(gw, user, "d", b"a file now")
    return ["a", "d"], 2


def file_to_link(gw, user):
    os.unlink(gw.sandbox(user, "a"))
    os.symlink("rest0", gw.sandbox(user, "a"))
    return ["d/e", "d/f/g"], 1


def dir_to_link(gw, user):
    """What the link leads to has the same names."""
    os.rename(gw.sandbox(user, "d"), gw.sandbox(user, "moved"))
    os.symlink("moved", gw.sandbox(user, "d"))
    return ["a", "moved/e", "moved/f/g"], 2


def shape(gw, user):
    """All that is in the sandbox."""
    found, root = {}, gw.sandbox(user)
    for at, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(at, name)
            found[os.path.relpath(path, root)] = (
                os.readlink(path) if os.path.islink(path) else
                open(path, "rb").read() if os.path.isfile(path) else None)
    return found


CHANGES = [to_dir, to_empty_dir, to_file, file_to_link, dir_to_link]


@pytest.mark.parametrize("synced", [True, False], ids=["manifest", "no manifest"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed(gw, user, change, synced):
    begin(gw, user)
    if synced:
        sync(gw, user, failed=[])
    there, gone = change(gw, user)
    sync(gw, user, "dryRun=true", deleted=gone, failed=[])
    sync(gw, user, deleted=gone, failed=[], newer=[], verified=True)
    assert names(gw, user) == sorted(there + REST)
    sync(gw, user, uploaded=0, deleted=0, failed=[], newer=[], verified=True)
    before = shape(gw, user)
    for name in os.listdir(gw.sandbox(user)):
        path = gw.sandbox(user, name)
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    sync(gw, user, "direction=restore", failed=[])
    assert shape(gw, user) == before


@pytest.mark.parametrize("change", CHANGES)
def test_half(gw, user, change):
    """More than half of the files is nobody's intention; the rest is synced."""
    begin(gw, user)
    for i in range(8):
        gw.delete(user, "rest%d" % i)
    gw.delete(user, "a-b/c")
    gw.delete(user, "d/f/g" if change in (to_file, dir_to_link) else "d/e")
    gw.delete(user, "a" if change in (to_file, dir_to_link) else "d/f/g")
    sync(gw, user, failed=[])
    before = names(gw, user)
    there, _ = change(gw, user)
    write(gw, user, "new", b"a new one")
    obj = sync(gw, user, deleted=0, verified=False)
    assert {f["code"] for f in obj["failed"]} == {"conflict"}, obj
    assert "/" + before[0] in [f["path"] for f in obj["failed"]], obj
    assert set(before) | {"new"} <= set(names(gw, user))
    sync(gw, user, "force=true", failed=[], deleted=1, verified=True)
    assert before[0] not in names(gw, user)
    assert gw.content(user, "new", "source=r2") == b"a new one"
