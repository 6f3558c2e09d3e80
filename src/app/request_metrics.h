/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's counts, made at its end from what its log line is made of. */
#ifndef MW_APP_REQUEST_METRICS_H
#define MW_APP_REQUEST_METRICS_H

#include "http/http.h"
#include "state/metrics.h"

void mw_request_count(const struct mw_req *req);

/* How an operation on a file ended; `gone`: its answer was cut after its head. */
enum mw_file_end mw_file_end_of(enum mw_code code, bool cut);
void mw_file_count(enum mw_file_via via, enum mw_file_op op, enum mw_file_end end);

#endif
