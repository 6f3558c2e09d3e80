/* SPDX-License-Identifier: BSD-2-Clause */
/* The one structured log line of a request. */
#ifndef MW_APP_REQUEST_LOG_H
#define MW_APP_REQUEST_LOG_H

#include "http/http.h"

void mw_request_log(struct mw_req *req);

#endif
