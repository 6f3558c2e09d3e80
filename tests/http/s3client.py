# SPDX-License-Identifier: BSD-2-Clause
"""A small signed S3 client: plants objects and looks at what the gateway stored."""
import datetime
import hashlib
import hmac
import http.client
import re
import time
from xml.sax.saxutils import unescape

from mw import enc


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class S3:
    def __init__(self, host, port, key, secret, region, bucket):
        self.host, self.port, self.bucket = host, port, bucket
        self.key, self.secret, self.region = key, secret, region

    def call(self, method, path, query=(), headers=(), body=b""):
        """One signed request; path begins with the bucket's '/'."""
        now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
        day = now[:8]
        digest = hashlib.sha256(body).hexdigest()
        uri = enc(path)
        qs = "&".join("%s=%s" % (enc(k, b""), enc(v, b"")) for k, v in sorted(query))
        host = "%s:%d" % (self.host, self.port)
        signed = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
        names = ";".join(sorted(signed))
        canonical = "\n".join([method, uri, qs] + [
            "%s:%s" % (n, signed[n]) for n in sorted(signed)] + ["", names, digest])
        scope = "%s/%s/s3/aws4_request" % (day, self.region)
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        k = ("AWS4" + self.secret).encode()
        for part in (day, self.region, "s3", "aws4_request"):
            k = sign(k, part)
        auth = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
            self.key, scope, names, sign(k, text).hex())
        send = dict(signed, Authorization=auth, **dict(headers))
        conn = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            conn.request(method, uri + ("?" + qs if qs else ""), body, send)
            r = conn.getresponse()
            return r.status, dict((n.lower(), v) for n, v in r.getheaders()), r.read()
        finally:
            conn.close()

    def make_bucket(self):
        for _ in range(50):
            try:
                status = self.call("PUT", "/" + self.bucket)[0]
                if status in (200, 409):
                    return
            except OSError:
                status = 0
            time.sleep(0.1)
        raise RuntimeError("no bucket: %d" % status)

    def put(self, key, body, **headers):
        status, h, text = self.call("PUT", "/%s/%s" % (self.bucket, key), (),
                                    headers.items(), body)
        assert status == 200, (status, text)
        return h["etag"]

    def get(self, key):
        """The object's bytes, or None."""
        status, _, body = self.call("GET", "/%s/%s" % (self.bucket, key))
        assert status in (200, 404), (status, body)
        return body if status == 200 else None

    def delete(self, key):
        assert self.call("DELETE", "/%s/%s" % (self.bucket, key))[0] in (200, 204)

    def keys(self, prefix):
        status, _, body = self.call("GET", "/" + self.bucket, [
            ("list-type", "2"), ("prefix", prefix), ("max-keys", "1000")])
        assert status == 200, body
        return [unescape(k) for k in re.findall(r"<Key>(.*?)</Key>", body.decode())]
