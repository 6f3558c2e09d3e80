# SPDX-License-Identifier: BSD-2-Clause
"""An S3 server in memory, to inject faults that a real one cannot.

It keeps a list of every call it got, so that a test can count them, and takes
faults: each is used `times` times, in order, by the first call it matches.
Signatures are looked at (present, our key) but not verified: a real S3 server
in the contract suite does that.
"""
import base64
import hashlib
import socket
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

KEY, SECRET, REGION, BUCKET = "stub-key", "s3-Secret-Key-41f0aa", "auto", "bkt"
# Quick retries, and no breaker: tests that want one set their own.
QUICK = {"retry.store_base": 1, "retry.base": 1, "retry.max": 20, "breaker.failures": 100000,
         "retry.budget": 100000, "outbox.drain_interval": 86400000}
CODES = {403: "AccessDenied", 404: "NoSuchKey", 409: "OperationAborted", 412: "PreconditionFailed",
         429: "TooManyRequests", 500: "InternalError", 501: "NotImplemented",
         503: "ServiceUnavailable", 400: "InvalidRequest", 416: "InvalidRange"}


class Call:
    def __init__(self, method, key, query, headers):
        self.method, self.key, self.query, self.headers = method, key, query, headers
        self.status = None          # what was answered, None = nothing

    def __repr__(self):
        return "<%s %s %s -> %s>" % (self.method, self.key, self.query or "", self.status)


