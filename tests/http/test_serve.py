# SPDX-License-Identifier: BSD-2-Clause
"""`moltctl serve` and the shipped snippets.  The responders here are echo.py's:
what is tested is which one a web server asks, what it hands over, what becomes of
its answer, and who is left when it is over."""
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

import gateway
import mw

ALL = "files health batch exec state config sync bulk metrics debug".split()
FCGI = ["lighttpd", "nginx", "apache", "htaccess"]
PLAIN = ["cgi", "htaccess-cgi"]
LONG = "q" * 250
U = "/api/super/users/u"

# URL -> the responder that must get it.
ROUTES = [
    ("/healthz", "health"), ("/metrics", "metrics"),
    ("/api/super/health", "health"), (U + "/health", "health"),
    ("/api/super/nope", "health"), (U + "/nope/files/x", "health"),
    (U + "/files", "files"), (U + "/files/", "files"), (U + "/files?path=a%2Fb", "files"),
    (U + "/files/notes.md", "files"), (U + "/files/x.php", "files"),
    (U + "/files/x/exec", "files"), (U + "/files/exec/1/status", "files"),
    (U + "/files/api/super/bulk/wake", "files"), (U + "/files/x/batch", "files"),
    (U + "/files/batch/x", "files"), (U + "/files/batch", "batch"),
    (U + "/files//a//b", "files"), (U + "/files/a+b%20c%23%3F", "files"),
    (U + "/files/%C3%A9%27%22", "files"), (U + "/files/" + LONG, "files"),
    ("/api/super/users/files/files/files", "files"),
    ("/api/super/users/exec/files/state", "files"),
    (U + "/exec", "exec"), (U + "/exec/a1/status?wait=1", "exec"),
    ("/api/super/users", "state"), ("/api/super/users?limit=1", "state"),
    ("/api/super/state/dashboard", "state"), (U + "/state", "state"), (U + "/wake", "state"),
    (U + "/restart", "state"), (U + "/sleep", "state"), (U + "/logs?tail=1", "state"),
    (U + "/config", "config"), (U + "/config/history", "config"),
    (U + "/sync", "sync"), (U + "/r2-status", "sync"),
    ("/api/super/bulk/wake", "bulk"),
    ("/api/super/metrics", "metrics"), ("/api/super/alerts", "metrics"),
    ("/debug/admin/users", "debug"), ("/debug/admin/users/files/files", "debug"),
]
# Bad names, but it is the responder that says so.
ROUTES += [(U + "/files/" + bad, "files") for bad in ("a%0Ab", "a%0D%0Ab", "%01", "%7F")]
ROUTES += [(U + "/files?path=" + bad, "files") for bad in ("%00", "a%0Ab", "%FF", "%zz", "..%2f")]
# A .htaccess cannot have these.
SLASHES = [(U + "/files/a%2Fb", "files"), (U + "/files/%2Fetc%2Fpasswd", "files"),
           (U + "/files/x%2Fexec", "files")]


class Serve(gateway.Base):
    """One `moltctl serve` with stand-in responders; `start` may be called again."""

    def __init__(self, names=ALL, body=None):
        super().__init__()
        self.port, self.process = mw.free_port(), None
        with open(os.path.join(gateway.HERE, "echo.py"), encoding="utf-8") as f:
            body = body or f.read()
        os.mkdir(self.path("libexec"))
        for name in names:
            self.responder(name, body)

    def responder(self, name, body):
        self.write("libexec/%s.fcgi" % name, "#!%s\n%s" % (sys.executable, body), 0o755)

    def env(self):
        e = super().env()
        e["MOLTWORKER_LIBEXEC"] = self.path("libexec")
        e["CANARY"] = "of-the-caller"
        return e

    def run(self, *args):
        """`moltctl serve` that is expected not to come up."""
        return self.moltctl("serve", "--port", str(self.port), *args, timeout=30)

    def start(self, *args, config=True):
        if config:
            args += ("--config", self.path("moltworker.conf"))
        out = self.path("out")
        with open(out, "wb") as f, open(self.path("err"), "wb") as e:
            self.process = subprocess.Popen(
                [gateway.binary("moltctl"), "serve", "--port", str(self.port), *args],
                env=self.env(), stdin=subprocess.DEVNULL, stdout=f, stderr=e, cwd=self.dir,
                start_new_session=True)
        deadline = time.monotonic() + 60
        while not self.out().startswith("ready"):
            assert self.process.poll() is None, self.err()
            assert time.monotonic() < deadline, self.err()
            time.sleep(0.02)
        return self

    def out(self):
        with open(self.path("out")) as f:
            return f.read()

    def err(self):
        with open(self.path("err"), errors="replace") as f:
            return f.read()

    def request(self, method, target, headers=(), body=None, **kw):
        return mw.exchange(("127.0.0.1", self.port), method, target, headers, body, **kw)

    def echo(self, target, **kw):
        r = self.call("GET", target, **kw)
        assert r.status == 200 and r.complete, r
        return r.json()

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        status = self.process.wait(60)
        left = self.leftovers(30)
        assert not left, left
        self.process = None
        return status

    def end(self):
        if self.process:
            assert self.stop() == 0, self.err()


