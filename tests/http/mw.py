# SPDX-License-Identifier: BSD-2-Clause
"""A raw HTTP/1.1 client and the contract's common checks.

The client sends the request target byte for byte as given and says whether
the answer came whole: both are things a library client hides.
"""
import fcntl
import functools
import inspect
import json
import os
import re
import socket
import struct
import time

import pytest

# The contract's error table: code -> (status, errorType, retryable).
CLIENT, CONTAINER, STORE, TIMEOUT = (
    "client_error", "container_error", "store_error", "timeout_error")
ERRORS = {
    "invalid_json": (400, CLIENT, False),
    "invalid_path": (400, CLIENT, False),
    "invalid_user_id": (400, CLIENT, False),
    "invalid_argument": (400, CLIENT, False),
    "too_many_operations": (400, CLIENT, False),
    "forbidden": (403, CLIENT, False),
    "not_found": (404, CLIENT, False),
    "file_not_found": (404, CLIENT, False),
    "process_not_found": (404, CLIENT, False),
    "method_not_allowed": (405, CLIENT, False),
    "conflict": (409, CLIENT, False),
    "process_lost": (410, CONTAINER, False),
    "precondition_failed": (412, CLIENT, False),
    "body_too_large": (413, CLIENT, False),
    "file_too_large": (413, CLIENT, False),
    "unsupported_media_type": (415, CLIENT, False),
    "range_not_satisfiable": (416, CLIENT, False),
    "too_many_requests": (429, CLIENT, True),
    "command_error": (500, "command_error", False),
    "permission_denied": (403, CLIENT, False),
    "not_supported": (501, CLIENT, False),
    "storage_full": (507, STORE, True),
    "deadline_exceeded": (504, TIMEOUT, True),
    "internal_error": (500, "internal_error", False),
    "store_error": (502, STORE, False),
    "sandbox_not_found": (503, CONTAINER, True),
    "sandbox_hibernating": (503, CONTAINER, True),
    "sandbox_unreachable": (503, CONTAINER, True),
    "sandbox_unavailable": (503, CONTAINER, True),
    "gateway_failed": (503, CONTAINER, True),
    "wake_timeout": (503, CONTAINER, True),
    "sandbox_capacity": (503, CONTAINER, True),
    "store_unavailable": (503, STORE, True),
    "command_timeout": (504, TIMEOUT, False),
    "sandbox_timeout": (504, TIMEOUT, True),
}
ERROR_TYPES = {
    "error": str, "code": str, "errorType": str, "retryable": bool,
    "attempts": int, "requestId": str, "timestamp": str,
}
ERROR_OPTIONAL = {"userId": str, "path": str, "command": str, "details": object}
ERROR_EXTRA = {"forbidden": {"hint": str}, "file_not_found": {"triedSources": list}}

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def enc(name, keep=b"/"):
    """Percent-encode a path (str or bytes) for the request line."""
    raw = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name
    return "".join(chr(b) if b in UNRESERVED or b in keep else "%%%02X" % b for b in raw)


class Response:
    def __init__(self, status, reason, headers, body, complete, elapsed):
        self.status, self.reason = status, reason
        self.headers = headers          # [(name, value)] in the order received
        self.body = body
        self.complete = complete        # False: cut before its announced end
        self.elapsed = elapsed

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        got = self.all(name)
        assert len(got) <= 1, "%s sent %d times" % (name, len(got))
        return got[0] if got else None

    def json(self):
        return json.loads(self.body.decode("utf-8"), object_pairs_hook=no_duplicates)

    def __repr__(self):
        return "<%s %s %r complete=%s>" % (
            self.status, dict(self.headers), self.body[:400], self.complete)


def no_duplicates(pairs):
    names = [k for k, _ in pairs]
    assert len(names) == len(set(names)), "member sent twice: %s" % names
    return dict(pairs)


def to_bytes(s):
    return s.encode("latin-1") if isinstance(s, str) else s


