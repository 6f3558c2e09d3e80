# SPDX-License-Identifier: BSD-2-Clause
"""Raw transfers take constant memory: 1 GiB up and down, the responder below 16 MiB.

MW_BIG sets the size in bytes.
"""
import hashlib
import os
import shutil
import subprocess
import threading
import time

import pytest

import gateway
import mw

SIZE = int(os.environ.get("MW_BIG", str(1 << 30)))
LIMIT_KB = 16 * 1024
PIECE = 1 << 20


def pieces(size):
    """size bytes, made as they are sent; every MiB is another."""
    base = bytearray(os.urandom(PIECE))
    for i in range(0, size, PIECE):
        base[:8] = i.to_bytes(8, "big")
        yield bytes(base[:min(PIECE, size - i)])


def peak(pid):
    """VmHWM in KiB, or 0 when the process is gone."""
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def need_room(copies):
    free = shutil.disk_usage("/tmp").free
    if free < (copies + 1) * SIZE:
        pytest.skip("needs %d MiB below /tmp" % ((copies + 1) * SIZE >> 20))


def cgi(gw, method, target, headers, feed=None, sink=None):
    """A plain CGI request that streams; returns (head, peak KiB)."""
    env = gw.cgi_env(method, target, headers + [("X-Admin-Secret", gw.secret)],
                     SIZE if feed else None, None)
    p = subprocess.Popen([gateway.binary("files.fcgi")], env=env, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    top, over = [0], threading.Event()

    def watch():
        while not over.wait(0.01):
            top[0] = max(top[0], peak(p.pid))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for piece in feed or ():
            p.stdin.write(piece)
        p.stdin.close()
        head = b""
        while b"\r\n\r\n" not in head:
            got = os.read(p.stdout.fileno(), 65536)
            if not got:
                break
            head += got
        head, _, rest = head.partition(b"\r\n\r\n")
        body = [rest] if not sink else []
        if sink:
            sink(rest)
        while True:
            got = p.stdout.read1(1 << 16)
            if not got:
                break
            sink(got) if sink else body.append(got)
    finally:
        p.stdout.close()
        p.wait(600)
        over.set()
        watcher.join()
    return gateway.parse_cgi(head + b"\r\n\r\n" + b"".join(body), "HEAD" if sink else method, 0), top[0]


SETTINGS = {"http.max_body": SIZE + 1000, "outbox.max_bytes": 4 << 30, "store.timeout": 600000,
            "sandbox.timeout": 600000}


@pytest.mark.parametrize("source", ["r2", "container"])
def test_direct(make, source):
    need_room(3)
    gw = make(SETTINGS)
    put, down = hashlib.md5(), hashlib.md5()

    def feed():
        for piece in pieces(SIZE):
            put.update(piece)
            yield piece
    target = "r2" if source == "r2" else "container"
    r, up_kb = cgi(gw, "PUT", gw.target("u", "big", "target=" + target),
                   [("Content-Type", "application/octet-stream")], feed())
    obj = mw.check_json(r)
    assert obj["bytesWritten"] == SIZE
    r, down_kb = cgi(gw, "GET", gw.target("u", "big", "raw=1&source=" + source), [],
                     sink=down.update)
    assert r.status == 200 and put.digest() == down.digest()
    print("peak KiB: up %d, down %d" % (up_kb, down_kb))
    assert 0 < up_kb < LIMIT_KB and 0 < down_kb < LIMIT_KB, (up_kb, down_kb)
    obj = mw.check_json(gw.get("u", "big", "source=" + source))
    assert "content" not in obj and obj["size"] == SIZE


def test_behind_lighttpd(make):
    need_room(5)
    gw = make.server("lighttpd", SETTINGS, procs=1)
    put, down = hashlib.md5(), hashlib.md5()

    def feed():
        for piece in pieces(SIZE):
            put.update(piece)
            yield piece
    start = time.monotonic()
    r = mw.exchange(("127.0.0.1", gw.port), "PUT", gw.target("u", "big"),
                    [("X-Admin-Secret", gw.secret), ("Content-Type", "text/plain")], feed(),
                    timeout=600, length=SIZE)
    assert mw.check_json(r)["bytesWritten"] == SIZE
    r = mw.exchange(("127.0.0.1", gw.port), "GET", gw.target("u", "big", "raw=1"),
                    [("X-Admin-Secret", gw.secret)], timeout=600, sink=down.update)
    assert r.status == 200 and r.complete and put.digest() == down.digest()
    (pid,) = gw.responders()
    print("peak KiB %d, %.1f s" % (peak(pid), time.monotonic() - start))
    assert 0 < peak(pid) < LIMIT_KB, peak(pid)


def test_a_megabyte_json_holds_little(make):
    """No content is held twice: 4 MiB as JSON, in base64."""
    gw = make()
    body = os.urandom(4 << 20)
    gw.put_ok("u", "f", body)
    total = []
    r, kb = cgi(gw, "GET", gw.target("u", "f"), [], sink=lambda b: total.append(len(b)))
    assert r.status == 200 and sum(total) > len(body) * 4 // 3
    assert 0 < kb < LIMIT_KB, kb
