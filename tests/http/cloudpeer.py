# SPDX-License-Identifier: BSD-2-Clause
"""Runs tests/peers/cloudflare.py, the two Cloudflare sandbox APIs."""
import base64
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile

import gateway
import mw

CLOSED = "http://127.0.0.1:9"       # nobody listens there
PROGRAM = os.environ.get("MW_CLOUDFLARE",
                         os.path.join(gateway.ROOT, "tests", "peers", "cloudflare.py"))
TOKEN = "a-token-77c1e0"


def missing():
    """Why it cannot run here, or None."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    p = subprocess.run(["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/",
                        "--proc", "/proc", "true"], stdin=subprocess.DEVNULL, capture_output=True)
    return "bubblewrap cannot run: %s" % p.stderr.decode() if p.returncode else None


class CloudPeer:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mwcloud.")
        self.port = mw.free_port()
        self.proc = subprocess.Popen(
            [sys.executable, PROGRAM, str(self.port), os.path.join(self.dir, "boxes"), TOKEN],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n"
        self.token_file = os.path.join(self.dir, "token")
        with open(os.open(self.token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(TOKEN + "\n")

    def settings(self, driver, prefix=""):
        """Of a gateway whose sandboxes are here, their names beginning with the prefix."""
        url = "http://127.0.0.1:%d" % self.port
        if prefix:
            url += "/of/" + prefix
        if driver == "bridge":
            return {"sandbox.driver": "bridge", "sandbox.bridge.url": url,
                    "sandbox.bridge.token_file": self.token_file}
        return {"sandbox.driver": "container", "sandbox.container.url": url + "/c/{user}"}

    def call(self, method, path, obj=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request(method, path, json.dumps(obj or {}))
        r = c.getresponse()
        body = json.loads(r.read())
        c.close()
        assert r.status == 200, (path, r.status, body)
        return body

    def tell(self, word, **what):
        assert self.call("POST", "/control/" + word, what) == {"ok": True}

    def state(self):
        return self.call("GET", "/control/state")

    def calls(self, user):
        return self.state()["calls"].get(user, 0)

    def started(self, user):
        return self.state()["started"].get(user, 0)

    def stop(self):
        """Ends it; what the APIs were used for that they must not be, is a failure."""
        misuse = self.state()["misuse"] if self.proc.poll() is None else []
        self.proc.terminate()
        self.proc.wait(30)
        self.proc.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not misuse, misuse


class Cloud:
    """The sandboxes of the peer behind one of the two drivers, as gateway.Base wants them."""

    CALLS_PER_KIND = (1, 0, 2, 1, 1)    # as Engine's; a write's tag is looked for after it

    def __init__(self, peer, driver):
        self.peer, self.driver = peer, driver

    def settings(self, prefix):
        return self.peer.settings(self.driver, prefix)

    def root(self, name):
        """The container's root as the host has it."""
        return os.path.join(self.peer.dir, "boxes", "box." + base64.b32encode(
            name.encode()).decode().lower().rstrip("="))

    def end(self, prefix):
        """With a container its files go."""
        self.peer.tell("end", prefix=prefix)

    def replace(self, name):
        self.peer.tell("replace", user=name)

    def refuse_starts(self, gw):
        """No sandbox of the gateway can be reached."""
        gw.configure({"sandbox.bridge.url": CLOSED} if self.driver == "bridge" else
                     {"sandbox.container.url": CLOSED + "/{user}", "wake.max_wait": 3000})

    def spoil(self, name):
        """The container of that name cannot be started."""
        self.peer.tell("spoil", user=name)

    def started(self, name):
        return self.peer.started(name)

    def calls(self, name):
        return self.peer.calls(name)

    def inside(self, name, script):
        """Run a script in the container past any gateway: (status, what it wrote)."""
        got = self.peer.call("POST", "/control/run", {"user": name, "script": script})
        return got["status"], got["output"].encode()

    remove = end
