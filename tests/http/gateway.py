# SPDX-License-Identifier: BSD-2-Clause
"""The product under test: one private directory with configuration, secret,
store, sandboxes and state, reached as a plain CGI program (Cgi) or through
`moltctl serve` and a real web server (Gateway)."""
import glob
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import mw

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("MW_BUILD", os.path.join(ROOT, "build")))
SECRET = "Correct-Horse-7b1f5c0e9d"
SANDBOX = re.compile(r"(^|/)agent serve\b|(^|/)bwrap | hold \S+$")
BOUND = os.environ.get("MW_ENGINE_FILES") == "1"
SANITIZED = os.environ.get("MW_SANITIZED") == "yes"
S3_SECRET = "s3-Secret-Key-41f0aa"
DEFAULTS = {
    "auth.secret_file": "{dir}/admin.secret",
    "store.driver": "dir",
    "store.dir.path": "{dir}/store",
    "sandbox.driver": "local",
    "sandbox.local.path": "{dir}/sandboxes",
    "sandbox.local.isolation": os.environ.get("MW_ISOLATION", "none"),
    "state.path": "{dir}/state",
    "log.file": "{dir}/gateway.log",
}


def libconfig_value(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return "%d%s" % (v, "L" if abs(v) > 2147483647 else "")
    if isinstance(v, (list, tuple)):
        return "[ %s ]" % ", ".join(libconfig_value(i) for i in v)
    return json.dumps(v, ensure_ascii=False)


def libconfig_text(flat):
    """{"a.b.c": v} as a libconfig document, one setting a line."""
    tree = {}
    for key, v in flat.items():
        node = tree
        *groups, name = key.split(".")
        for g in groups:
            node = node.setdefault(g, {})
        node[name] = v

    def write(node, indent):
        for name, v in node.items():
            if isinstance(v, dict):
                yield "%s%s: {" % (indent, name)
                yield from write(v, indent + "  ")
                yield "%s};" % indent
            else:
                yield "%s%s = %s;" % (indent, name, libconfig_value(v))
    return "\n".join(write(tree, "")) + "\n"


def parent_of(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


# (directory, pid, start time, name) of processes that have nothing to do with a directory.
# An exec changes the name; looking into all of them again takes most of a short test's time.
strangers = set()


def names(pid, directory):
    """Does the command line, environment or working directory of pid name the directory?
    None: it is in the middle of an exec, and has neither."""
    text = b""
    try:
        for what in ("cmdline", "environ"):
            with open("/proc/%d/%s" % (pid, what), "rb") as f:
                text += f.read()
        if directory.encode() in text or \
                os.readlink("/proc/%d/cwd" % pid).startswith(directory):
            return True
    except PermissionError:
        return directory.encode() in text
    return False if text else None


def processes_of(directory):
    """Pids whose command line, environment or working directory names the
    directory, and their descendants: what a gateway started, however detached."""
    mine, parent = set(), {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        pid = int(name)
        try:
            with open("/proc/%d/stat" % pid) as f:
                comm, rest = f.read().rsplit(")", 1)
            stat = rest.split()
            if stat[0] == "Z":
                continue
            parent[pid] = int(stat[1])
            key = (directory, pid, stat[19], comm)
            if key in strangers:
                continue
            named = names(pid, directory)
            if named:
                mine.add(pid)
            elif named is not None:
                strangers.add(key)
        except (OSError, IndexError):
            continue
    grew = True
    while grew:
        more = {p for p, pp in parent.items() if pp in mine} - mine
        mine |= more
        grew = bool(more)
    return mine


def command_line(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def binary(name):
    """A built program; in a libtool or subdirectory build too."""
    return os.path.join(BUILD, name)


class Base:
    kind = None

    def __init__(self, settings=None, store="dir", s3=None, secret=SECRET, env=None,
                 engine=None):
        self.dir = tempfile.mkdtemp(prefix="mwtest.")
        self.engine = engine            # an Engine or a Cloud; None: the local driver
        self.ended = set()              # users whose sandbox was ended after a test
        self.store, self.s3, self.secret = store, s3, secret
        self.extra_env = dict(env or {})
        for d in ("store", "sandboxes", "state", "tmp"):
            os.mkdir(self.path(d), 0o700)
        self.write_secret(secret + "\n")
        self.conf = {k: v.replace("{dir}", self.dir) if isinstance(v, str) else v
                     for k, v in DEFAULTS.items()}
        if s3:
            self.write("r2.secret", s3.secret + "\n", 0o600)
            self.conf.update({
                "store.driver": "s3", "store.s3.bucket": s3.bucket,
                "store.s3.endpoint": "http://%s:%d" % (s3.host, s3.port),
                "store.s3.region": s3.region, "store.s3.access_key_id": s3.key,
                "store.s3.secret_key_file": self.path("r2.secret")})
        if engine:
            self.prefix = "mwt-%s-" % os.path.basename(self.dir)[7:].replace("_", "x")
            self.conf.update(engine.settings(self.prefix))
            if BOUND and self.conf["sandbox.driver"] == "engine":
                os.mkdir(self.path("files"), 0o700)
                self.conf["sandbox.engine.files"] = self.path("files", "{user}")
        self.configure(settings or {})
        self.users = 0
        self.addresses = 0

    # -- the private directory --

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=0o644):
        """Appears whole: written beside, renamed."""
        tmp = self.path(name + ".new")
        with open(tmp, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(tmp, mode)
        os.rename(tmp, self.path(name))

    def write_secret(self, text):
        self.write("admin.secret", text, 0o600)

    def configure(self, settings):
        self.conf.update({k: v.replace("{dir}", self.dir) if isinstance(v, str) else v
                          for k, v in settings.items()})
        self.write("moltworker.conf", libconfig_text(self.conf))

    @property
    def local(self):
        """Is it the local driver, with its own directories?"""
        return self.engine is None

    @property
    def comes_back_empty(self):
        """Is a sandbox that ended there again at the next call, without its files?"""
        return self.conf["sandbox.driver"] in ("bridge", "container")

    @property
    def can_stop(self):
        """Sleep ends only the gateway where the driver cannot end a sandbox."""
        return self.conf["sandbox.driver"] != "container"

    @property
    def absent(self):
        """The state of a user whose sandbox nobody has asked for.  The bridge cannot be
        asked without starting it; the containers of the peer are always there."""
        return {"bridge": "sleeping", "container": self.running_state}.get(
            self.conf["sandbox.driver"], "stopped")

    @property
    def running_state(self):
        """The state of a user whose sandbox runs, and no gateway in it."""
        return "idle" if self.conf.get("gateway.start") else "active"

    @property
    def root_inside(self):
        """Are the sandboxes' commands root's, whom no mode of a file stops?"""
        return getattr(self.engine, "ROOT_INSIDE", False)

    def sandbox(self, user, *names):
        """The user's root, or a place below it, as the host has it."""
        if "sandbox.engine.files" in self.conf:
            return self.path("files", user, *names)
        root = self.engine.root(self.prefix + user) if self.engine else None
        return os.path.join(root, "workspace", *names) if root else \
            self.path("sandboxes", user, *names)

    def run_dir(self, user, *names):
        """RUN_DIR of the user's sandbox, or a place below it, as the host has it."""
        if "sandbox.engine.files" in self.conf:
            return self.path("files", ".run", user, "run", *names)
        below = self.conf.get("sandbox.run_dir", "/tmp/.moltworker").lstrip("/")
        root = self.engine.root(self.prefix + user) if self.engine else None
        return os.path.join(root, below, *names) if root else \
            self.path("sandboxes", ".run", user, below, *names)

    def env(self):
        e = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8",
             "TMPDIR": self.path("tmp"),
             "MOLTWORKER_CONFIG": self.path("moltworker.conf"),
             "MOLTWORKER_LIBEXEC": BUILD,
             "MOLTWORKER_DATA": os.path.join(ROOT, "etc"),
             "MOLTWORKER_MOLTCTL": binary("moltctl"),
             "MOLTWORKER_AGENT": binary("agent")}
        if SANITIZED:
            e["MOLTWORKER_SANITIZER_LOG"] = self.path("sanitizer")
        e.update(self.extra_env)
        return e

    def moltctl(self, *args, timeout=60):
        """Run a local verb; returns (exit status, stdout, stderr), without what a sanitizer's
        build says of the tests' own variable."""
        p = subprocess.run([binary("moltctl"), *args], env=self.env(), timeout=timeout,
                           stdin=subprocess.DEVNULL, capture_output=True)
        err = "".join(line for line in p.stderr.decode().splitlines(True)
                      if "MOLTWORKER_SANITIZER_LOG is not a setting" not in line)
        return p.returncode, p.stdout.decode(), err

    def without_drain(self):
        """No drain but the test's own: a detached one would race with what is counted."""
        real = self.env()["MOLTWORKER_MOLTCTL"]
        self.write("moltctl", "#!/bin/sh\n[ \"$1\" = drain ] || exec %s \"$@\"\n" % real,
                   0o755)
        self.extra_env["MOLTWORKER_MOLTCTL"] = self.path("moltctl")

    def drain(self):
        return self.moltctl("drain")[0]

    def log(self):
        try:
            with open(self.path("gateway.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    # -- clients --

    def new_user(self):
        self.users += 1
        return "u%d" % self.users

    def new_address(self):
        """A loopback address nobody came from yet."""
        self.addresses += 1
        return "127.9.%d.%d" % (self.addresses // 250, self.addresses % 250 + 1)

    def call(self, method, target, headers=(), body=None, auth=True, **kw):
        headers = list(headers)
        if auth:
            headers.append(("X-Admin-Secret", self.secret))
        return self.request(method, target, headers, body, **kw)

    @staticmethod
    def target(user, path, query=""):
        return "/api/super/users/%s/files/%s%s" % (
            user, mw.enc(path), "?" + query if query else "")

    def get(self, user, path, query="", headers=(), **kw):
        return self.call("GET", self.target(user, path, query), headers, **kw)

    def raw(self, user, path, query="", headers=(), **kw):
        return self.get(user, path, "raw=1" + ("&" + query if query else ""), headers, **kw)

    def head(self, user, path, query="raw=1", headers=(), **kw):
        return self.call("HEAD", self.target(user, path, query), headers, **kw)

    def put(self, user, path, body, query="", headers=(), **kw):
        headers = list(headers)
        if not any(n.lower() == "content-type" for n, _ in headers):
            headers.append(("Content-Type", "application/octet-stream"))
        return self.call("PUT", self.target(user, path, query), headers, body, **kw)

    def put_json(self, user, path, doc, query="", headers=(), **kw):
        body = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
        headers = [("Content-Type", "application/json")] + list(headers)
        return self.call("PUT", self.target(user, path, query), headers, body, **kw)

    def put_ok(self, user, path, body, query="", **kw):
        obj = mw.check_json(self.put(user, path, body, query, **kw))
        assert obj["success"] is True, obj
        return obj

    def delete(self, user, path, query="", headers=(), **kw):
        return self.call("DELETE", self.target(user, path, query), headers, **kw)

    def list(self, user, query="", **kw):
        return self.call("GET", "/api/super/users/%s/files%s" % (
            user, "?" + query if query else ""), **kw)

    def batch(self, user, ops, query="", **members):
        """Post a batch: a list of operations, or the body itself."""
        body = ops if isinstance(ops, bytes) else json.dumps(
            dict(members, operations=ops)).encode()
        return self.call("POST", self.target(user, "batch", query),
                         [("Content-Type", "application/json")], body)

    def batch_ok(self, user, ops, query="", **members):
        """The results, checked as far as every batch is."""
        obj = mw.check_json(self.batch(user, ops, query, **members))
        assert obj["userId"] == user and len(obj["results"]) == len(ops), obj
        for op, r in zip(ops, obj["results"]):
            assert (r["op"], r["path"]) == (op["op"], op["path"]), (op, r)
            assert r["success"] is (r["status"] == 200), r
        good = [r for r in obj["results"] if r["success"]]
        assert obj["succeeded"] == len(good) and obj["failed"] == len(ops) - len(good), obj
        return obj

    def sync(self, user, query="", **kw):
        return self.call("POST", "/api/super/users/%s/sync%s" % (
            user, "?" + query if query else ""), body=b"", **kw)

    def r2_status(self, user, **kw):
        return self.call("GET", "/api/super/users/%s/r2-status" % user, **kw)

    def config(self, method, user, doc=None, rest="", query="", headers=(), **kw):
        """…/config or what lies below it; doc: an object, or the body itself."""
        if doc is not None or method in ("PUT", "PATCH", "POST"):
            kw["body"] = doc if isinstance(doc, bytes) else \
                b"" if doc is None else json.dumps(doc).encode()
        return self.call(method, "/api/super/users/%s/config%s%s" % (
            user, rest, "?" + query if query else ""),
            [("Content-Type", "application/json")] + list(headers), **kw)

    def content(self, user, path, query=""):
        """The file's bytes by a raw read, or None for a 404."""
        r = self.raw(user, path, query)
        if r.status == 404:
            mw.check_error(r, "file_not_found")
            return None
        assert r.status == 200 and r.complete, r
        return r.body

    def exec(self, user, command=None, timeout=60.0, **members):
        """POST exec; `limit` is the member timeout."""
        if command is not None:
            members["command"] = command
        if "limit" in members:
            members["timeout"] = members.pop("limit")
        return self.call("POST", "/api/super/users/%s/exec" % user,
                         [("Content-Type", "application/json")],
                         json.dumps(members).encode(), timeout=timeout)

    def process(self, user, pid, query="", method="GET", what="/status", **kw):
        return self.call(method, "/api/super/users/%s/exec/%s%s%s" % (
            user, pid, what, "?" + query if query else ""), **kw)

    # -- end --

    def end_sandboxes(self):
        """End the sandboxes of this directory at once (a plain CGI has no server that would)."""
        if self.engine:
            self.engine.end(self.prefix)
            return
        inside = processes_of(self.path("sandboxes"))
        for pid in processes_of(self.dir):
            if pid in inside or SANDBOX.search(command_line(pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def end_new_sandboxes(self):
        """The same where one was started since the last time; a look at all processes is dear."""
        try:
            now = set(os.listdir(self.path("sandboxes", ".run")))
        except FileNotFoundError:
            now = set()
        if self.engine or now - self.ended:
            self.end_sandboxes()
        self.ended |= now

    def replace(self, user):
        """In place of the user's sandbox there is an empty one, or one to be made."""
        self.end_sandboxes()
        if self.engine:
            self.engine.replace(self.prefix + user)
            if "sandbox.engine.files" in self.conf:
                shutil.rmtree(self.path("files", ".run", user))
                shutil.rmtree(self.path("files", user))
            return
        shutil.rmtree(self.path("sandboxes", ".run", user))
        time.sleep(0.1)

    def leftovers(self, wait):
        deadline = time.monotonic() + wait
        while True:
            left = {p: command_line(p) for p in processes_of(self.dir)}
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def check_no_secret(self):
        for name in ("gateway.log", "stderr.log"):
            try:
                with open(self.path(name), "rb") as f:
                    text = f.read()
            except OSError:
                continue
            for secret in (self.secret, self.s3.secret if self.s3 else self.secret):
                assert secret.encode() not in text, "%s holds a secret" % name

    def check_sanitizer(self):
        """No process reported an error since the last look (see tests/sanitizer.c)."""
        reports = []
        for path in glob.glob(self.path("sanitizer.*")):
            pid = int(path.rsplit(".", 1)[1])
            while os.path.exists("/proc/%d" % pid) and not os.path.getsize(path):
                time.sleep(0.05)        # it is still writing
            with open(path, errors="replace") as f:
                # A thread that has been joined may be on its way out for a moment more.
                text = re.sub(r"==\d+==Unable to get registers from thread \d+\.\n", "", f.read())
            if text:
                reports.append("%s: %s" % (os.path.basename(path), text))
            os.unlink(path)
        assert not reports, "\n".join(reports)

    def close(self):
        try:
            self.check_no_secret()
            self.end()
            self.check_sanitizer()
        finally:
            if self.engine:
                self.engine.remove(self.prefix)
            for pid in processes_of(self.dir):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not os.environ.get("MW_KEEP"):
                unlock(self.dir)
                shutil.rmtree(self.dir, ignore_errors=True)

    def end(self):
        pass


def unlock(directory):
    """Tests plant 0000 directories; make them removable."""
    for d, names, _ in os.walk(directory):
        for n in names:
            p = os.path.join(d, n)
            if not os.path.islink(p):
                os.chmod(p, 0o700)


class Cgi(Base):
    """The responder itself, one process a request, no server."""
    kind = "direct"

    def responder(self, target):
        path = re.sub(r"^https?://[^/]*", "", target, flags=re.I).split("?")[0].split("/")
        if path[:4] == ["", "api", "super", "users"] and len(path) > 5:
            if path[5:] == ["files", "batch"]:
                return "batch.fcgi"
            if path[5] in ("files", "config", "exec"):
                return path[5] + ".fcgi"
        if re.match("/api/super/(users/?$|state(/|$)|users/[^/]+/(state|wake|restart|sleep|logs)(/|$))",
                    "/".join(path)):
            return "state.fcgi"
        if path[:4] == ["", "api", "super", "users"] and path[5:] in (["sync"], ["r2-status"]):
            return "sync.fcgi"
        if path[:4] == ["", "api", "super", "bulk"]:
            return "bulk.fcgi"
        if path[1:] == ["metrics"] or path[:4] in (["", "api", "super", "metrics"],
                                                   ["", "api", "super", "alerts"]):
            return "metrics.fcgi"
        return "health.fcgi"

    def cgi_env(self, method, target, headers, length, source):
        env = self.env()
        target = mw.to_bytes(target).decode("utf-8", "surrogateescape")
        env.update({
            "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SCRIPT_NAME": "",
            "PATH_INFO": target.split("?")[0], "REQUEST_URI": target,
            "QUERY_STRING": target.partition("?")[2], "REQUEST_METHOD": method,
            "REMOTE_ADDR": source or "127.0.0.1", "REMOTE_PORT": "1"})
        if length is not None:
            env["CONTENT_LENGTH"] = str(length)
        for n, v in headers:
            n = n.upper().replace("-", "_")
            n = n if n in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + n
            env[n] = env[n] + ", " + v if n in env and n.startswith("HTTP_") else v
        return env

    def request(self, method, target, headers=(), body=None, timeout=30.0,
                source=None, responder=None, env=None):
        env = env or self.cgi_env(method, target, headers,
                                  None if body is None else len(body), source)
        start = time.monotonic()
        p = subprocess.run([binary(responder or self.responder(target))], env=env,
                           input=body or b"", capture_output=True, timeout=timeout,
                           cwd=self.path("tmp"))
        with open(self.path("stderr.log"), "ab") as f:
            f.write(p.stderr)
        return parse_cgi(p.stdout, method, time.monotonic() - start)

    def end(self):
        self.end_sandboxes()
        left = self.leftovers(30)
        assert not left, "left running: %s" % left


def parse_cgi(out, method, elapsed):
    """A CGI answer (RFC 3875 6) as the response a server would make of it."""
    head, sep, body = out.partition(b"\r\n\r\n")
    if not sep:
        head, sep, body = out.partition(b"\n\n")
    if not sep:
        return mw.Response(0, "", [], out, False, elapsed)
    headers = [(n, v.strip()) for n, _, v in
               (line.partition(":") for line in head.decode("latin-1").splitlines())]
    status = [v for n, v in headers if n.lower() == "status"]
    code, _, reason = (status[0] if status else "200 OK").partition(" ")
    headers = [h for h in headers if h[0].lower() != "status"]
    length = [int(v) for n, v in headers if n.lower() == "content-length"]
    if method == "HEAD" or int(code) in (204, 304):
        assert body == b"", "a body where none may be: %r" % body[:200]
        complete = True
    else:
        complete = not length or length[0] == len(body)
    return mw.Response(int(code), reason, headers, body, complete, elapsed)


class Gateway(Base):
    """`moltctl serve`: the responders behind a real web server."""

    def __init__(self, kind, settings=None, store="dir", s3=None, procs=2, env=None,
                 engine=None):
        super().__init__(settings, store, s3, env=env, engine=engine)
        self.kind, self.procs, self.port = kind, procs, mw.free_port()
        self.serve = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def served(self):
        return ["--port", str(self.port), "--server", self.kind]

    def start(self):
        self.errors = open(self.path("stderr.log"), "ab")
        self.serve = subprocess.Popen(
            [binary("moltctl"), "serve", "--config", self.path("moltworker.conf")] + self.served() +
            (["--procs", str(self.procs)] if self.procs else []),
            env=self.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors, cwd=self.dir, start_new_session=True)
        text, deadline = b"", time.monotonic() + 60
        while b"ready" not in text or not text.endswith(b"\n"):
            left = deadline - time.monotonic()
            got = b""
            if left > 0 and select.select([self.serve.stdout], [], [], left)[0]:
                got = os.read(self.serve.stdout.fileno(), 4096)
            if not got:
                with open(self.path("stderr.log"), errors="replace") as f:
                    raise RuntimeError("serve %s is not ready: %r\n%s" % (
                        self.kind, text, f.read()[-2000:]))
            text += got
        self.ready_line = text.decode()

    def request(self, method, target, headers=(), body=None, **kw):
        return mw.exchange(("127.0.0.1", self.port), method, target, headers, body, **kw)

    def responders(self, name="files.fcgi"):
        """Pids of the live processes of one responder that take requests; the
        one that started them does not."""
        found, parents = [], set()
        for pid in processes_of(self.dir):
            try:
                exe = os.path.basename(os.readlink("/proc/%d/exe" % pid))
            except OSError:
                continue
            if exe == name:
                found.append(pid)
                parents.add(parent_of(pid))
        return sorted(set(found) - parents) if len(found) > 1 else found

    def end(self):
        if self.serve is None:
            return
        if self.serve.poll() is None:
            self.serve.send_signal(signal.SIGTERM)
        try:
            status = self.serve.wait(60)
        finally:
            self.serve.stdout.close()
            self.errors.close()
        left = self.leftovers(30)
        assert not left, "left running after TERM: %s" % left
        assert status in (0, -signal.SIGTERM, 143), "serve ended with %s" % status
        kept = os.listdir(self.path("tmp"))
        assert not kept, "serve left files: %s" % kept
