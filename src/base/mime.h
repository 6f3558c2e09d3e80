/* SPDX-License-Identifier: BSD-2-Clause */
/* Content types by the ending of a name. */
#ifndef MW_BASE_MIME_H
#define MW_BASE_MIME_H

/* A guess from the name's ending: "text/plain", ...; never NULL. */
const char *mw_path_mime(const char *path);

#endif