@pytest.fixture
def new():
    made = []

    def make(*args, **kw):
        made.append(Serve(*args, **kw))
        return made[-1]
    yield make
    for s in made:
        s.close()


@pytest.fixture(scope="module")
def started():
    """One instance per kind of server, with all ten responders."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = Serve()
            made[kind].start("--server", kind, "--procs", "2")
        return made[kind]
    yield get
    for s in made.values():
        s.close()


# ---- what the snippets do ----

@pytest.mark.parametrize("kind", FCGI + PLAIN)
def test_routes(started, kind):
    routes = ROUTES + ([] if "htaccess" in kind else SLASHES)
    wrong = []
    # lighttpd's expressions do not match it, so the catch-all gets it.
    routes = routes + [(U + "/files/%FF", "health" if kind == "lighttpd" else "files")]
    for target, name in routes:
        got = started(kind).echo(target)
        if got["name"] != name + ".fcgi" or got["params"]["REQUEST_URI"] != target:
            wrong.append((target, got["name"], got["params"]["REQUEST_URI"]))
    assert not wrong


@pytest.mark.parametrize("kind", FCGI)
def test_routes_without_the_responders(new, kind):
    s = new(names=["files", "health"]).start("--server", kind, "--procs", "1")
    stand_in = {"files": "files", "batch": "files"}
    for target, name in ROUTES:
        got = s.echo(target)["name"]
        assert got == stand_in.get(name, "health") + ".fcgi", target


@pytest.mark.parametrize("kind", FCGI + PLAIN)
@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "HEAD"])
def test_methods_and_bodies(started, kind, method):
    body = None if method in ("DELETE", "HEAD") else b"x" * 1000
    r = started(kind).call(method, U + "/files/x", [("Content-Type", "text/plain")], body)
    assert r.status == 200, r
    if method == "HEAD":
        assert r.body == b""
    else:
        got = r.json()
        assert got["params"]["REQUEST_METHOD"] == method
        assert got["read"] == len(body or b"")


@pytest.mark.parametrize("kind", ["lighttpd", "nginx", "apache", "cgi"])
def test_a_large_body_is_not_the_web_servers_business(started, kind):
    r = started(kind).call("PUT", U + "/files/x", [], b"y" * 20000000)
    assert r.status == 200 and r.json()["read"] == 20000000, r


@pytest.mark.parametrize("kind", FCGI + PLAIN)
def test_headers_reach_the_responder(started, kind):
    p = started(kind).echo(U + "/files/x", auth=False, headers=[
        ("Authorization", "Bearer tok"), ("X-Admin-Secret", "s"), ("If-None-Match", '"e"'),
        ("X-Request-Id", "r1")])["params"]
    assert p["HTTP_AUTHORIZATION"] == "Bearer tok"
    assert p["HTTP_X_ADMIN_SECRET"] == "s"
    assert p["HTTP_IF_NONE_MATCH"] == '"e"' and p["HTTP_X_REQUEST_ID"] == "r1"
    assert p["REMOTE_ADDR"] == "127.0.0.1" and p["QUERY_STRING"] == ""


@pytest.mark.parametrize("kind", FCGI + PLAIN)
@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_an_error_of_the_responder_is_passed_on(started, kind, status):
    r = started(kind).call("GET", U + "/files/x?status=%d" % status)
    assert r.status == status and r.json()["name"] == "files.fcgi", r
    assert r.get("Retry-After") == "7", r


@pytest.mark.parametrize("kind", ["lighttpd", "nginx", "apache"])
def test_events_arrive_as_they_are_sent(started, kind):
    when = []
    r = started(kind).call("GET", U + "/exec/a/stream?events=1",
                           sink=lambda piece: when.append(time.monotonic()))
    assert r.status == 200 and r.complete
    assert when[-1] - when[0] > 0.5, "collected: %s" % when


@pytest.mark.parametrize("kind", FCGI + PLAIN)
@pytest.mark.parametrize("cut", [0, 70000, 99500, 99999])
@pytest.mark.parametrize("head", [[], [("Connection", "keep-alive")]], ids=["close", "keep"])
def test_a_cut_answer_does_not_look_whole(started, kind, cut, head):
    """An error page of the web server could be just what is missing."""
    if cut == 0 and kind in PLAIN:
        pytest.skip("Apache announces the length of what little a dead CGI program wrote")
    r = started(kind).call("GET", U + "/files/x?raw=1&cut=%d" % cut, head, timeout=60.0)
    assert not r.complete or r.status >= 500, r
    assert r.elapsed < 30, "noticed after %.1f s" % r.elapsed
    assert started(kind).echo(U + "/files/x")["name"] == "files.fcgi"


@pytest.mark.parametrize("kind", FCGI + PLAIN)
def test_ranges_are_the_responders(started, kind):
    """A web server must not cut pieces out of an answer by itself."""
    for want in ("bytes=0-3", "bytes=0-3,8-9"):
        r = started(kind).call("GET", U + "/files/x", [("Range", want)])
        assert r.status == 200 and r.json()["params"]["HTTP_RANGE"] == want, r


@pytest.mark.parametrize("kind", FCGI + PLAIN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_length_is_passed_on(started, kind, method):
    r = started(kind).call(method, U + "/files/x.html?raw=1&whole=50000",
                           [("Accept-Encoding", "gzip, br")])
    assert r.status == 200 and r.get("Content-Length") == "50000" and r.complete, r
    assert r.get("ETag") == '"e-1"' and r.get("Content-Encoding") is None, r
    assert len(r.body) == (50000 if method == "GET" else 0)


@pytest.mark.parametrize("kind", FCGI)
def test_a_crash_loses_one_request(started, kind):
    r = started(kind).call("GET", U + "/exec?crash=1")
    assert r.status in (500, 502, 503), r
    assert started(kind).echo(U + "/exec")["name"] == "exec.fcgi"


def test_htaccess_hides_the_responders(started):
    r = started("htaccess").request("GET", "/cgi-bin/moltworker/files.fcgi")
    assert r.status == 403, r


# ---- what serve does ----

@pytest.mark.parametrize("kind", FCGI + PLAIN)
def test_ends_clean(new, kind):
    s = new().start("--server", kind)
    s.echo(U + "/files/x")
    assert s.stop() == 0
    assert os.listdir(s.path("tmp")) == []


def test_interrupt_and_hangup_end_it_too(new):
    for sig in (signal.SIGINT, signal.SIGHUP):
        s = new(names=["files", "health"]).start()
        assert s.stop(sig) == 0


@pytest.mark.parametrize("kind", ["lighttpd", "nginx", "apache"])
def test_killed_it_leaves_nobody_behind(new, kind):
    s = new().start("--server", kind)
    s.echo(U + "/files/x")
    s.process.kill()
    s.process.wait()
    s.process = None
    left = s.leftovers(30)
    assert not left, left


@pytest.mark.parametrize("kind", ["lighttpd", "nginx"])
def test_a_killed_responder_is_replaced(new, kind):
    s = new(names=["files", "health"]).start("--server", kind, "--procs", "1")
    before = s.echo(U + "/files/x")["pid"]
    os.kill(before, signal.SIGKILL)
    assert s.echo(U + "/files/x")["pid"] != before
    assert "files (pid %d) ended by signal 9" % before in s.err()


def test_a_responder_that_cannot_start_does_not_spin(new):
    s = new(names=["health"])
    s.responder("files", "open(%r, 'a').write('x')\nraise SystemExit(1)\n" % s.path("starts"))
    s.start("--procs", "2")
    time.sleep(2)
    assert 2 <= os.path.getsize(s.path("starts")) <= 16
    assert "as soon as it was started: next try in" in s.err()


def test_the_web_servers_end_is_the_end(new):
    s = new(names=["files", "health"]).start()
    pids = [p for p in gateway.processes_of(s.dir) if "lighttpd -D" in gateway.command_line(p)]
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)
    assert s.process.wait(60) == 1
    s.process = None
    assert not s.leftovers(30)


def test_the_environment_is_built(new):
    for kind in ("lighttpd", "apache"):
        s = new(names=["files", "health"]).start("--server", kind)
        env = s.echo(U + "/files/x")["env"]
        assert "CANARY" not in env and "TMPDIR" not in env, env
        assert env["MOLTWORKER_CONFIG"] == s.path("moltworker.conf")
        assert "/usr/bin" in env["PATH"].split(":")
        assert env["MOLTWORKER_MOLTCTL"] == gateway.binary("moltctl")
        assert not [n for n in env if n.startswith("HTTP_")]


def test_sockets_are_the_groups(new):
    s = new(names=["files", "health", "exec"])
    os.mkdir(s.path("sockets"))
    s.start("--server", "none", "--sockets", s.path("sockets"))
    modes = {n: os.lstat(s.path("sockets", n)).st_mode for n in os.listdir(s.path("sockets"))}
    assert sorted(modes) == sorted(n + ".sock" for n in ALL)
    for name in ("files.sock", "health.sock", "exec.sock"):
        assert stat.S_ISSOCK(modes[name]) and stat.S_IMODE(modes[name]) == 0o660
    assert os.readlink(s.path("sockets", "batch.sock")) == "files.sock"
    assert os.readlink(s.path("sockets", "state.sock")) == "health.sock"
    status, _, err = s.run("--server", "none", "--sockets", s.path("sockets"),
                           "--config", s.path("moltworker.conf"))
    assert status == 1 and "serving there already" in err
    socket.socket(socket.AF_UNIX).connect(s.path("sockets", "files.sock"))
    assert s.stop() == 0
    assert os.listdir(s.path("sockets")) == []


def test_stale_sockets_are_replaced(new):
    s = new(names=["files", "health"])
    os.mkdir(s.path("sockets"))
    for _ in range(2):
        s.start("--server", "none", "--sockets", s.path("sockets"))
        s.process.kill()
        s.process.wait()
        s.process = None
        assert not s.leftovers(30)
    assert len(os.listdir(s.path("sockets"))) == 10


def test_a_private_instance(new):
    s = new(names=["files", "health"]).start(config=False)
    assert re.search(r"^ready: http://127\.0\.0\.1:%d/" % s.port, s.out())
    secret = re.search(r"^secret file: (.*)$", s.out(), re.M).group(1)
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(secret)).st_mode) == 0o700
    with open(secret) as f:
        assert re.fullmatch(r"[0-9a-f]{48}\n", f.read())
    assert s.stop() == 0
    assert not os.path.exists(os.path.dirname(secret))


def test_dir_is_kept_and_used_again(new):
    s = new(names=["files", "health"])
    secrets = []
    for _ in range(2):
        s.start("--dir", s.path("mine"), config=False)
        with open(s.path("mine", "admin.secret")) as f:
            secrets.append(f.read())
        assert s.stop() == 0
    assert secrets[0] == secrets[1]
    assert sorted(os.listdir(s.path("mine"))) == [
        "admin.secret", "moltworker.conf", "sandboxes", "state", "store"]


# ---- what it refuses ----

def refused(result, *words, status=1):
    assert result[0] == status, result
    for w in words:
        assert w in result[2], result


def test_a_port_in_use(new):
    s = new(names=["files", "health"])
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", s.port))
        busy.listen()
        refused(s.run(), "port %d is in use" % s.port, "--port")


@pytest.mark.parametrize("args", [
    ["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--procs", "0"], ["--procs", "-1"],
    ["--server", "iis"], ["--bogus"], ["word"], ["--sockets", "/tmp/x"]])
def test_wrong_usage(new, args):
    refused(new().run(*args), "usage: moltctl serve", status=2)


def test_missing_things_are_named(new):
    s = new(names=["files"])
    refused(s.run(), s.path("libexec", "health.fcgi"), "MOLTWORKER_LIBEXEC")
    s = new(names=["files", "health"])
    refused(s.run("--config", s.path("none.conf")), s.path("none.conf"))
    s.write("bad.conf", "wake: { max_wait = -1; };\n")
    refused(s.run("--config", s.path("bad.conf")), "bad.conf:1", "wake.max_wait")


@pytest.mark.parametrize("setting", ["state.path", "store.dir.path", "sandbox.local.path"])
def test_a_directory_that_cannot_be_written_is_named(new, setting):
    s = new(names=["files", "health"])
    os.mkdir(s.path("ro"), 0o500)
    s.configure({setting: s.path("ro")})
    refused(s.run("--config", s.path("moltworker.conf")), setting, s.path("ro"))


def test_a_secret_that_others_can_read(new):
    s = new(names=["files", "health"])
    os.chmod(s.path("admin.secret"), 0o644)
    refused(s.run("--config", s.path("moltworker.conf")), "admin.secret", "0644")


def test_only_root_becomes_somebody_else(new):
    refused(new().run("--user", "nobody"), "--user nobody", "root")
