/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files routes, which files.fcgi and batch.fcgi both serve: a file may be
 * named "batch".  Each handler reads like its paragraph of the API manual.
 */
#ifndef MW_CGI_FILES_H
#define MW_CGI_FILES_H

#include "http/http.h"

#define MW_FILES "/api/super/users/{user}/files"

/* The rows of a route table. */
#define MW_FILES_ROWS \
	{ MW_FILES, MW_GET | MW_HEAD, 0, mw_files_get_query }, \
	{ MW_FILES, MW_PUT, 0, mw_files_put }, \
	{ MW_FILES, MW_DELETE, 0, mw_files_delete }, \
	{ MW_FILES "/{path}", MW_GET | MW_HEAD, MW_ROUTE_DIR, mw_files_get }, \
	{ MW_FILES "/{path}", MW_PUT, MW_ROUTE_DIR | MW_ROUTE_WRITE_PATH, mw_files_put }, \
	{ MW_FILES "/{path}", MW_DELETE, MW_ROUTE_DIR, mw_files_delete }

enum mw_code mw_files_get(struct mw_req *req) MW_MUST;
enum mw_code mw_files_get_query(struct mw_req *req) MW_MUST;	/* .../files?path=NAME, or a list */
enum mw_code mw_files_put(struct mw_req *req) MW_MUST;
enum mw_code mw_files_delete(struct mw_req *req) MW_MUST;

/* ---- what these are made of ---- */

#define MW_TRANSFER_TIME 3600000	/* ms; the time limit of a transfer of raw bytes */

/* Each answers for one canonical path.  raw: bytes, unless the query says otherwise. */
enum mw_code mw_files_read(struct mw_req *req, const char *path, bool raw) MW_MUST;
enum mw_code mw_files_write(struct mw_req *req, const char *path) MW_MUST;
enum mw_code mw_files_remove(struct mw_req *req, const char *path) MW_MUST;
enum mw_code mw_files_list(struct mw_req *req, const char *path) MW_MUST;

/* "/a/b": paths in answers are rooted at the user's directory. */
const char *mw_file_shown(struct mw_req *req, const char *path);

/* The failure `code` as it is; of a missing file say where we looked (enum mw_tried). */
enum mw_code mw_file_failed(struct mw_req *req, enum mw_code code, unsigned tried);

#endif
