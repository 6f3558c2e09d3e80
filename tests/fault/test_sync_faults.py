# SPDX-License-Identifier: BSD-2-Clause
"""Syncs that meet trouble, against the fault-injecting R2; and how many calls they make."""
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

import gateway
import mw
import wakes
from s3stub import QUICK


def sync(gw, query="", **wanted):
    obj = mw.check_json(gw.sync("u", query))
    for name, value in wanted.items():
        assert obj[name] == value, (name, value, obj)
    return obj


def write(gw, path, content, mtime=None):
    name = gw.sandbox("u", path)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as f:
        f.write(content)
    if mtime is not None:
        os.utime(name, (mtime, mtime))


def wipe(gw, user="u"):
    """The sandbox is replaced by an empty one."""
    if not gw.local:
        gw.replace(user)
        return
    gw.end_sandboxes()
    shutil.rmtree(gw.sandbox(user), ignore_errors=True)
    shutil.rmtree(gw.path("sandboxes", ".run", user), ignore_errors=True)


def puts(gw):
    return [c.key for c in gw.stub.calls if c.method == "PUT" and
            "/.moltworker/" not in c.key and "/.last-sync" not in c.key]


def ready(gw, *names):
    for name in names or ("a",):
        gw.put_ok("u", name, b"content of " + name.encode())
    gw.stub.reset()


def test_calls_of_a_second_sync(r2):
    """One listing, the manifest, .last-sync; nothing is read that was not changed."""
    ready(r2)
    os.utime(r2.sandbox("u", "a"), (1e9, 1e9))
    for i in range(20):
        write(r2, "d/%d" % i, b"%d" % i, 1e9 + i)
    sync(r2, uploaded=20)
    assert len(puts(r2)) == 20 and len(set(puts(r2))) == 20
    r2.stub.reset()
    sync(r2, uploaded=0, skipped=21)
    assert [(c.method, c.key) for c in r2.stub.calls] == [
        ("GET", ""), ("GET", "users/u/.moltworker/manifest"), ("PUT", "users/u/.last-sync")]


def test_api_writes_are_not_uploaded_again(r2):
    ready(r2, *["f%d" % i for i in range(10)])
    sync(r2, uploaded=0, skipped=10)
    assert puts(r2) == []


def test_metadata(r2):
    """x-amz-meta-mode and -mtime, for who reads the bucket without us."""
    ready(r2)
    write(r2, "run", b"x", 1234567890.5)
    os.chmod(r2.sandbox("u", "run"), 0o750)
    os.utime(r2.sandbox("u", "run"), (1234567890.5, 1234567890.5))
    sync(r2, uploaded=1)
    meta = r2.stub.objects["users/u/run"][3]
    assert meta == {"x-amz-meta-mode": "0750", "x-amz-meta-mtime": "1234567890.500"}, meta
    # … and without the manifest they are enough.
    r2.stub.objects.pop("users/u/.moltworker/manifest")
    wipe(r2)
    assert r2.content("u", "run", "source=container") == b"x"
    st = os.stat(r2.sandbox("u", "run"))
    assert st.st_mode & 0o777 == 0o750 and st.st_mtime == 1234567890.5


def test_results_that_nobody_knows(r2):
    """Those of jobs whose rows are gone, with state.path, say: a backup removes them."""
    ready(r2)
    jobs = "users/u/.moltworker/jobs/"
    for name, days in (("job-old.out", 9), ("job-old.err", 9), ("job-new.out", 0.5)):
        r2.stub.put(jobs + name, b"x")
        r2.stub.objects[jobs + name] = r2.stub.objects[jobs + name][:4] + (
            time.time() - days * 86400,)
    sync(r2, "dryRun=true")
    sync(r2, "direction=restore")
    assert len(r2.stub.keys(jobs)) == 3
    r2.stub.fail(method="DELETE", key=jobs, times=9, status=503)
    sync(r2, verified=True, deleted=0)
    assert len(r2.stub.keys(jobs)) == 3
    r2.stub.reset()
    sync(r2, verified=True, deleted=0)
    assert r2.stub.keys(jobs) == [jobs + "job-new.out"]


