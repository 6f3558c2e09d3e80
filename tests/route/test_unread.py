# SPDX-License-Identifier: BSD-2-Clause
"""A body that nobody reads: the answer comes at once and whole, whoever still writes."""
import contextlib
import os
import socket
import struct
import subprocess

import pytest

import gateway
import mw

BEGIN = struct.pack(">BBHHBBHB5x", 1, 1, 1, 8, 0, 0, 1, 0)
END_OF_BODY = struct.pack(">BBHHBB", 1, 5, 1, 0, 0, 0)
READ = 8192         # what libfcgi reads at once


def environment(gw, secret):
    """A PUT of a megabyte."""
    return gw.cgi_env("PUT", gw.target("u", "f"), [("X-Admin-Secret", secret),
                      ("Content-Type", "text/plain")], 1000000, gw.new_address())


def start(gw, stdin, stdout, **kw):
    return subprocess.Popen([gateway.binary("files.fcgi")], stdin=stdin, stdout=stdout,
                            stderr=subprocess.DEVNULL, **kw)


def to_the_end(sock):
    data = b""
    while True:
        got = sock.recv(65536)
        if not got:
            return data
        data += got


# mod_cgi has pipes; mod_cgid one socket for both directions.
@pytest.mark.parametrize("how", ["pipe", "socket"])
@pytest.mark.parametrize("secret,target,code", [
    ("wrong", None, "forbidden"), (None, "/api/super/none", "not_found")], ids=["403", "404"])
def test_plain_cgi_waits_for_no_body(direct, how, secret, target, code):
    env = environment(direct, secret or direct.secret)
    if target:
        env["REQUEST_URI"] = target
    if how == "pipe":
        p = start(direct, subprocess.PIPE, subprocess.PIPE, env=env)
        p.stdin.write(b"x" * 5000)
        p.stdin.flush()
        p.wait(20)          # it would have waited for us, and longer
        out = p.stdout.read()
    else:
        ours, its = socket.socketpair()
        with ours:
            ours.sendall(b"x" * 5000)
            with its:
                p = start(direct, its, its, env=env)
            p.wait(20)
            out = to_the_end(ours)
            with pytest.raises(BrokenPipeError):
                ours.sendall(b"x")
    if how == "pipe":
        p.stdout.close()
        with pytest.raises(BrokenPipeError):
            p.stdin.write(b"x" * 100000)
            p.stdin.flush()
        try:
            p.stdin.close()
        except BrokenPipeError:
            pass
    mw.check_error(gateway.parse_cgi(out, "PUT", 0), code)


def params(env, total):
    """FastCGI records of these variables and of one more that makes them `total` bytes long."""
    def pair(name, value):
        return struct.pack(">BI", len(name), len(value) | 1 << 31) + name + value

    data = b"".join(pair(n.encode(), v.encode("utf-8", "surrogateescape"))
                    for n, v in env.items())
    data += pair(b"X", b"x" * (total - 16 - len(data) - len(pair(b"X", b""))))
    return struct.pack(">BBHHBB", 1, 4, 1, len(data), 0, 0) + data + \
        struct.pack(">BBHHBB", 1, 4, 1, 0, 0, 0)


@contextlib.contextmanager
def connected(gw):
    """A connection to a FastCGI responder of its own."""
    path = gw.path("unread.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        p = start(gw, listener, subprocess.DEVNULL, env=gw.env())
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            yield sock
    finally:
        p.terminate()
        p.wait(20)
        os.unlink(path)


def test_fastcgi_reads_the_end_of_a_body(direct):
    """Caddy takes the unread record that ends a body for a broken connection."""
    env = {"HTTP_X_ADMIN_SECRET": "wrong", "REQUEST_METHOD": "GET",
           "REQUEST_URI": "/api/super/none", "REMOTE_ADDR": direct.new_address()}
    with connected(direct) as sock:
        sock.sendall(BEGIN + params(env, READ - len(BEGIN)) + END_OF_BODY)
        assert b"Status: 403" in to_the_end(sock)


@pytest.mark.parametrize("length", ["-1", None])
def test_fastcgi_body_of_no_known_length(direct, length):
    """Caddy says -1 of a chunked one."""
    env = {n: v for n, v in environment(direct, direct.secret).items()
           if n.startswith("HTTP_") or n in ("CONTENT_TYPE", "REQUEST_METHOD", "REQUEST_URI")}
    if length:
        env["CONTENT_LENGTH"] = length
    with connected(direct) as sock:
        sock.sendall(BEGIN + params(env, READ) + struct.pack(">BBHHBB", 1, 5, 1, 5, 0, 0) +
                     b"hello" + END_OF_BODY)
        assert b'"success":true' in to_the_end(sock)
    assert direct.content("u", "f") == b"hello"
