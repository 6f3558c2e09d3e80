# SPDX-License-Identifier: BSD-2-Clause
"""A responder that says what it was given: FastCGI 1.0 on a listening fd 0, else
one plain CGI request.  For tests of web servers and of `moltctl serve`, which do
not look into an answer.

Query: crash=1 dies before an answer, cut=N dies after N bytes of 100000,
whole=N sends N bytes of text with length and ETag (none of them for HEAD),
events=1 sends four pieces 0.3 s apart, status=N answers with that status.
"""
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from urllib.parse import parse_qs

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6


def answer(params, length, write):
    query = {k: v[0] for k, v in parse_qs(params.get("QUERY_STRING", "")).items()}
    if "crash" in query:
        os._exit(9)
    if "cut" in query:
        write(b"Content-Type: application/octet-stream\r\nContent-Length: 100000\r\n\r\n"
              + b"x" * int(query["cut"]))
        os._exit(9)
    if "whole" in query:
        n = int(query["whole"])
        return write(b"Status: 200 OK\r\nContent-Type: text/html\r\nETag: \"e-1\"\r\n"
                     b"Content-Length: %d\r\n\r\n" % n
                     + (b"" if params["REQUEST_METHOD"] == "HEAD" else b"y" * n))
    if "events" in query:
        write(b"Content-Type: text/event-stream\r\n\r\n")
        for _ in range(4):
            write(b"data: x\n\n")
            time.sleep(0.3)
        return
    doc = {"name": os.path.basename(sys.argv[0]), "pid": os.getpid(), "read": length,
           "params": params, "env": dict(os.environ)}
    write(("Status: %s Word\r\nContent-Type: application/json\r\nRetry-After: 7\r\n\r\n" % (
        query.get("status", "200"),)).encode() + json.dumps(doc).encode() + b"\n")


def exactly(sock, n):
    data = b""
    while len(data) < n:
        got = sock.recv(min(n - len(data), 65536))
        if not got:
            raise EOFError
        data += got
    return data


def pairs(data):
    at = 0

    def size():
        nonlocal at
        n = data[at]
        if n < 128:
            at += 1
        else:
            n = struct.unpack(">I", data[at:at + 4])[0] & 0x7FFFFFFF
            at += 4
        return n
    out = {}
    while at < len(data):
        n, v = size(), size()
        name, value = data[at:at + n], data[at + n:at + n + v]
        out[name.decode("latin-1")] = value.decode("latin-1")
        at += n + v
    return out


def record(kind, data=b""):
    return struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data


def serve_one(sock):
    raw, length = b"", 0
    while True:
        _, kind, _, n, padding, _ = struct.unpack(">BBHHBB", exactly(sock, 8))
        data = exactly(sock, n)
        exactly(sock, padding)
        if kind == PARAMS:
            raw += data
        elif kind == STDIN:
            if n == 0:
                break
            length += n

    def write(data):
        for i in range(0, len(data), 32768):
            sock.sendall(record(STDOUT, data[i:i + 32768]))
    answer(pairs(raw), length, write)
    sock.sendall(record(STDOUT) + record(END, struct.pack(">IBxxx", 0, 0)))


def main():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        listener = socket.socket(fileno=0)
        fcgi = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        fcgi = False
    if not fcgi:
        def write(data):
            os.write(1, data)
        n = int(os.environ.get("CONTENT_LENGTH") or 0)
        return answer(dict(os.environ), len(sys.stdin.buffer.read(n)), write)
    # One that is killed in accept() may take the connection with it.
    listener.setblocking(False)
    while True:
        select.select([listener], [], [])
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            continue
        sock.setblocking(True)
        with sock:
            try:
                serve_one(sock)
            except (EOFError, OSError):
                pass


main()
