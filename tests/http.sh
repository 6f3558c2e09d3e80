#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The contract's tests, for automake: over each server, and over a real S3 store.
# MW_SERVERS and MW_STORES choose fewer.
exec "$srcdir/tests/http/run" http