def test_newer_in_r2_is_reported(r2):
    ready(r2)
    sync(r2)
    r2.stub.put("users/u/a", b"from another host")
    sync(r2, uploaded=0, newer=["/a"], failed=[], verified=True)
    assert r2.stub.get("users/u/a") == b"from another host"
    sync(r2, "direction=restore", downloaded=1, newer=[])
    assert r2.content("u", "a", "source=container") == b"from another host"


def test_put_has_the_listed_etag(r2):
    """Somebody writes to R2 between our listing and our put: theirs stays."""
    ready(r2)
    sync(r2)
    write(r2, "a", b"written here")
    r2.stub.fail(method="PUT", key="users/u/a", delay=1)
    done = {}
    t = threading.Thread(target=lambda: done.update(r=sync(r2)))
    t.start()
    while not r2.stub.count("PUT", "users/u/a"):
        time.sleep(0.01)
    call = [c for c in r2.stub.calls if c.method == "PUT" and c.key == "users/u/a"][0]
    assert "if-match" in call.headers
    r2.stub.put("users/u/a", b"theirs")
    t.join()
    assert done["r"]["newer"] == ["/a"] and done["r"]["uploaded"] == 0, done
    assert r2.stub.get("users/u/a") == b"theirs"


def test_new_file_never_replaces(r2):
    ready(r2)
    write(r2, "new", b"mine", 1e9)
    r2.stub.fail(method="PUT", key="users/u/new", delay=1)
    t = threading.Thread(target=sync, args=(r2,))
    t.start()
    while not r2.stub.count("PUT", "users/u/new"):
        time.sleep(0.01)
    r2.stub.put("users/u/new", b"theirs")
    t.join()
    assert r2.stub.get("users/u/new") == b"theirs"


@pytest.mark.parametrize("offset", [-7200, 7200])
def test_clocks_differ(r2, offset):
    """R2's clock is hours off: the sandbox's later write still is the later one."""
    ready(r2)
    stub_time = time.time
    r2.stub.clock = offset
    r2.stub.put("users/u/a", b"R2's own, from before")
    data = r2.stub.objects["users/u/a"]
    r2.stub.objects["users/u/a"] = data[:4] + (stub_time() + offset - 60,)
    write(r2, "a", b"written a minute later")
    sync(r2, uploaded=1, newer=[])
    assert r2.stub.get("users/u/a") == b"written a minute later"
    r2.stub.objects["users/u/a"] = data[:4] + (stub_time() + offset + 60,)
    r2.stub.objects.pop("users/u/.moltworker/manifest")
    sync(r2, uploaded=0, newer=["/a"])


def test_pending_paths_are_left_alone(r2):
    ready(r2)
    sync(r2)
    r2.stub.fail(method="PUT", times=99, status=503)
    assert r2.put_ok("u", "a", b"queued")["r2Sync"]["queued"] is True
    r2.stub.reset()
    write(r2, "a", b"and written here since")
    sync(r2, waiting=1, uploaded=0, failed=[])
    assert r2.stub.get("users/u/a") == b"content of a"
    st = mw.check_json(r2.r2_status("u"))
    assert st["outbox"]["pending"] == 1 and st["differences"]["waiting"] == 1, st
    sync(r2, "direction=restore&force=true", waiting=1, downloaded=0)
    assert r2.content("u", "a", "source=container") == b"and written here since"
    assert r2.drain() == 0
    sync(r2, waiting=0, uploaded=1)
    assert r2.stub.get("users/u/a") == b"and written here since"


def test_pending_is_restored(r2):
    """What only the outbox has comes back into a new sandbox; what it deletes does not."""
    ready(r2, "a", "b")
    r2.stub.down()
    r2.put_ok("u", "new", b"queued")
    r2.put_ok("u", "a", b"queued, too")
    mw.check_json(r2.delete("u", "b"))
    r2.stub.back()
    wipe(r2)
    assert r2.content("u", "new", "source=container") == b"queued"
    assert r2.content("u", "a", "source=container") == b"queued, too"
    assert r2.content("u", "b", "source=container") is None


