/* SPDX-License-Identifier: BSD-2-Clause */
/* The one structured log line of a request. */
#ifndef MW_OPS_RECORD_H
#define MW_OPS_RECORD_H

#include "http/http.h"

void mw_record(struct mw_req *req);

#endif
