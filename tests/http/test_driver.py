# SPDX-License-Identifier: BSD-2-Clause
"""The S3 driver's unit test against real S3 servers."""
import os
import subprocess

import pytest

import gateway


@pytest.mark.parametrize("store", ["s3", "rgw"])
def test_store_s3(shared, tmp_path, store):
    s3 = shared.peer(store)
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(s3.secret + "\n")
    env = dict(os.environ, MW_TEST_S3_ENDPOINT="http://%s:%d" % (s3.host, s3.port),
               MW_TEST_S3_BUCKET="unit-test", MW_TEST_S3_KEY=s3.key,
               MW_TEST_S3_SECRETFILE=str(secret))
    p = subprocess.run([gateway.binary("tests/unit/test_store_s3")], env=env,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = p.stdout.splitlines()
    checks = [line for line in lines if line.startswith(("ok ", "not ok "))]
    assert p.returncode == 0, (lines[-5:], p.stderr[-2000:])
    assert "1..%d" % len(checks) in lines and len(checks) > 100, lines[-5:]
    assert not [line for line in checks if line.startswith("not ok")], p.stdout[-4000:]
