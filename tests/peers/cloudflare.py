#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Cloudflare's two sandbox APIs, as a test needs them: the bridge Worker's (/v1) and
the in-container server's (/api, here below /c/NAME).  Their quirks are the recorded
ones; commands are really run, each sandbox in a bubblewrap of its own directory.

    cloudflare.py PORT DIRECTORY [TOKEN]

prints "ready" when it answers on 127.0.0.1:PORT.  TOKEN is what the bridge asks for.
    cloudflare.py alone ADDRESS PORT

is the in-container server itself, in a container: it runs commands where it runs.
A sandbox is named by its user, for both APIs; below /of/PREFIX, by the prefix and its
user.  POST /control/WORD takes JSON:

    end {"prefix"}              all containers whose names begin so are gone
    spoil {"user"}              its container cannot be started any more
    run {"user","script"}       run in its container by sh: {"status","output"}
    replace {"user"}            the container is gone, an empty one has its name
    replace_at {"user","call"}  the same, just before the so many-th call from now on;
                                with "again" before each so many-th
    capacity {"max"}            the bridge runs no more than so many; null = no limit
    pool {"broken"}             the bridge cannot start containers
    cut {"after","times"}       the next streams end after so many bytes, unfinished
    delay {"ms","times"}        the next calls are answered so much later
    slow_stop {"ms"}            the bridge answers so much after it has destroyed one
    forget {}                   all of the above is over, and the counts are 0

