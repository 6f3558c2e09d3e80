# SPDX-License-Identifier: BSD-2-Clause
"""An agent of a local sandbox that does not do its work: see src/sandbox/agent/agent.h."""
import os
import socket
import struct
import threading

PING, EXEC, PONG, FAILED = 1, 4, 65, 70
AT_RESOURCES = 2


def frame(kind, payload=b""):
    return b"MW\x01" + bytes([kind]) + struct.pack(">I", len(payload)) + payload


class Agent:
    """how: "drop" answers pings and drops commands, "full" starts none for want of
    room, "silent" never says a word.  .pings and .execs count what came."""

    def __init__(self, gw, user, how):
        self.how, self.pings, self.execs, self.kept = how, 0, 0, []
        os.makedirs(gw.sandbox(user), 0o700, exist_ok=True)
        run = gw.path("sandboxes", ".run", user)
        os.makedirs(run, 0o700, exist_ok=True)
        self.path = os.path.join(run, "sock")
        self.sock = socket.socket(socket.AF_UNIX)
        fd = os.open(run, os.O_RDONLY)      # the path may be longer than a socket's name
        self.sock.bind("/proc/self/fd/%d/sock" % fd)
        os.close(fd)
        self.sock.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            if self.how == "silent":
                self.kept.append(c)
                continue
            with c:
                self.one(c)

    def one(self, c):
        c.settimeout(10)
        head = c.recv(8, socket.MSG_WAITALL)
        if len(head) == 8 and head[3] == PING:
            self.pings += 1
            c.sendall(frame(PONG))
            return
        self.execs += 1
        if self.how == "full":
            c.recv(struct.unpack(">I", head[4:])[0], socket.MSG_WAITALL)
            c.sendall(frame(FAILED, struct.pack(">II", AT_RESOURCES, 11)))

    def close(self):
        self.sock.close()
        os.unlink(self.path)
