/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of a file write, from the request into the spool. */
#ifndef MW_OPS_FILES_UPLOAD_H
#define MW_OPS_FILES_UPLOAD_H

#include "app/app.h"

/*
 * Read the request's body: JSON {"content","encoding"?} is decoded on the way,
 * any other Content-Type is taken as it is.  The spool is finished on success;
 * drop it in either case.
 */
enum mw_code mw_body_spool(struct mw_req *req, struct mw_spool *spool) MW_MUST;

#endif