GET /control/state tells {"calls": {user: n}, "started": {user: n}, "running": [user],
"misuse": [...]}.
"""
import base64
import codecs
import http.server
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse

MIB = 1 << 20
WORKSPACE = "/workspace"
RPC_MAX = 12582000              # bytes of a PUT that the bridge's transport survives
BODY_MAX = 128 * MIB
READ_MAX = 32 * MIB
NO_SESSION = "__DISABLE_SESSION__"


def base32(user):
    return base64.b32encode(user.encode()).decode().lower().rstrip("=")


def now():
    t = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % (t * 1000 % 1000)


def shell_quote(arg):
    """As the bridge joins an argv."""
    if re.fullmatch(r"[A-Za-z0-9@%+=:,./-]+", arg):
        return arg
    for a, b in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        arg = arg.replace(a, b)
    return "$'%s'" % arg


class Died(Exception):
    """The container went away under a call."""


class Spoilt(Exception):
    """The container cannot be started."""


class Box:
    """One sandbox: its directory, and the container that has it, if one runs."""

    def __init__(self, top, name):
        self.name, self.dir = name, os.path.join(top, "box." + base32(name))
        self.lock = threading.RLock()
        self.generation, self.running, self.spoilt = 0, False, False
        self.calls = self.started = 0
        self.replace_at = self.again = None

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def start(self):
        with self.lock:
            if self.running:
                return
            if self.spoilt:
                raise Spoilt
            for d in ("workspace", "tmp", "run"):
                os.makedirs(self.path(d), exist_ok=True)
            self.process = subprocess.Popen(self.holder(), stdin=subprocess.PIPE)
            while not os.path.exists(self.path("run", "sock")):
                if self.process.poll() is not None:
                    raise RuntimeError("bubblewrap cannot run here")
                time.sleep(0.005)
            self.running = True
            self.started += 1
            self.generation += 1

    def destroy(self):
        """All of it goes: processes first, then files."""
        with self.lock:
            self.generation += 1
            if self.running:
                self.running = False
                self.process.stdin.close()      # at which all ends, see inside()
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            wipe(self.dir)

    def holder(self):
        """The command that holds the container: its namespaces, and the agent in them."""
        root = ["bwrap", "--unshare-user", "--unshare-pid", "--uid", "0",
                "--gid", "0", "--ro-bind", "/usr", "/usr"]
        for d in ("bin", "sbin", "lib", "lib32", "lib64"):
            if os.path.islink("/" + d):
                root += ["--symlink", "usr/" + d, "/" + d]
            elif os.path.isdir("/" + d):
                root += ["--ro-bind", "/" + d, "/" + d]
        root += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--dev", "/dev",
                 "--proc", "/proc", "--bind", self.path("tmp"), "/tmp",
                 "--bind", self.path("workspace"), WORKSPACE, "--bind", self.path("run"), "/run",
                 "--ro-bind", os.path.abspath(__file__), "/run/peer.py"]
        return root + ["/usr/bin/python3", "/run/peer.py", "inside"]

    def inside(self, path):
        """Where a path of the container lies here, or None."""
        path = os.path.normpath(os.path.join(WORKSPACE, path))
        for name, at in ((WORKSPACE, "workspace"), ("/tmp", "tmp")):
            if path == name or path.startswith(name + "/"):
                return self.path(at) + path[len(name):]
        return None

    def has(self, cwd):
        path = self.inside(cwd or WORKSPACE)
        return cwd == "/" or (path is not None and os.path.isdir(path))

    def run(self, line, cwd, output, timeout=None):
        """Run it; output(stream, text) gets what it says.  Returns the exit code, 124
        when it was killed for its time, like everything that outlives the command and
        holds its pipes."""
        generation = self.generation
        ends = [os.pipe(), os.pipe()]
        out = [open(r, "rb", 0) for r, _ in ends]
        conn = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        killer = Killer(conn, timeout)
        try:
            # By a descriptor: the path of a Unix socket has 107 bytes at most.
            run = os.open(self.path("run"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                conn.connect("/proc/self/fd/%d/sock" % run)
            finally:
                os.close(run)
            socket.send_fds(conn, [b"run"], [w for _, w in ends])
            for part in (line, cwd or WORKSPACE):
                data = os.fsencode(part)
                for i in range(0, len(data) + 1, 60000):
                    conn.send(b"+" + data[i:i + 60000])
                conn.send(b".")
        except OSError as e:
            raise Died() from e
        finally:
            for _, w in ends:
                os.close(w)
        try:
            said = conn.recv(64)
            if said.startswith(b"error"):
                raise OSError(said.decode())
            self.pump(out, output)
            code = int(conn.recv(64) or b"x")
        except (ValueError, ConnectionError) as e:
            raise Died() from e
        finally:
            killer.done()
            conn.close()
            for f in out:
                f.close()
        if self.generation != generation:
            raise Died()
        if killer.fired:
            output("stderr", "Command timed out after %dms\n" % (timeout * 1000))
            return 124
        return 128 - code if code < 0 else code

    @staticmethod
    def pump(out, output):
        sel = selectors.DefaultSelector()
        for name, f in zip(("stdout", "stderr"), out):
            # As the server has it: invalid bytes become U+FFFD, a BOM vanishes.
            sel.register(f, selectors.EVENT_READ,
                         (name, codecs.getincrementaldecoder("utf-8")("replace"), [True]))
        while sel.get_map():
            for key, _ in sel.select():
                name, decoder, first = key.data
                piece = os.read(key.fd, 65536)
                text = decoder.decode(piece, not piece)
                if first[0] and text:
                    first[0] = False
                    text = text[1:] if text[0] == "\ufeff" else text
                if text:
                    output(name, text)
                if not piece:
                    sel.unregister(key.fileobj)


class Alone(Box):
    """The container that this runs in."""

    def __init__(self):
        super().__init__("/", "alone")
        os.makedirs("/run", exist_ok=True)
        os.makedirs(WORKSPACE, exist_ok=True)
        threading.Thread(target=serve_inside, args=(listen_inside(),), daemon=True).start()

    def path(self, *names):
        return os.path.join("/", *names)

    def start(self):
        pass

    def inside(self, path):
        return os.path.normpath(os.path.join(WORKSPACE, path))


class Killer:
    """TERM for a command's process group when its time is over, KILL five seconds later."""

    def __init__(self, conn, timeout):
        self.conn, self.fired, self.event = conn, False, threading.Event()
        if timeout is not None:
            threading.Thread(target=self.watch, args=(timeout,), daemon=True).start()

    def watch(self, timeout):
        if self.event.wait(timeout):
            return
        self.fired = True
        for sig in (b"TERM", b"KILL"):
            try:
                self.conn.send(sig)
            except OSError:
                return
            if self.event.wait(5):
                return

    def done(self):
        self.event.set()


