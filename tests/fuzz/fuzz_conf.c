/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration parser: whatever the bytes, a load ends with a struct or
 * with a message, and what it takes it can show and take again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 itself forgets a string at some syntax errors. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

static char path[64];

/* One file in memory for all runs. */
static int
file(void)
{
	static int fd = -1;

	if (fd < 0 && (fd = memfd_create("conf", MFD_CLOEXEC)) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd;
}

static void
fill(const void *p, size_t n)
{
	if (ftruncate(file(), 0) != 0 || pwrite(file(), p, n, 0) != (ssize_t)n)
		abort();
}

/* What was taken must show, and what is shown must be taken. */
static void
round_trip(void)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_conf *again;
	struct mw_buf out;

	mw_buf_init(&out, 16 * 1024 * 1024);
	if (mw_conf_show(path, &out, &err) != MW_OK)
		abort();
	fill(out.data, out.len);
	if (mw_conf_load(path, &again, &err) != MW_OK) {
		fprintf(stderr, "%s\n%s", err.msg, out.data);
		abort();
	}
	mw_conf_free(again);
	mw_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_err err = { .code = MW_OK };
	struct mw_load l;
	enum mw_code rc;

	/* Other files of this machine are no part of the input. */
	if (memmem(data, size, "@include", 8) != NULL)
		return 0;
	fill(data, size);
	rc = mw_load_read(&l, path, &err);
	if ((rc == MW_OK) != (err.code == MW_OK) || (rc != MW_OK && err.msg[0] == '\0'))
		abort();
	free(mw_text_state_path(&l.text));
	mw_load_free(&l);
	if (rc == MW_OK)
		round_trip();
	return 0;
}
