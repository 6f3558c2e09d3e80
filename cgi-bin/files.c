/* SPDX-License-Identifier: BSD-2-Clause */
/* files.fcgi: read, write, delete and list a user's files. */
#include "files.h"

#include "app/responder.h"

static const struct mw_route routes[] = {
	MW_FILES_ROWS,
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("files", routes);
}