# ---- inside ----

def inside():
    """What a container begins with: runs what it is told by its socket, and ends, and
    all with it, when nobody holds the other end of its input any more."""
    def watch():
        sys.stdin.read()
        try:
            os.kill(-1, signal.SIGKILL)         # process 1 waits for what runs on behind
        finally:
            os._exit(0)
    threading.Thread(target=watch, daemon=True).start()
    serve_inside(listen_inside())


def listen_inside():
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.path.exists("/run/new"):
        os.unlink("/run/new")
    listener.bind("/run/new")
    listener.listen(128)
    os.rename("/run/new", "/run/sock")
    return listener


def serve_inside(listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=inside_run, args=(conn,), daemon=True).start()


def inside_part(conn):
    data = b""
    while True:
        piece = conn.recv(65536)
        if piece[:1] != b"+":
            return data
        data += piece[1:]


def inside_run(conn):
    _, fds, _, _ = socket.recv_fds(conn, 16, 2)
    line, cwd = inside_part(conn), inside_part(conn)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    try:
        proc = subprocess.Popen([b"/bin/bash", b"-c", line], stdin=subprocess.DEVNULL,
                                stdout=fds[0], stderr=fds[1], cwd=cwd, env=env,
                                start_new_session=True)
    except OSError as e:
        conn.send(b"error " + str(e).encode()[:50])
        return
    finally:
        for fd in fds:
            os.close(fd)
    conn.send(b"started")
    threading.Thread(target=inside_kill, args=(conn, proc), daemon=True).start()
    code = proc.wait()
    try:
        conn.send(b"%d" % code)
    except OSError:
        pass


def inside_kill(conn, proc):
    for sig in (signal.SIGTERM, signal.SIGKILL):
        if not conn.recv(64):
            return
        try:
            os.killpg(proc.pid, sig)
        except ProcessLookupError:
            return


def wipe(directory):
    for d, names, _ in os.walk(directory):
        for n in names:
            if not os.path.islink(os.path.join(d, n)):
                os.chmod(os.path.join(d, n), 0o700)
    shutil.rmtree(directory, ignore_errors=True)


class World:
    def __init__(self, top, token):
        self.top, self.token, self.boxes = top, token, {}
        self.lock = threading.Lock()
        self.misuse = []
        self.alone = None
        self.forget()

    def forget(self):
        self.capacity, self.broken = None, False
        self.cuts, self.delays, self.slow_stop = [], [], 0
        for box in self.boxes.values():
            box.calls = box.started = 0
            box.replace_at = box.again = None
            box.spoilt = False

    def box(self, user):
        with self.lock:
            return self.boxes.setdefault(user, Box(self.top, user))

    def running(self):
        return sum(b.running for b in self.boxes.values())

    def count(self, box):
        """A call to this sandbox comes in."""
        with self.lock:
            delay = self.delays.pop(0) if self.delays else 0
        with box.lock:
            box.calls += 1
            if box.replace_at is not None:
                box.replace_at -= 1
                if box.replace_at <= 0:
                    box.replace_at = box.again
                    box.destroy()
        time.sleep(delay / 1000)

    def control(self, word, j):
        if word == "run":
            said = []
            code = self.box(j["user"]).run(j["script"], None, lambda _, text: said.append(text))
            return {"status": code, "output": "".join(said)}
        if word == "end":
            for name, box in list(self.boxes.items()):
                if name.startswith(j["prefix"]):
                    box.destroy()
        elif word == "replace":
            self.box(j["user"]).destroy()
        elif word == "spoil":
            self.box(j["user"]).spoilt = True
        elif word == "replace_at":
            self.box(j["user"]).replace_at = j["call"]
            self.box(j["user"]).again = j["call"] if j.get("again") else None
        elif word == "capacity":
            self.capacity = j["max"]
        elif word == "pool":
            self.broken = j["broken"]
        elif word == "cut":
            self.cuts += [j["after"]] * j.get("times", 1)
        elif word == "delay":
            self.delays += [j["ms"]] * j.get("times", 1)
        elif word == "slow_stop":
            self.slow_stop = j["ms"]
        elif word == "forget":
            self.forget()
        else:
            return {"error": "no such word"}
        return {"ok": True}

    def state(self):
        return {"calls": {u: b.calls for u, b in self.boxes.items()},
                "started": {u: b.started for u, b in self.boxes.items()},
                "running": [u for u, b in self.boxes.items() if b.running],
                "misuse": self.misuse}


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