def head_bytes(method, target, headers, length, host):
    out = [to_bytes(method) + b" " + to_bytes(target) + b" HTTP/1.1"]
    names = {to_bytes(n).lower() for n, _ in headers}
    if b"host" not in names:
        out.append(b"Host: " + host.encode())
    if b"connection" not in names:
        out.append(b"Connection: close")
    if length is not None and b"content-length" not in names \
            and b"transfer-encoding" not in names:
        out.append(b"Content-Length: %d" % length)
    out += [to_bytes(n) + b": " + to_bytes(v) for n, v in headers]
    return b"\r\n".join(out) + b"\r\n\r\n"


class Reader:
    """One HTTP/1.1 answer from a socket."""

    def __init__(self, sock):
        self.sock, self.buf, self.eof = sock, b"", False

    def more(self):
        if self.eof:
            return False
        try:
            got = self.sock.recv(65536)
        except ConnectionResetError:
            got = b""
        if not got:
            self.eof = True
            return False
        self.buf += got
        return True

    def line(self):
        while b"\n" not in self.buf:
            if not self.more():
                return None
        line, self.buf = self.buf.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def head(self):
        while True:
            line = self.line()
            if line is None:
                return None
            parts = line.split(" ", 2)
            status = int(parts[1])
            headers = []
            while True:
                line = self.line()
                if line is None:
                    return None
                if line == "":
                    break
                n, _, v = line.partition(":")
                headers.append((n, v.strip()))
            if status != 100:
                return status, parts[2] if len(parts) > 2 else "", headers

    def take(self, n, sink):
        """Hand n bytes to sink; False if the connection ended before."""
        while n > 0:
            if not self.buf and not self.more():
                return False
            part, self.buf = self.buf[:n], self.buf[n:]
            sink(part)
            n -= len(part)
        return True

    def body(self, headers, sink):
        low = {n.lower(): v for n, v in headers}
        if low.get("transfer-encoding", "").lower() == "chunked":
            while True:
                line = self.line()
                if not line:
                    return False
                n = int(line.split(";")[0], 16)
                if n == 0:
                    return self.line() is not None
                if not self.take(n, sink) or self.line() is None:
                    return False
        if "content-length" in low:
            return self.take(int(low["content-length"]), sink)
        while self.buf or self.more():
            sink(self.buf)
            self.buf = b""
        return True


def exchange(addr, method, target, headers=(), body=None, timeout=30.0,
             source=None, sink=None, length=None):
    """One request on a connection of its own.

    body: bytes, or an iterable of bytes with `length`.  source: the local
    address to come from.  sink: takes the body's pieces instead of .body.
    """
    start = time.monotonic()
    chunks = []
    if isinstance(body, (bytes, bytearray)):
        length, body = len(body), [body]
    sock = socket.create_connection(addr, timeout, (source, 0) if source else None)
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            head = head_bytes(method, target, list(headers), length, "%s:%d" % addr)
            sock.sendall(head + (bytes(body.pop(0)) if isinstance(body, list) else b""))
            for piece in body or ():
                sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass                    # it may have answered early; read that
        reader = Reader(sock)
        head = reader.head()
        if head is None:
            return Response(0, "", [], b"", False, time.monotonic() - start)
        status, reason, got = head
        if to_bytes(method) == b"HEAD" or status in (204, 304):
            complete = True
        else:
            complete = reader.body(got, sink or chunks.append)
        return Response(status, reason, got, b"".join(chunks), complete,
                        time.monotonic() - start)


# ---- the contract's common checks ----

def check_common(r):
    """What every API answer carries."""
    assert r.get("Cache-Control") == "no-store", r
    assert r.get("X-Content-Type-Options") == "nosniff", r
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", r.get("X-Request-Id") or ""), r
    if r.status in (429, 503):
        assert re.fullmatch(r"\d+", r.get("Retry-After") or ""), r
    if r.get("X-Attempts") is not None:
        assert re.fullmatch(r"\d+", r.get("X-Attempts")), r


def check_json(r, status=200):
    assert r.status == status, r
    check_common(r)
    assert (r.get("Content-Type") or "").split(";")[0] == "application/json", r
    assert r.complete, r
    return r.json()