def test_parked_is_shown(r2):
    ready(r2)
    r2.stub.down()
    r2.put_ok("u", "a", b"queued")
    r2.stub.back()
    r2.stub.fail(method="PUT", times=9, status=403)
    assert r2.drain() == 2
    assert mw.check_json(r2.r2_status("u"))["outbox"]["parked"] == 1
    assert mw.check_json(r2.call("GET", "/api/super/health"))["outbox"]["parked"] == 1
    r2.stub.reset()
    assert r2.put_ok("u", "a", b"again")["r2Sync"]["queued"] is True
    assert r2.drain() == 0
    assert r2.stub.get("users/u/a") == b"again"


@pytest.mark.parametrize("fault", [
    dict(status=500), dict(status=503), dict(status=429), dict(drop=True), dict(cut=3),
    dict(status=500, after=True), dict(drop=True, after=True)])
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_interrupted_and_repeated(r2, method, fault):
    """R2 fails for a while: no .last-sync; then it is run again, and all is there."""
    ready(r2)
    for i in range(12):
        write(r2, "d/%d" % i, b"%d" % i * 100, 1e9 + i)
    if method == "HEAD":
        r2.stub.put("users/u/d/3", b"another")
    r2.stub.fail(method=method, times=9, **fault)
    r = r2.sync("u")
    if r.status != 200 or r.json()["failed"]:
        assert r2.stub.get("users/u/.last-sync") is None
    r2.stub.faults.clear()
    obj = sync(r2, failed=[], verified=True)
    for i in range(12):
        if "/d/%d" % i not in obj["newer"]:
            assert r2.stub.get("users/u/d/%d" % i) == b"%d" % i * 100
    r2.stub.reset()
    sync(r2, uploaded=0)
    assert puts(r2) == []


def test_lost_answer_uploads_once(r2):
    """A put that R2 took, and whose answer was lost, is not "newer in R2"."""
    ready(r2)
    write(r2, "f", b"x", 1e9)
    r2.stub.fail(method="PUT", key="users/u/f", drop=True, after=True)
    sync(r2, uploaded=1, newer=[], failed=[], verified=True)


