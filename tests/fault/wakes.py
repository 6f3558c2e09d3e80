# SPDX-License-Identifier: BSD-2-Clause
"""What the wake tests share: a gateway program that counts its starts, and requests
that run side by side."""
import os
import signal
import socket
import struct
import threading
import time

import gateway
import mw

# It is up once there is a file "up"; "starts" has a line for each start, "pid" its pid.
COUNT = "echo $$ >>starts; echo $$ >pid; "
SETTINGS = {"gateway.probe": "test -f up && kill -0 $(cat pid)", "gateway.port": 0}
GOOD = COUNT + "echo hello; touch up; exec sleep 100000"


def settings(start=GOOD, **more):
    s = dict(SETTINGS, **{"gateway.start": start})
    s.update({k.replace("_", ".", 1): v for k, v in more.items()})
    return s


def ample(driver, ms):
    """Time for what the local driver's sandboxes do within ms."""
    return ms if driver == "local" else 4 * ms


def counting(make, tmp_path, settings, server="lighttpd", procs=16):
    """A server whose starts of sandboxes are counted: see sandbox_starts()."""
    tmp_path.chmod(0o755)
    counter, program = tmp_path / "holders", tmp_path / "moltctl"
    program.write_text("#!/bin/sh\n[ \"$1\" != hold ] || echo \"$2\" >>%s\nexec %s \"$@\"\n" % (
        counter, gateway.binary("moltctl")))
    program.chmod(0o755)
    gw = make.server(server, settings, procs=procs, env={"MOLTWORKER_MOLTCTL": str(program)})
    gw.counter = str(counter)
    return gw


def sandbox_starts(gw, user):
    """How often the user's sandbox was started, of a gateway that counts."""
    return lines(gw.counter).count(user) if gw.local else gw.engine.started(gw.prefix + user)


def lines(path):
    try:
        with open(path) as f:
            return f.read().split()
    except OSError:
        return []


def starts(gw, user):
    """Pids of the gateway's starts."""
    return lines(gw.sandbox(user, "starts"))


def alive(gw, user, pid):
    """Is the process there, of that pid inside?"""
    if not gw.local:
        return inside(gw, user, "kill -0 %s 2>/dev/null && echo yes || :" % pid) == "yes\n"
    try:
        with open("/proc/%s/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def end(gw, user, pid):
    """Kill one process in the user's sandbox."""
    if gw.local:
        os.kill(int(pid), signal.SIGKILL)
    else:
        inside(gw, user, "kill -9 %s" % pid)


def wake(gw, user, query="", **kw):
    return gw.call("POST", "/api/super/users/%s/wake%s" % (user, query), body=b"", **kw)


def sleep(gw, user):
    mw.check_json(gw.call("POST", "/api/super/users/%s/sleep?sync=false" % user, body=b""))


def state(gw, user):
    return mw.check_json(gw.call("GET", "/api/super/users/%s/state" % user))["state"]


def side_by_side(calls):
    """Run the functions at once; their results in order, exceptions raised."""
    results = [None] * len(calls)

    def one(i):
        try:
            results[i] = calls[i]()
        except BaseException as e:      # raised below
            results[i] = e
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in results:
        if isinstance(r, BaseException):
            raise r
    return results


def until(what, seconds=60, step=0.02):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(step)


def processes(gw, *words):
    """Pids of what this gateway started whose command line holds the words in a row."""
    want = " " + " ".join(words) + " "
    return [p for p in gateway.processes_of(gw.dir) if want in " %s " % gateway.command_line(p)]


def helpers(gw, user):
    return processes(gw, "wake", user)


def kill(pids, sig=signal.SIGKILL):
    for p in pids:
        try:
            os.kill(p, sig)
        except ProcessLookupError:
            pass


def inside(gw, user, script):
    """Run a script in the sandbox past the gateway, by the engine's or the agent's own
    protocol (src/sandbox/agent/agent.h); what it leaves running is the user's own job."""
    if not gw.local:
        status, out = gw.engine.inside(gw.prefix + user, script)
        assert status == 0, (status, out)
        return out.decode()
    argv = [b"sh", b"-c", script.encode()]
    body = struct.pack(">5I", len(argv), 0, 65536, 65536, 0) + b"".join(a + b"\0" for a in argv)
    out = b""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(gw.path("sandboxes", ".run", user, "sock"))
        s.sendall(b"MW\1\4" + struct.pack(">I", len(body)) + body)
        f = s.makefile("rb")
        while True:
            head = f.read(8)
            kind, n = head[3], struct.unpack(">I", head[4:])[0]
            data = f.read(n)
            if kind not in (67, 68):
                assert kind == 69 and data[:4] == b"\0\0\0\0", (kind, data)
                return out.decode()
            out += data


class Tap:
    """Between the driver and a user's agent: counts the calls."""
    PER_KIND = (0, 0, 0, 0, 1)          # files and lists are looked at from outside

    def __init__(self, gw, user):
        self.path = gw.path("sandboxes", ".run", user, "sock")
        os.rename(self.path, self.path + ".real")
        self.calls = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(128)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            agent = socket.socket(socket.AF_UNIX)
            agent.connect(self.path + ".real")
            for a, b in ((client, agent), (agent, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        while True:
            try:
                data = a.recv(65536)
                b.sendall(data)
            except OSError:
                data = b""
            if not data:
                for s in (a, b):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                return

    def close(self):
        os.rename(self.path + ".real", self.path)
        self.listener.close()


class Events:
    """Counts the calls for a user's container, as the engine or the peer has counted them."""

    def __init__(self, gw, user):
        self.PER_KIND = gw.engine.CALLS_PER_KIND
        self.count = lambda: gw.engine.calls(gw.prefix + user)
        self.before = self.count()

    @property
    def calls(self):
        return self.count() - self.before

    def close(self):
        pass