class Fault:
    """What to do instead of the right answer.

    status/headers/code  answer this error          drop    close without an answer
    hang=s               wait, then close           delay=s wait, then answer rightly
    until=event          wait for it, then answer rightly
    cut=n                n body bytes, then close   etag=…  lie about the ETag
    after=True           do what was asked, then fail        empty   status without a document
    lie={name: value}    headers of a right answer, None = without it
    """

    def __init__(self, method=None, key=None, times=1, status=None, headers=(), code=None,
                 drop=False, hang=0, delay=0, cut=None, etag=None, after=False, until=None,
                 empty=False, lie=()):
        self.method, self.key, self.times = method, key, times
        self.status, self.headers, self.code = status, dict(headers), code
        self.drop, self.hang, self.delay, self.cut = drop, hang, delay, cut
        self.etag, self.after, self.until, self.empty = etag, after, until, empty
        self.lie = dict(lie)

    def takes(self, call):
        return ((self.method is None or call.method == self.method)
                and (self.key is None or self.key in (call.key or "")))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(time.time() + self.server.stub.clock, usegmt=True)

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def client_gone(self):
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def cut_off(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, body=b"", headers=(), send=None, lie=()):
        self.call.status = status
        self.send_response(status)
        head = dict(headers)
        if status != 304:
            head["Content-Length"] = str(len(body))
        head.update(lie)
        for n, v in head.items():
            if v is not None:
                self.send_header(n, v)
        if head.get("Content-Length", "") is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body if send is None else body[:send])
        self.wfile.flush()

    def error(self, status, headers=(), code=None):
        text = "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>stub</Message></Error>" % (
            code or CODES.get(status, "Error"))
        body = b"" if self.command == "HEAD" else text.encode()
        self.answer(status, body, {"Content-Type": "application/xml", **dict(headers)})

    def serve(self):
        stub = self.server.stub
        path, _, qs = self.path.partition("?")
        _, bucket, *rest = urllib.parse.unquote(path).split("/", 2)
        query = dict(urllib.parse.parse_qsl(qs, keep_blank_values=True))
        self.call = Call(self.command, rest[0] if rest else "", query,
                         {k.lower(): v for k, v in self.headers.items()})
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n)
        if len(body) < n:
            self.close_connection = True
            return
        fault = stub.take(self.call)
        if stub.before:
            stub.before(self.call)
        if fault and not fault.after and self.misbehave(fault):
            return
        if "Credential=" + KEY not in self.headers.get("Authorization", ""):
            return self.error(403)
        want = self.headers.get("x-amz-content-sha256", "")
        if want != "UNSIGNED-PAYLOAD" and want != hashlib.sha256(body).hexdigest():
            return self.error(400, code="XAmzContentSHA256Mismatch")
        if bucket != BUCKET:
            return self.error(404, code="NoSuchBucket")
        if fault and fault.after:
            self.apply(body)
            self.misbehave(fault)
            return
        handler = {"GET": self.get, "HEAD": self.get, "PUT": self.put,
                   "DELETE": self.delete}.get(self.command)
        if handler is None:
            return self.error(405)
        handler(body, fault)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = serve

    def misbehave(self, fault):
        """True if that was the answer."""
        if fault.until:
            fault.until.wait(120)
        if fault.delay:
            time.sleep(fault.delay)
            if self.client_gone():      # what nobody waits for is not done any more
                self.close_connection = True
                return True
        if fault.hang:
            self.server.stub.wait(fault.hang)
            self.cut_off()
            return True
        if fault.drop:
            self.cut_off()
            return True
        if fault.status and fault.empty:
            self.answer(fault.status, b"", fault.headers)
            return True
        if fault.status:
            self.error(fault.status, fault.headers, fault.code)
            return True
        return False

    def apply(self, body):
        with self.server.stub.lock:
            if self.command == "PUT":
                self.store(body)
            elif self.command == "DELETE":
                self.server.stub.objects.pop(self.call.key, None)

    def store(self, body):
        md5 = self.headers.get("Content-MD5")
        if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
            return None
        etag = '"%s"' % hashlib.md5(body).hexdigest()
        meta = {n: v for n, v in self.call.headers.items() if n.startswith("x-amz-meta-")}
        self.server.stub.objects[self.call.key] = (
            body, etag, self.headers.get("Content-Type"), meta, time.time())
        return etag

    def condition(self, etag):
        """The status that the conditions ask for, or None to go on."""
        match, none = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        if self.server.stub.heedless and self.command == "GET":
            match = None
        def holds(value):
            return etag is not None and (value.strip() == "*" or etag.strip('"') in [
                v.strip().replace("W/", "").strip('"') for v in value.split(",")])
        if match is not None and not holds(match):
            return 412
        if none is not None and holds(none):
            return 304 if self.command in ("GET", "HEAD") else 412
        return None

    def get(self, body, fault):
        stub, key = self.server.stub, self.call.key
        if not key:
            return stub.list(self) if stub.list else self.list()
        with stub.lock:
            obj = stub.objects.get(key)
        if obj is None:
            return self.error(404)
        data, etag, kind, meta, when = obj
        headers = {"ETag": (fault.etag if fault and fault.etag else etag),
                   "Last-Modified": formatdate(when, usegmt=True), "Accept-Ranges": "bytes",
                   "Content-Type": kind or "binary/octet-stream", **meta}
        status = self.condition(etag)
        if status == 304:
            return self.answer(304, headers=headers)
        if status:
            return self.error(status)
        status, total = 200, len(data)
        rng = self.headers.get("Range")
        if rng and rng.startswith("bytes=") and "," not in rng:
            first, _, last = rng[6:].partition("-")
            if first:
                a, b = int(first), min(int(last) if last else total - 1, total - 1)
            else:
                a, b = max(0, total - int(last)), total - 1
            if a >= total or (not first and int(last) == 0):
                return self.error(416, {"Content-Range": "bytes */%d" % total})
            headers["Content-Range"] = "bytes %d-%d/%d" % (a, b, total)
            data, status = data[a:b + 1], 206
        cut = fault.cut if fault and fault.cut is not None and fault.cut < len(data) else None
        self.answer(status, data, headers, send=cut, lie=fault.lie if fault else ())
        if cut is not None:
            self.cut_off()

    def put(self, body, fault):
        stub = self.server.stub
        with stub.lock:
            old = stub.objects.get(self.call.key)
            status = self.condition(old[1] if old else None)
            etag = None if status else self.store(body)
        if status:
            return self.error(status)
        if etag is None:
            return self.error(400, code="BadDigest")
        self.answer(200, headers={"ETag": fault.etag if fault and fault.etag else etag})

    def delete(self, body, fault):
        with self.server.stub.lock:
            self.server.stub.objects.pop(self.call.key, None)
        self.answer(204)

    def list(self):
        q, stub = self.call.query, self.server.stub
        prefix, delimiter = q.get("prefix", ""), q.get("delimiter", "")
        after = max(q.get("start-after", ""), q.get("continuation-token", ""),
                    key=lambda s: s.encode())
        limit = min(int(q.get("max-keys", "1000")), 1000)
        url = q.get("encoding-type") == "url"

        def name(k):
            return urllib.parse.quote(k, safe="/") if url else escape(k)
        with stub.lock:
            objects = sorted(stub.objects.items(), key=lambda kv: kv[0].encode())
        rows, groups, last, more = [], [], None, False
        for key, (data, etag, _, _, when) in objects:
            if not key.startswith(prefix):
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            row = key[:cut + len(delimiter)] if cut >= 0 else key
            if row.encode() <= after.encode() or (cut >= 0 and row in groups):
                continue
            if len(rows) + len(groups) == limit:
                more = True
                break
            last = row
            if cut >= 0:
                groups.append(row)
            else:
                rows.append("<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag>"
                            "<Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>" % (
                                name(key), time.strftime("%Y-%m-%dT%H:%M:%S.000Z",
                                                         time.gmtime(when)),
                                escape(etag, {'"': "&quot;"}), len(data)))
        text = ['<?xml version="1.0" encoding="UTF-8"?>',
                '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
                "<Name>%s</Name><Prefix>%s</Prefix><KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys>" % (
                    BUCKET, name(prefix), len(rows) + len(groups), limit),
                "<EncodingType>url</EncodingType>" if url else "",
                "<IsTruncated>%s</IsTruncated>" % ("true" if more else "false"),
                "<NextContinuationToken>%s</NextContinuationToken>" % escape(last) if more else ""]
        text += rows
        text += ["<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" % name(g) for g in groups]
        text.append("</ListBucketResult>")
        self.answer(200, "".join(text).encode(), {"Content-Type": "application/xml"})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass                        # a cut connection is what some tests are about