def test_killed_and_repeated(r2):
    """Killed at some moment: what was uploaded is not uploaded again."""
    ready(r2)
    for i in range(60):
        write(r2, "d/%d" % i, b"%d" % i * 1000, 1e9 + i)
    r2.stub.fail(method="PUT", times=10 ** 6, delay=0.02)
    env = r2.cgi_env("POST", "/api/super/users/u/sync", [("X-Admin-Secret", r2.secret)], 0, None)
    p = subprocess.Popen([gateway.binary("sync.fcgi")], env=env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(puts(r2)) < 25:
        time.sleep(0.005)
    p.send_signal(signal.SIGKILL)
    p.wait()
    time.sleep(0.3)                     # what the stub has in hand
    assert r2.stub.get("users/u/.last-sync") is None
    there = {k for k in r2.stub.keys("users/u/d/")}
    assert 10 <= len(there) < 60, len(there)
    r2.stub.reset()
    obj = sync(r2, failed=[], newer=[], verified=True)
    assert obj["uploaded"] == 60 - len(there), obj
    assert not there & set(puts(r2)), "uploaded twice"


def test_short_download_is_no_file(r2):
    ready(r2, "a", "b")
    wipe(r2)
    r2.stub.fail(method="GET", key="users/u/b", times=99, cut=4)
    r = r2.raw("u", "b", "source=container&maxWakeTime=20000")
    assert r.status == 503, r
    assert not os.path.exists(r2.sandbox("u", "b"))
    mw.check_error(r2.sync("u", "maxWakeTime=0"), "sandbox_hibernating")    # no marker, no backup
    r2.stub.reset()
    time.sleep(0.1)
    deadline = time.monotonic() + 30
    while r2.raw("u", "b", "source=container").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert r2.content("u", "b", "source=container") == b"content of b"


def test_wrong_content_is_no_file(r2):
    ready(r2)
    sync(r2)
    os.unlink(r2.sandbox("u", "a"))
    md5 = '"%s"' % ("0" * 32)
    r2.stub.fail(method="GET", key="users/u/a", times=99, etag=md5)
    mw.check_error(r2.sync("u", "direction=restore"), "store_unavailable")
    assert not os.path.exists(r2.sandbox("u", "a"))


def test_damaged_manifest(r2):
    """It is only a memory: without it everything is compared."""
    ready(r2)
    os.utime(r2.sandbox("u", "a"), (1e9, 1e9))
    write(r2, "f", b"x", 1e9)
    sync(r2, uploaded=1)
    good = r2.stub.get("users/u/.moltworker/manifest")
    for bad in (b"", b"garbage", good[:-8], good.replace(b"\t", b" "), good + b"more\n",
                good.replace(b"f\t", b"f\t../../"), b"\0" * 100, good.replace(b"end\t2", b"end\t3")):
        r2.stub.put("users/u/.moltworker/manifest", bad)
        r2.stub.reset()
        sync(r2, uploaded=0, skipped=2, failed=[])
        assert r2.stub.get("users/u/.moltworker/manifest") == good
    assert "is damaged" in r2.log()


def test_planted_keys(r2):
    """Keys that can be no path are skipped and told, in both directions."""
    ready(r2)
    for key in ("users/u/../x/f", "users/u//f", "users/u/a/./f", "users/u/d/", "users/u/../../etc/x"):
        r2.stub.put(key, b"planted")
    obj = sync(r2, "direction=restore", downloaded=0, failed=[])
    assert obj["skippedNamesCount"] == 5, obj
    sync(r2, "delete=true", deleted=0, uploaded=0)
    assert not os.path.exists(r2.path("sandboxes", "x"))
    assert len(r2.stub.keys("users/u/")) == 8


def test_clash(r2):
    """A directory where R2 has a file fails alone."""
    ready(r2)
    sync(r2)
    r2.stub.put("users/u/d", b"a file")
    write(r2, "d/f", b"x", 1e9)
    obj = sync(r2, uploaded=1, failedCount=1, verified=False)
    assert obj["failed"][0]["path"] == "/d" and obj["failed"][0]["code"] == "conflict", obj
    obj = sync(r2, "direction=restore", downloaded=0, failedCount=1)
    assert os.path.isdir(r2.sandbox("u", "d"))


def test_permission(r2):
    if r2.root_inside:
        pytest.skip("the sandbox's own user is root, whom no mode stops")
    ready(r2)
    write(r2, "secret", b"x", 1e9)
    write(r2, "open", b"y", 1e9)
    os.chmod(r2.sandbox("u", "secret"), 0)
    obj = sync(r2, uploaded=1, failedCount=1, verified=False)
    assert obj["failed"][0]["path"] == "/secret", obj
    assert r2.stub.get("users/u/.last-sync") is None
    os.chmod(r2.sandbox("u", "secret"), 0o600)
    sync(r2, uploaded=1, failed=[], verified=True)


def test_one_at_a_time(r2):
    ready(r2)
    for i in range(8):
        write(r2, "d/%d" % i, b"%d" % i, 1e9 + i)
    r2.stub.fail(method="PUT", key="users/u/d/", times=8, delay=0.5)
    results = []
    threads = [threading.Thread(target=lambda: results.append(sync(r2))) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(r["uploaded"] for r in results) == [0, 0, 8], results


def test_parallel(make, stub):
    """sync.parallel at a time, and no more."""
    gw = make(dict(QUICK, **{"sync.parallel": 4}), store="s3", s3=stub)
    gw.stub = stub
    ready(gw)
    for i in range(16):
        write(gw, "d/%d" % i, b"%d" % i, 1e9 + i)
    stub.fail(method="PUT", key="users/u/d/", times=16, delay=0.2)
    most = [0]

    def watch():
        while not stop.is_set():
            n = len([c for c in list(stub.calls) if c.method == "PUT" and "/d/" in c.key and
                     c.status is None])
            most[0] = max(most[0], n)
            time.sleep(0.002)
    stop = threading.Event()
    t = threading.Thread(target=watch)
    t.start()
    sync(gw, uploaded=16)
    stop.set()
    t.join()
    assert 2 <= most[0] <= 4, most


def test_timeout(make, driver, stub):
    """sync.timeout ends it; what was done is remembered, and the next run goes on."""
    gw = make(dict(QUICK, **{"sync.timeout": wakes.ample(driver, 1500), "sync.parallel": 1}),
              store="s3", s3=stub)
    gw.stub = stub
    ready(gw)
    for i in range(12):
        write(gw, "d/%d" % i, b"%d" % i, 1e9 + i)
    delay = wakes.ample(driver, 300) / 1000
    stub.fail(method="PUT", key="users/u/d/", times=12, delay=delay)
    r = gw.sync("u")
    mw.check_error(r, "deadline_exceeded")
    time.sleep(delay + 0.2)             # what the stub has in hand
    done = len(stub.keys("users/u/d/"))
    assert 1 <= done < 12 and stub.get("users/u/.last-sync") is None
    assert b"d/0" in stub.get("users/u/.moltworker/manifest")
    stub.reset()
    sync(gw, uploaded=12 - done, verified=True)


def test_no_marker_no_backup(r2):
    """The instance changes under a running sync: nothing is taken from it."""
    ready(r2)
    sync(r2)
    os.unlink(r2.run_dir("u", "instance"))
    os.unlink(r2.sandbox("u", "a"))
    sync(r2, "delete=true&force=true", deleted=0)   # woken first: restored, not mirrored
    assert r2.stub.get("users/u/a") == b"content of a"
    assert r2.content("u", "a", "source=container") == b"content of a"


def test_file_that_grows(r2):
    """It is uploaded as it was at one moment, and again the next time."""
    ready(r2)
    write(r2, "log", b"0\n")
    stop = threading.Event()

    def grow():
        n = 0
        while not stop.wait(0.001):
            n += 1
            with open(r2.sandbox("u", "log"), "ab") as f:
                f.write(b"%d\n" % n)
    t = threading.Thread(target=grow)
    t.start()
    obj = sync(r2)
    stop.set()
    t.join()
    assert obj["uploaded"] in (0, 1)
    sync(r2, failed=[])
    with open(r2.sandbox("u", "log"), "rb") as f:
        assert r2.stub.get("users/u/log") == f.read()


def test_racy(r2):
    """Two writes of one size within one tick of the file system's clock."""
    ready(r2)
    write(r2, "f", b"one")
    st = os.stat(r2.sandbox("u", "f"))
    sync(r2, uploaded=1)
    write(r2, "f", b"two")
    os.utime(r2.sandbox("u", "f"), ns=(st.st_atime_ns, st.st_mtime_ns))
    sync(r2, uploaded=1)
    assert r2.stub.get("users/u/f") == b"two"


def test_mode_alone(r2):
    """chmod uploads nothing, and is restored."""
    ready(r2)
    write(r2, "f", b"x", 1e9)
    sync(r2, uploaded=1)
    os.chmod(r2.sandbox("u", "f"), 0o700)
    r2.stub.reset()
    sync(r2, uploaded=0)
    assert puts(r2) == []
    wipe(r2)
    assert r2.content("u", "f", "source=container") == b"x"
    assert os.stat(r2.sandbox("u", "f")).st_mode & 0o777 == 0o700


def test_r2_status_when_r2_is_down(r2):
    ready(r2)
    r2.stub.down()
    mw.check_error(r2.r2_status("u"), "store_unavailable")
    mw.check_error(r2.sync("u"), "store_unavailable")
    r2.stub.back()


def test_multipart(r2):
    """An ETag that is no MD5: size and the recorded mtime have to do."""
    ready(r2)
    write(r2, "big", b"x" * 1000, 1e9)
    sync(r2, uploaded=1)
    body, _, kind, meta, when = r2.stub.objects["users/u/big"]
    r2.stub.objects["users/u/big"] = (body, '"%s-2"' % ("a" * 32), kind, meta, when)
    r2.stub.objects.pop("users/u/.moltworker/manifest")
    r2.stub.reset()
    sync(r2, uploaded=0, failed=[], newer=[])
    assert puts(r2) == []


def test_empty_directory_of_pending_deletes(r2):
    """A directory that the outbox is about to empty is not listed."""
    ready(r2, "d/a", "d/b", "e/a", "e/b", "top")
    r2.stub.fail(method="DELETE", times=99, status=503)
    for name in ("d/a", "d/b", "e/a"):
        assert mw.check_json(r2.delete("u", name))["r2Sync"]["queued"] is True
    r2.stub.faults.clear()
    obj = mw.check_json(r2.list("u", "source=r2"))
    assert [f["relativePath"] for f in obj["files"]] == ["e", "top"], obj
    mw.check_error(r2.list("u", "source=r2&path=/d"), "file_not_found")
    assert r2.drain() == 0
    assert [f["relativePath"] for f in mw.check_json(r2.list("u", "source=r2"))["files"]] == ["e", "top"]


def test_r2_alone_is_in_the_outbox_first(r2):
    """target=r2, and the process dies with the put in hand: the sandbox hears of it."""
    ready(r2)
    r2.stub.fail(method="PUT", key="users/u/a", delay=1, after=True)
    target = r2.target("u", "a", "target=r2")
    env = r2.cgi_env("PUT", target, [("X-Admin-Secret", r2.secret),
                                     ("Content-Type", "application/octet-stream")], 3, None)
    p = subprocess.Popen([gateway.binary("files.fcgi")], env=env, stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    p.stdin.write(b"new")
    p.stdin.close()
    while not r2.stub.count("PUT", "users/u/a"):
        time.sleep(0.01)
    p.kill()
    p.wait()
    assert mw.check_json(r2.r2_status("u"))["outbox"]["pending"] == 1
    assert r2.content("u", "a") == b"new"
    assert r2.drain() == 0
    sync(r2, uploaded=0)
    assert r2.content("u", "a", "source=container") == b"new"


def test_lost_mount(make):
    """The directory of the store is empty all of a sudden: not mounted, not new."""
    gw = make(QUICK)
    gw.put_ok("u", "a", b"x")
    os.rename(gw.path("store"), gw.path("store.away"))
    for again in range(2):
        mw.check_error(gw.raw("u", "a", "source=r2"), "store_unavailable")
        assert mw.check_json(gw.put("u", "b", b"y"))["r2Sync"]["queued"] is True
        if again == 0:
            os.mkdir(gw.path("store"))
    assert os.listdir(gw.path("store")) == []
    os.rmdir(gw.path("store"))
    os.rename(gw.path("store.away"), gw.path("store"))
    assert gw.content("u", "a", "source=r2") == b"x"
    assert gw.drain() == 0
    assert gw.content("u", "b", "source=r2") == b"y"


def test_a_file_larger_than_the_disk(r2):
    """A sandbox can claim any size for nothing; the gateway's disk is not filled with it."""
    ready(r2)
    write(r2, "sparse", b"")
    os.truncate(r2.sandbox("u", "sparse"), 1 << 43)
    write(r2, "b", b"b")
    obj = mw.check_json(r2.sync("u", ""))
    assert [f["path"] for f in obj["failed"]] == ["/sparse"] and obj["uploaded"] == 1, obj
    assert obj["failed"][0]["code"] == "file_too_large", obj
    assert r2.stub.get("users/u/b") == b"b" and not os.listdir(r2.path("state", "spool"))
