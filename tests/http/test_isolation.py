# SPDX-License-Identifier: BSD-2-Clause
"""No byte from outside the user's root, and no hang, whatever lies in it."""
import os
import socket
import stat

import pytest

import mw


@pytest.fixture
def two(gw, user):
    other = user + "-other"
    gw.put_ok(user, "mine", b"mine")
    gw.put_ok(other, "theirs", b"theirs")
    return user, other


def test_users_do_not_meet(gw, two):
    a, b = two
    for source in ("auto", "r2", "container"):
        assert gw.content(a, "theirs", "source=" + source) is None
        assert gw.content(b, "mine", "source=" + source) is None
        names = [f["name"] for f in mw.check_json(gw.list(a, "source=" + source))["files"]]
        assert names == ["mine"]
    mw.check_error(gw.delete(a, "theirs"), "file_not_found")
    assert gw.content(b, "theirs") == b"theirs"


def test_a_user_whose_name_begins_alike(gw, user):
    """The prefix users/u1/ must not find users/u10/."""
    gw.put_ok(user + "x", "f", b"other's")
    r = gw.list(user, "source=r2")
    assert r.status == 404 or r.json()["files"] == [], r
    assert gw.content(user, "f") is None


LINKS = [
    ("absolute to the secret", "{dir}/admin.secret"),
    ("up to the secret", "../../admin.secret"),
    ("absolute to another user", "{dir}/sandboxes/{other}/theirs"),
    ("up to another user", "../{other}/theirs"),
    ("passwd", "/etc/passwd"),
    ("proc", "/proc/self/environ"),
    ("dev", "/dev/zero"),
    ("itself", "link"),
    ("dangling", "nowhere"),
    ("very long up", "../" * 40 + "etc/passwd"),
]


@pytest.mark.parametrize("to", [t[1] for t in LINKS], ids=[t[0] for t in LINKS])
def test_planted_link(gw, two, to):
    user, other = two
    os.symlink(to.format(dir=gw.dir, other=other), gw.sandbox(user, "link"))
    for query in ("source=container", "raw=1&source=container", "raw=1"):
        r = gw.get(user, "link", query, timeout=30)
        assert r.status in (403, 404, 409), r
        for text in (b"theirs", gw.secret.encode(), b"root:", b"PATH="):
            assert text not in r.body.replace(b"source", b""), r
    gw.list(user, "source=container&recursive=true", timeout=10)


def test_planted_directory_link(gw, two):
    user, other = two
    os.symlink("/etc", gw.sandbox(user, "etc"))
    os.symlink("../" + other, gw.sandbox(user, "up"))
    for path in ("etc/passwd", "up/theirs", "etc/hostname"):
        r = gw.raw(user, path, "source=container", timeout=10)
        assert r.status in (403, 404, 409), r
        assert b"theirs" not in r.body.replace(path.encode(), b"") and b"root:" not in r.body
    for path in ("up/new", "up/theirs", "up/sub/new"):
        r = gw.put(user, path, b"evil", "target=container", timeout=30)
        assert r.status in (200, 403, 404, 409), r
    assert os.listdir(gw.sandbox(other)) == ["theirs"]
    assert gw.content(other, "theirs", "source=container") == b"theirs"
    gw.delete(user, "up/theirs", timeout=10)
    assert gw.content(other, "theirs", "source=container") == b"theirs"
    r = gw.list(user, "path=up&source=container", timeout=10)
    assert b"theirs" not in r.body, r
    obj = mw.check_json(gw.list(user, "recursive=true&source=container", timeout=10))
    assert not [f for f in obj["files"] if f["relativePath"].startswith(("etc/", "up/"))]


def test_write_through_a_link(gw, two):
    user, other = two
    os.symlink("../%s/theirs" % other, gw.sandbox(user, "link"))
    r = gw.put(user, "link", b"evil", "target=container", timeout=30)
    assert r.status in (200, 403, 409), r
    with open(gw.sandbox(other, "theirs"), "rb") as f:
        assert f.read() == b"theirs"


def test_links_inside_the_root_work(gw, user):
    gw.put_ok(user, "d/f", b"inside")
    os.symlink("d/f", gw.sandbox(user, "link"))
    os.symlink("d", gw.sandbox(user, "dl"))
    assert gw.content(user, "link", "source=container") == b"inside"
    assert gw.content(user, "dl/f", "source=container") == b"inside"


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_special_files_do_not_hang(gw, user, kind):
    gw.put_ok(user, "f", b"x")
    where = gw.sandbox(user, "s")
    if kind == "fifo":
        os.mkfifo(where)
    else:
        s = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(gw.sandbox(user))      # sun_path is short
        s.bind("s")
        os.chdir(here)
        s.close()
    for query in ("source=container", "raw=1&source=container", "raw=1"):
        r = gw.get(user, "s", query, timeout=30)
        assert r.status in (403, 404, 409), r
    r = gw.put(user, "s", b"x", "target=container", timeout=30)
    assert r.status in (200, 403, 409), r
    if r.status == 200:
        assert stat.S_ISREG(os.stat(where).st_mode)
        assert gw.content(user, "s", "source=container") == b"x"
    gw.delete(user, "s", timeout=10)


def test_root_swapped_for_a_link(gw, two):
    """The user's own directory replaced by a link to another's."""
    user, other = two
    os.rename(gw.sandbox(user), gw.sandbox(user + "-moved"))
    os.symlink(other, gw.sandbox(user))
    try:
        r = gw.raw(user, "theirs", "source=container", timeout=10)
        assert r.status != 200 and b"theirs" not in r.body.replace(b"/theirs", b"").replace(
            b'"theirs"', b"").replace(b"theirs:", b""), r
        gw.put(user, "theirs", b"evil", "target=container", timeout=30)
        with open(gw.sandbox(other, "theirs"), "rb") as f:
            assert f.read() == b"theirs"
    finally:
        if os.path.islink(gw.sandbox(user)):
            os.unlink(gw.sandbox(user))
            os.rename(gw.sandbox(user + "-moved"), gw.sandbox(user))


ODD_KEYS = ["../x", "a/../x", "a//b", "/lead", "./dot", "a/.", "..", "trail/", "tab\tname",
            "x" * 300, ".moltworker/x", "e\u0301"]


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_odd_keys_in_r2(gw, user, key):
    """Keys that are no path of ours are never listed as one, and never restored."""
    if not gw.s3:
        pytest.skip("a directory store cannot hold such a key")
    gw.s3.put("users/%s/%s" % (user, key), b"odd")
    gw.s3.put("users/%s/%s" % (user, "ok"), b"fine")
    try:
        obj = mw.check_json(gw.list(user, "recursive=true&source=r2"))
        listed = {f["relativePath"] for f in obj["files"] if f["type"] != "directory"}
        assert "ok" in listed and listed <= {"ok", "e\u0301"}, listed
        for n in listed:
            r = gw.raw(user, n, "source=r2")
            assert r.status == 200, (n, r)
        mw.check_json(gw.list(user, "source=r2"))
        # waking restores: it must not be stopped by the odd one, nor write outside
        assert gw.content(user, "ok", "source=container") == b"fine"
        assert not os.path.exists(gw.path("sandboxes", "x")) and not os.path.exists(gw.path("x"))
    finally:
        gw.s3.delete("users/%s/%s" % (user, key))