class Stub:
    """The stub, on a port that stays its own through down() and up()."""

    def __init__(self, port):
        self.host, self.port, self.bucket = "127.0.0.1", port, BUCKET
        self.key, self.secret, self.region = KEY, SECRET, REGION
        self.lock, self.objects, self.calls, self.faults = threading.Lock(), {}, [], []
        self.clock = 0              # of its Date headers, s ahead of ours
        self.heedless = False       # of If-Match in a GET
        self.list = None            # answers listings instead, given the handler
        self.before = None          # called with each call before it is answered
        self.stopping = threading.Event()
        self.server = None
        self.up()

    def up(self):
        """Serve (again); what was stored is still there."""
        if self.server is None:
            self.stopping.clear()
            self.server = Server((self.host, self.port), Handler)
            self.server.stub = self
            threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self):
        """Nobody listens: connections are refused, open ones end at their next request."""
        if self.server is not None:
            self.stopping.set()
            self.faults.insert(0, Fault(times=10 ** 9, drop=True))
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def back(self):
        """up(), with no fault left over from down()."""
        self.faults.clear()
        self.up()

    def wait(self, seconds):
        self.stopping.wait(seconds)

    def fail(self, **how):
        self.faults.append(Fault(**how))

    def take(self, call):
        with self.lock:
            self.calls.append(call)
            for f in self.faults:
                if f.times > 0 and f.takes(call):
                    f.times -= 1
                    return f
        return None

    def reset(self):
        """Forget calls and faults; keep objects."""
        with self.lock:
            self.calls.clear()
            self.faults.clear()

    def count(self, method=None, key=None):
        with self.lock:
            return len([c for c in self.calls if (method is None or c.method == method)
                        and (key is None or key in c.key)])

    def get(self, key):
        with self.lock:
            return self.objects[key][0] if key in self.objects else None

    def put(self, key, body):
        with self.lock:
            self.objects[key] = (body, '"%s"' % hashlib.md5(body).hexdigest(),
                                 "application/octet-stream", {}, time.time())

    def keys(self, prefix=""):
        with self.lock:
            return sorted(k for k in self.objects if k.startswith(prefix))