def each(rows, check):
    """check(row) for every row of a table; fails with each row that failed, not the first, and
    is skipped if every row was."""
    bad, skipped = [], []
    for row in rows:
        try:
            check(row)
        except pytest.skip.Exception as e:
            skipped.append(str(e))
        except Exception as e:
            bad.append("%a: %s: %s" % (row, type(e).__name__, e))
    assert not bad, "%d of %d rows:\n%s" % (len(bad), len(rows), "\n".join(bad))
    if skipped and len(skipped) == len(rows):
        pytest.skip(skipped[0])


def rows(names, table):
    """Like pytest.mark.parametrize, but all rows are one test: with one gateway, user and
    sandbox, which cost more than most rows do."""
    names = names.split(",")

    def decorate(test):
        signature = inspect.signature(test)

        @functools.wraps(test)
        def all_rows(**fixtures):
            each(table, lambda row: test(
                **fixtures, **dict(zip(names, row if len(names) > 1 else [row]))))
        all_rows.__signature__ = signature.replace(parameters=[
            p for n, p in signature.parameters.items() if n not in names])
        return all_rows
    return decorate


def no_signal(mask):
    """Of /proc/PID/status.  A child of posix_spawn(3) ignores 32 and 33, the C library's own."""
    return int(mask, 16) & ~(3 << 31) == 0


def check_members(obj, required, optional=()):
    """Exactly the documented members, each of its type."""
    for name, kind in required.items():
        assert name in obj, "%s is missing in %s" % (name, obj)
        check_type(obj[name], kind, name)
    for name in obj:
        if name in required:
            continue
        assert name in optional, "undocumented member %s in %s" % (name, obj)
        check_type(obj[name], optional[name], name)


def check_type(value, kind, name):
    if kind is int:
        assert isinstance(value, int) and not isinstance(value, bool), (name, value)
    else:
        assert isinstance(value, kind), (name, value)


def check_error(r, code, **members):
    """The one error body: exactly the documented members and types."""
    status, kind, retryable = ERRORS[code]
    retryable = members.pop("retryable", retryable)     # False once a command was begun
    assert r.status == status, "wanted %s: %r" % (code, r)
    obj = check_json(r, status)
    optional = dict(ERROR_OPTIONAL)
    optional.update(ERROR_EXTRA.get(code, {}))
    check_members(obj, ERROR_TYPES, optional)
    for name in ERROR_EXTRA.get(code, ()):
        assert name in obj, "%s is missing in %s" % (name, obj)
    assert obj["code"] == code, obj
    assert obj["errorType"] == kind and obj["retryable"] is retryable, obj
    assert obj["error"].strip(), obj
    assert not re.search(r"mw_|MW_|\.c:\d|0x[0-9a-f]{6}", obj["error"]), obj
    assert obj["requestId"] == r.get("X-Request-Id"), obj
    assert TIME.match(obj["timestamp"]), obj
    assert obj["attempts"] >= 0, obj
    if r.get("X-Attempts") is not None:
        assert obj["attempts"] == int(r.get("X-Attempts")), r
    for name, value in members.items():
        assert obj.get(name) == value, "%s should be %r in %s" % (name, value, obj)
    return obj


next_port = 20000 + os.getpid() * 7 % 6000
claims = []


def claim(port):
    """Whether nobody listens on the port, nor another test run has claimed it: a
    claim is an abstract socket that lives as long as this process."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind("\0moltworker-test-port-%d" % port)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
    except OSError:
        mark.close()
        return False
    claims.append(mark)
    return True


def free_port(count=1):
    """The first of count free TCP ports in a row, below the ephemeral range; never
    the same one twice, and none that another test run was given."""
    global next_port
    row = 0
    for port in range(next_port, 32000):
        row = row + 1 if claim(port) else 0
        if row == count:
            next_port = port + 1
            return port - count + 1
    raise RuntimeError("no free port")


def fnv(name):
    h = 0xcbf29ce484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001b3 & (1 << 64) - 1
    return h


class Lock:
    """A lock of the gateway's own: see base/lockfile.h."""

    def __init__(self, gw, name):
        self.path, self.at = gw.path("state", "locks"), fnv(name) >> 1

    def __enter__(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        how = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, self.at, 1, 0)
        fcntl.fcntl(self.fd, 38, how)               # F_OFD_SETLKW

    def __exit__(self, *args):
        os.close(self.fd)
