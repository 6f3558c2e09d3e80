/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linked into the programs of a build with --enable-sanitize: a report goes to
 * the file ${MOLTWORKER_SANITIZER_LOG}.PID, wherever the program's standard error
 * goes; the tests look for such files.
 */
#include <sanitizer/common_interface_defs.h>
#include <stdlib.h>

const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_stack_use_after_return=1:strict_string_checks=1";
}

__attribute__((constructor)) static void
set_report_path(void)
{
	const char *path = getenv("MOLTWORKER_SANITIZER_LOG");

	if (path != NULL)
		__sanitizer_set_report_path(path);
}