class Stream:
    """An answer of events, in chunks that keep to no event's bounds."""

    def __init__(self, handler):
        self.handler, self.sent = handler, 0
        with handler.world.lock:
            self.limit = handler.world.cuts.pop(0) if handler.world.cuts else None
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Cache-Control", "no-cache")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        self.gone = False
        self.lock = threading.Lock()

    def event(self, text):
        data = text.encode("utf-8", "replace")
        with self.lock:
            while data and not self.gone:
                piece = data[:random.choice((1, 7, 100, 4096, 65536))]
                data = data[len(piece):]
                self.chunk(piece)

    def chunk(self, piece):
        cut = self.limit is not None and self.sent + len(piece) > self.limit
        if cut:
            piece = piece[:self.limit - self.sent]
        self.sent += len(piece)
        try:
            if piece:
                self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if cut:
                self.handler.connection.shutdown(2)
        except OSError:
            cut = True
        # A client that goes away does not stop the command.
        self.gone = self.gone or cut

    def end(self):
        self.handler.close_connection = self.handler.close_connection or self.gone
        if not self.gone:
            self.handler.wfile.write(b"0\r\n\r\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass

    # -- answers --

    def answer(self, status, body=None, kind="application/json", close=False):
        data = json.dumps(body).encode() if kind == "application/json" and body is not None \
            else body or b""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if status != 204:
            self.wfile.write(data)
        self.close_connection = self.close_connection or close

    def handle_one(self):
        path = urllib.parse.urlsplit(self.path).path
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if length > BODY_MAX:
                return self.answer(413, b"", "text/plain", close=True)
            self.body = self.rfile.read(length)
            if path.startswith("/control/"):
                return self.control(path[9:])
            if self.world.alone:
                return Container(self, self.world.alone).call(path)
            self.prefix = ""
            if path.startswith("/of/"):
                _, _, self.prefix, path = path.split("/", 3)
                path = "/" + path
            if path.startswith("/c/"):
                _, _, name, rest = path.split("/", 3)
                return Container(self, self.world.box(self.prefix + name)).call("/" + rest)
            return Bridge(self).call(path)
        except Refused as e:
            if isinstance(e.body, str):
                return self.answer(e.status, e.body.encode(), "text/plain")
            return self.answer(e.status, e.body)
        except (BrokenPipeError, ConnectionResetError, Spoilt):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def control(self, word):
        if word == "state":
            return self.answer(200, self.world.state())
        return self.answer(200, self.world.control(word, json.loads(self.body or b"{}")))

    def object(self):
        try:
            j = json.loads(self.body)
        except ValueError:
            return None
        return j if isinstance(j, dict) else None

    def misused(self, what):
        self.world.misuse.append(what)


# ---- the bridge ----

def bridge_error(status, code, text):
    return Refused(status, {"error": text, "code": code})


def decode_uri(path):
    """decodeURI, not decodeURIComponent: what is reserved stays as it is."""
    def one(m):
        raw = bytes.fromhex(m.group(0).replace("%", ""))
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return m.group(0)
        return "".join("%%%02X" % ord(c) if c in "#$&+,/:;=?@%" else c for c in text)
    return re.sub(r"(?:%[0-9A-Fa-f]{2})+", one, path)


class Bridge:
    def __init__(self, handler):
        self.h, self.world = handler, handler.world

    def call(self, path):
        if path == "/health":
            return self.h.answer(200, {"ok": True})
        m = re.fullmatch(r"/v1/sandbox/([^/]+)(/.*)?", path, re.S)
        if not m:
            raise Refused(404, "404 Not Found")
        if not re.fullmatch(r"[a-z2-7]{1,128}", m.group(1)):
            raise bridge_error(400, "invalid_request", "Invalid sandbox ID format")
        if self.world.token and self.h.headers.get("Authorization") != "Bearer " + self.world.token:
            raise bridge_error(401, "unauthorized", "Unauthorized")
        if self.h.headers.get("Session-Id") is not None:
            self.h.misused("a Session-Id was sent")
        return self.start(m.group(1)).route(m.group(2) or "")

    def start(self, name):
        """Whatever is asked of a sandbox starts it."""
        pad = name.upper() + "=" * (-len(name) % 8)
        try:
            user = base64.b32decode(pad).decode()
        except ValueError:
            user = name
        self.box = self.world.box(self.h.prefix + user)
        self.world.count(self.box)
        with self.world.lock:
            full = self.world.capacity is not None and self.world.running() >= self.world.capacity
            if not self.box.running and (self.world.broken or self.box.spoilt):
                raise bridge_error(502, "pool_error", "pool error: Failed to start container")
            if not self.box.running and full:
                raise bridge_error(503, "capacity_exceeded",
                                   "pool error: Maximum number of running container instances")
            self.box.start()
        return self

    def route(self, tail):
        method = self.h.command
        if tail == "" and method == "DELETE":
            self.box.destroy()
            time.sleep(self.world.slow_stop / 1000)
            return self.h.answer(204)
        if tail == "/exec" and method == "POST":
            return self.exec()
        if tail.startswith("/file") and method in ("GET", "PUT"):
            return self.file(method, tail[5:])
        if tail == "/running" and method == "GET":
            return self.h.answer(200, {"running": True})
        raise Refused(404, "404 Not Found")

    def exec(self):
        j = self.h.object()
        if j is None or not isinstance(j.get("argv"), list) or not j["argv"]:
            raise bridge_error(400, "invalid_request", "argv must be a non-empty array")
        cwd = j.get("cwd")
        if cwd is not None:
            cwd = os.path.normpath(os.path.join(WORKSPACE, cwd))
            if cwd != WORKSPACE and not cwd.startswith(WORKSPACE + "/"):
                raise bridge_error(403, "invalid_request", "cwd must be within /workspace")
        line = " ".join(shell_quote(str(a)) for a in j["argv"])
        timeout = j.get("timeout_ms")
        s = Stream(self.h)
        try:
            if not self.box.has(cwd):
                raise OSError("cwd")
            code = self.box.run(line, cwd, lambda stream, text: s.event(
                "event: %s\ndata: %s\n\n" % (stream, base64.b64encode(text.encode()).decode())),
                timeout / 1000 if timeout else None)
            s.event('event: exit\ndata: {"exit_code":%d}\n\n' % code)
        except Died:
            self.failed(s, "WritableStream RPC stub was disposed without calling close()")
        except OSError:             # no such directory, a line too long
            self.failed(s, "Command execution failed")
        s.end()

    @staticmethod
    def failed(s, text):
        s.event("event: error\ndata: %s\n\n" % json.dumps(
            {"error": "exec failed: " + text, "code": "exec_transport_error"}))

    def file(self, method, path):
        if path in ("", "/"):
            raise bridge_error(400, "invalid_request", "file path must not be empty")
        if "%0a" in path.lower():
            raise Refused(404, "404 Not Found")
        path = os.path.normpath("/" + decode_uri(path).lstrip("/"))
        if path != WORKSPACE and not path.startswith(WORKSPACE + "/"):
            raise bridge_error(403, "invalid_request",
                               "path must resolve to a location within /workspace")
        real = self.box.inside(path)
        if method == "GET":
            if not os.path.isfile(real):
                return self.h.answer(200, b"", "application/octet-stream", close=True)
            with open(real, "rb") as f:
                return self.h.answer(200, as_text(real, f.read()), "application/octet-stream")
        if len(self.h.body) > 32 * MIB:
            raise bridge_error(413, "payload_too_large", "body exceeds 32 MiB")
        if len(self.h.body) > RPC_MAX:
            self.h.misused("a PUT of more than the transport takes")
            raise bridge_error(502, "workspace_archive_write_error",
                               "write failed: OperationInterruptedError: runtime reset")
        try:
            os.makedirs(os.path.dirname(real), exist_ok=True)
            with open(real, "wb") as f:
                f.write(self.h.body)
        except OSError as e:
            raise bridge_error(502, "workspace_archive_write_error",
                               "write failed: FileSystemError: " + str(e)) from e
        return self.h.answer(200, {"ok": True})


def as_text(path, data):
    """What the text detection makes of a file read without an encoding."""
    if not path.endswith((".txt", ".md", ".json", ".html", ".js", ".py", ".sh", ".csv")):
        return data
    text = data.decode("utf-8", "replace")
    return (text[1:] if text.startswith("\ufeff") else text).encode()


# ---- the server in a container ----

class Container:
    def __init__(self, handler, box):
        self.h, self.box, self.world = handler, box, handler.world

    def error(self, status, code, text, **context):
        return Refused(status, {"code": code, "message": text, "context": context,
                                "httpStatus": status, "timestamp": now()})

    def call(self, path):
        if self.h.headers.get("Authorization") is not None:
            self.h.misused("Authorization was sent to the container server: a session's name")
        self.world.count(self.box)
        self.box.start()            # there always is one, as if somebody restarted it
        routes = {("GET", "/api/ping"): self.ping, ("GET", "/api/version"): self.version,
                  ("POST", "/api/execute"): self.execute,
                  ("POST", "/api/execute/stream"): self.stream,
                  ("POST", "/api/write"): self.write, ("POST", "/api/read"): self.read}
        route = routes.get((self.h.command, path))
        if route is None:
            raise self.error(404, "UNKNOWN_ERROR", "The requested endpoint was not found")
        if self.h.command == "POST":
            self.j = self.h.object()
            if self.j is None:
                raise self.error(500, "INTERNAL_ERROR", "JSON Parse error")
            if self.j.get("sessionId") != NO_SESSION:
                self.h.misused("%s with a session" % path)
        return route()

    def ping(self):
        self.h.answer(200, {"success": True, "status": "healthy", "timestamp": now()})

    def version(self):
        self.h.answer(200, {"success": True, "version": "0.12.7", "timestamp": now()})

    def check(self, code):
        if not self.box.has(self.j.get("cwd")):
            raise self.error(500, code, "ENOENT: no such file or directory, "
                             "posix_spawn '/bin/bash'")
        if not isinstance(self.j.get("command"), str):
            raise self.error(500, "INTERNAL_ERROR", "undefined is not an object")

    def execute(self):
        self.check("COMMAND_EXECUTION_ERROR")
        out = {"stdout": "", "stderr": ""}

        def add(stream, text):
            out[stream] += text
        timeout = self.j.get("timeoutMs", None)
        try:
            code = self.box.run(self.j["command"], self.j.get("cwd"), add,
                                None if "timeoutMs" not in self.j else max(0, timeout or 0) / 1000)
        except Died:
            return self.gone()
        except OSError as e:
            raise self.error(500, "COMMAND_EXECUTION_ERROR", str(e)) from e
        return self.h.answer(200, dict(out, success=code == 0, exitCode=code, duration=0,
                                       command=self.j["command"], sessionId=NO_SESSION,
                                       timestamp=now()))

    def gone(self):
        self.h.close_connection = True
        self.h.connection.shutdown(2)

    def stream(self):
        """timeoutMs is ignored here."""
        self.check("STREAM_START_ERROR")
        if len(self.j["command"].encode()) >= 131072:
            raise self.error(500, "STREAM_START_ERROR", "E2BIG: argument list too long")
        s = Stream(self.h)

        def event(**members):
            s.event("data: %s\n\n" % json.dumps(dict(members, timestamp=now()),
                                                ensure_ascii=False))
        event(type="start", command=self.j["command"])
        try:
            code = self.box.run(self.j["command"], self.j.get("cwd"),
                                lambda stream, text: event(type=stream, data=text))
        except Died:
            return self.gone()
        event(type="complete", exitCode=code)
        return s.end()

    def real(self):
        path = self.j.get("path")
        if not isinstance(path, str) or not path or "\0" in path or len(path) > 4096:
            raise self.error(400, "VALIDATION_FAILED", "invalid path")
        real = self.box.inside(path)
        if real is None:
            raise self.error(500, "FILESYSTEM_ERROR", "EROFS: read-only file system")
        return path, real

    def write(self):
        path, real = self.real()
        content = self.j.get("content")
        if self.j.get("encoding") == "base64":
            if not re.fullmatch(r"[A-Za-z0-9+/=]*", content):
                raise self.error(400, "VALIDATION_FAILED", "invalid base64")
            data = base64.b64decode(content + "=" * (-len(content) % 4))
        else:
            data = content.encode("utf-8", "replace")
        try:
            os.makedirs(os.path.dirname(real), exist_ok=True)
            with open(real, "wb") as f:
                f.write(data)
        except OSError as e:
            raise self.error(500, "FILESYSTEM_ERROR", str(e)) from e
        return self.h.answer(200, {"success": True, "path": path, "timestamp": now()})

    def read(self):
        path, real = self.real()
        if not os.path.isfile(real):
            raise self.error(404, "FILE_NOT_FOUND", "File not found: " + path, path=path)
        size = os.path.getsize(real)
        if size > READ_MAX:
            raise self.error(413, "FILE_TOO_LARGE", "File too large: " + path)
        with open(real, "rb") as f:
            data = f.read()
        binary = self.j.get("encoding") == "base64"
        content = base64.b64encode(data) if binary else as_text(path, data)
        return self.h.answer(200, {
            "success": True, "path": path, "content": content.decode("utf-8", "replace"),
            "timestamp": now(), "encoding": "base64" if binary else "utf-8",
            "isBinary": binary, "mimeType": "application/octet-stream", "size": size})


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    address = "127.0.0.1"
    if sys.argv[1] == "alone":
        world = World("/", "")
        world.alone = Alone()
        address, port = sys.argv[2], int(sys.argv[3])
    else:
        port, top = int(sys.argv[1]), os.path.abspath(sys.argv[2])
        os.makedirs(top, exist_ok=True)
        world = World(top, sys.argv[3] if len(sys.argv) > 3 else "")
    Handler.world = world
    server = Server((address, port), Handler)

    def stop(*_):
        threading.Thread(target=server.shutdown, daemon=True).start()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("ready", flush=True)
    server.serve_forever()
    for box in list(world.boxes.values()):
        box.destroy()


if __name__ == "__main__":
    inside() if sys.argv[1] == "inside" else main()
