#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What happens when R2 fails and responders are killed, for automake.
exec "$srcdir/tests/http/run" fault
