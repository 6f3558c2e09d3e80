# SPDX-License-Identifier: BSD-2-Clause
"""A Podman of the tests' own (tests/peers/podman.sh), for gateways whose sandboxes are
containers.  Rootless, with one user and vfs, a container's files are ours and lie in plain
directories: tests look at them and plant into them as they do with the local driver."""
import atexit
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

IMAGE = "localhost/moltworker-test:1"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """Raises Unavailable, with the reason, where no container can be run."""

    ROOT_INSIDE = True          # rootless Podman without /etc/subuid has no other user
    # Of a read from the sandbox, one from R2, a write, a list, a command: the archive calls
    # are not counted, but a write is moved into place.
    CALLS_PER_KIND = (0, 0, 1, 1, 1)

    class Unavailable(Exception):
        pass

    def __init__(self, script):
        self.dir = tempfile.mkdtemp(prefix="e.")
        self.socket = os.path.join(self.dir, "e", "podman.sock")
        self.proc = subprocess.Popen(
            ["/bin/bash", script, os.path.join(self.dir, "e")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        atexit.register(self.stop)
        line = self.line()
        if not line.startswith("ready"):
            self.stop()
            assert line.startswith("unavailable"), line
            raise Engine.Unavailable(line)

    def settings(self, prefix):
        """Of a gateway whose sandboxes are here, their names beginning with the prefix."""
        return {"sandbox.driver": "engine", "sandbox.name": prefix + "{user}",
                "sandbox.engine.socket": self.socket, "sandbox.engine.create": True,
                "sandbox.engine.image": IMAGE, "sandbox.engine.network": "none"}

    def line(self):
        return self.proc.stdout.readline().decode().strip()

    def say(self, word):
        """"stop" and "start" of the daemon; its containers run on."""
        self.proc.stdin.write(word.encode() + b"\n")
        self.proc.stdin.flush()
        return self.line()

    def stop(self):
        if self.proc.poll() is None:
            self.proc.stdin.close()
            try:
                self.proc.wait(60)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.proc.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def call(self, method, path, doc=None):
        """(status, parsed body or None)"""
        c = UnixConnection(self.socket)
        try:
            c.request(method, path, None if doc is None else json.dumps(doc),
                      {"Content-Type": "application/json"})
            r = c.getresponse()
            body = r.read()
            return r.status, json.loads(body) if body else None
        finally:
            c.close()

    def containers(self, prefix):
        """{name: state} of those whose name begins so."""
        rows = self.call("GET", "/containers/json?all=1")[1]
        return {n.lstrip("/"): r["State"] for r in rows for n in r["Names"]
                if n.lstrip("/").startswith(prefix)}

    def events(self, name, status):
        """How often this happened to the container, or to those of that name before it:
        "start", "exec" (a command of the driver's or of ours)."""
        with open(os.path.join(self.dir, "e", "tmp", "events", "events.log")) as f:
            rows = [json.loads(line) for line in f.read().splitlines(True) if line.endswith("\n")]
        return sum(r.get("Name") == name and r.get("Status") == status for r in rows)

    def calls(self, name):
        return self.events(name, "exec")

    def refuse_starts(self, gw):
        """No sandbox of the gateway can be made."""
        gw.configure({"sandbox.engine.image": "localhost/none:1"})

    def spoil(self, name):
        """There is a container of that name that cannot run."""
        status, doc = self.call("POST", "/containers/create?name=" + name, {
            "Image": IMAGE, "Cmd": ["false"], "HostConfig": {"NetworkMode": "none"}})
        assert status == 201, doc

    def started(self, name):
        return self.events(name, "start")

    def inside(self, name, script):
        """Run a script in the container past any gateway: (status, what it wrote)."""
        status, doc = self.call("POST", "/containers/%s/exec" % name, {
            "AttachStdout": True, "AttachStderr": True, "Cmd": ["sh", "-c", script],
            "WorkingDir": "/workspace"})
        assert status == 201, doc
        c = UnixConnection(self.socket)
        try:
            c.request("POST", "/exec/%s/start" % doc["Id"], '{"Detach":false,"Tty":false}',
                      {"Content-Type": "application/json"})
            data, out = c.getresponse().read(), b""
        finally:
            c.close()
        while data:
            n = 8 + int.from_bytes(data[4:8], "big")
            out += data[8:n]
            data = data[n:]
        return self.call("GET", "/exec/%s/json" % doc["Id"])[1]["ExitCode"], out

    def end(self, prefix):
        """Also what a wake that is under way starts again meanwhile."""
        deadline = time.monotonic() + 60
        while True:
            running = [n for n, state in self.containers(prefix).items() if state == "running"]
            if not running:
                return
            assert time.monotonic() < deadline, running
            for name in running:
                self.call("POST", "/containers/%s/kill" % name)
            time.sleep(0.05)

    def replace(self, name):
        self.call("DELETE", "/containers/%s?force=true" % name)

    def remove(self, prefix):
        for name in self.containers(prefix):
            self.call("DELETE", "/containers/%s?force=true&v=true" % name)

    def root(self, name):
        """The container's file system as the host has it, None = there is no container."""
        try:
            with open(os.path.join(self.dir, "e", "store", "vfs-containers",
                                   "containers.json")) as f:
                for row in json.load(f):
                    if name in row["names"]:
                        return os.path.join(self.dir, "e", "store", "vfs", "dir", row["layer"])
        except FileNotFoundError:
            pass
        return None
