#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A real S3 server for the tests: OpenStack Swift with its s3api, in one process.

swift-s3.py PORT DATADIR [KEY SECRET [REGION]]

Listens on 127.0.0.1:PORT, keeps its data in DATADIR, prints "ready URL" when it
answers, ends on TERM.  It checks signatures (path, query, headers, region, date)
and payload hashes; it answers 501 to conditional writes.  KEY is ACCOUNT:USER.
S3_MIN_PART (bytes) allows small parts of multipart uploads.

Needs Debian's python3-swift, swift-proxy, swift-account, swift-container and
swift-object, and a DATADIR that takes user xattrs.  No root, no memcached.
"""
import os
import signal
import socket
import sys
import time
import warnings

try:
    import eventlet
except ImportError:
    sys.exit("swift-s3.py: python3-swift is not installed for %s" % sys.executable)
eventlet.monkey_patch(thread=False)

KINDS = ("account", "container", "object")

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {etc}
devices = {node}
mount_check = false
fallocate_reserve = 0
log_level = ERROR
workers = 0
"""

SWIFT = """[swift-hash]
swift_hash_path_suffix = test
swift_hash_path_prefix = test
[storage-policy:0]
name = gold
default = yes
[swift-constraints]
max_header_size = 16384
"""

PROXY = COMMON + """
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth copy slo dlo symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 30
[filter:s3api]
use = egg:swift#s3api
location = {region}
s3_acl = false
dns_compliant_bucket_names = false
min_segment_size = {min_part}
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
""" + "".join("[filter:%s]\nuse = egg:swift#%s\n" % (f, f) for f in (
    "catch_errors", "gatekeeper", "listing_formats", "copy", "slo", "dlo", "symlink"))

SERVER = COMMON + """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
allow_versions = true
replication_server = true
"""


class Cache:
    """What Swift wants of memcached, in this process."""

    def __init__(self):
        self.rows = {}

    def get(self, key, raise_on_error=False, **_):
        value, until = self.rows.get(key, (None, 0))
        return None if until and until < time.time() else value

    def set(self, key, value, serialize=True, time=0, **_):
        if len(self.rows) > 50000:
            self.rows.clear()
        self.rows[key] = (value, _now() + time if time else 0)

    def incr(self, key, delta=1, time=0, **_):
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0, **_):
        return self.incr(key, -delta, time)

    def delete(self, key, server_key=None):
        self.rows.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, **_):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, server_key, **_):
        return [self.get(k) for k in keys]


def _now():
    return time.time()


def listen(port):
    s = eventlet.listen(("127.0.0.1", port), backlog=512)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def configure(etc, node, ports, key, secret, region):
    account, user = key.split(":")
    names = dict(etc=etc, node=node, region=region, account=account, user=user,
                 secret=secret, min_part=os.environ.get("S3_MIN_PART", "5242880"))
    write(etc + "/swift.conf", SWIFT)
    write(etc + "/proxy.conf", PROXY.format(port=ports["proxy"], **names))
    for kind in KINDS:
        write("%s/%s.conf" % (etc, kind),
              SERVER.format(kind=kind, port=ports[kind], **names))


def log_to_stderr():
    """Swift logs to syslog, which a test machine need not have."""
    import logging
    from swift.common import utils

    class Stderr(logging.StreamHandler):
        LOG_LOCAL0 = 16

        def __init__(self, *_args, **_kw):
            logging.StreamHandler.__init__(self, sys.stderr)

    utils.ThreadSafeSysLogHandler = Stderr


def make_rings(etc, ports):
    from swift.common.ring import RingBuilder
    for kind in KINDS:
        ring = RingBuilder(4, 1, 0)
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1",
                      "port": ports[kind], "replication_ip": "127.0.0.1",
                      "replication_port": ports[kind], "device": "sdb1",
                      "weight": 1.0, "meta": ""})
        ring.rebalance()
        ring.get_ring().save("%s/%s.ring.gz" % (etc, kind))


def with_cache(app):
    cache = Cache()

    def call(env, start_response):
        env["swift.cache"] = cache
        return app(env, start_response)
    return call


def serve(sockets, etc):
    from eventlet import wsgi
    from swift.common import utils
    from swift.common import wsgi as swift_wsgi

    os.environ["TZ"] = "UTC+0"
    time.tzset()
    apps = {kind: swift_wsgi.loadapp("%s/%s.conf" % (etc, kind),
                                     global_conf={"log_name": kind})
            for kind in sockets}
    apps["proxy"] = with_cache(apps["proxy"])
    return [eventlet.spawn(wsgi.server, sockets[kind], apps[kind], utils.NullLogger(),
                           custom_pool=swift_wsgi.RestrictedGreenPool(1024),
                           protocol=swift_wsgi.SwiftHttpProtocol,
                           capitalize_response_headers=False, socket_timeout=60)
            for kind in sockets]


def main():
    if len(sys.argv) not in (3, 5, 6):
        sys.exit(__doc__)
    port, data = int(sys.argv[1]), os.path.abspath(sys.argv[2])
    key, secret, region = (sys.argv[3:] + ["test:tester", "testing", "auto"][len(sys.argv) - 3:])
    etc, node = data + "/etc", data + "/node"
    os.makedirs(etc, exist_ok=True)
    os.makedirs(node + "/sdb1", exist_ok=True)

    sockets = {"proxy": listen(port)}
    sockets.update((kind, listen(0)) for kind in KINDS)
    ports = {kind: s.getsockname()[1] for kind, s in sockets.items()}
    configure(etc, node, ports, key, secret, region)
    log_to_stderr()
    warnings.simplefilter("ignore")
    from swift.common import constraints, storage_policy, utils
    utils.set_swift_dir(etc)
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()
    make_rings(etc, ports)
    threads = serve(sockets, etc)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    eventlet.sleep(0)
    print("ready http://127.0.0.1:%d" % port, flush=True)
    for t in threads:
        t.wait()


if __name__ == "__main__":
    main()
