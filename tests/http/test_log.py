# SPDX-License-Identifier: BSD-2-Clause
"""The log: a value cannot look like a field, and a rotated file is left behind."""
import os
import shlex
import signal

import mw


def lines(gw, name="gateway.log"):
    with open(gw.path(name), "rb") as f:
        return f.read().split(b"\n")


def line_of(gw, request_id):
    found = [ln for ln in lines(gw) if b"requestId=" + request_id.encode() in ln]
    assert len(found) == 1, found
    return found[0]


def fields(line):
    """name=value pairs, as a shell would read them."""
    words = shlex.split(line.decode("utf-8"))
    return [w.split("=", 1) for w in words if "=" in w]


FORGED = "x success=true userId=root\" status=\\ \u202egpj.txt"


def test_a_path_cannot_forge_a_field(make):
    gw = make()
    for path, query in ((FORGED, "source=r2"), ("plain.txt", "source=r2")):
        r = gw.call("GET", gw.target("u", path, query), headers=[("X-Request-ID", "log-test-" + str(len(path)))])
        mw.check_error(r, "file_not_found")
        line = line_of(gw, "log-test-" + str(len(path)))
        got = fields(line)
        names = [n for n, _ in got]
        assert len(names) == len(set(names)), "each field once: %r" % line
        got = dict(got)
        assert got["userId"] == "u" and got["success"] == "false" and "error" in got, got
        assert got["path"] == "/" + path.replace("\u202e", "\\u{202e}"), got
        assert "\u202e".encode() not in line and all(b >= 0x20 for b in line), line
    assert b" path=/plain.txt " in line, line


def test_rotation(make):
    """By itself, in processes that serve; HUP ends none of them."""
    gw = make.server("lighttpd", procs=None)
    before = gw.call("GET", gw.target("u", "a", "source=r2"), headers=[("X-Request-ID", "before-rotation")])
    mw.check_error(before, "file_not_found")
    line_of(gw, "before-rotation")
    pids = gw.responders("files.fcgi")
    os.rename(gw.path("gateway.log"), gw.path("gateway.log.1"))
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
    for i in range(10):
        r = gw.call("GET", gw.target("u", "a", "source=r2"), headers=[("X-Request-ID", "after-rotation-%d" % i)])
        mw.check_error(r, "file_not_found")
        line_of(gw, "after-rotation-%d" % i)
    assert not [ln for ln in lines(gw, "gateway.log.1") if b"after-rotation" in ln]
    assert set(pids) <= set(gw.responders("files.fcgi")), "HUP ended a process"
