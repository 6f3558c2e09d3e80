/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one line per event, to stderr (the web server's error log) or a file
 * opened with O_APPEND, and opened anew when another file (or none) has its name.
 * Lines are at most MW_LOG_LINE bytes, what a terminal would obey is escaped
 * (base/visible.h), and each is one write(2), so that processes do not interleave.
 */
#ifndef MW_BASE_LOG_H
#define MW_BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define MW_LOG_LINE 2048

enum mw_log_level { MW_DEBUG, MW_INFO, MW_WARN, MW_ERROR };

/* name: of this program, begins each line.  path "" = stderr.  Keeps the old
 * destination and returns false when the file cannot be opened. */
bool mw_log_open(const char *name, const char *path, enum mw_log_level level, bool json);

/* Words for `level` in the configuration: debug info warn error. */
bool mw_log_level(const char *word, enum mw_log_level *out);

void mw_log(enum mw_log_level level, const char *fmt, ...) MW_PRINTF(2, 3);

/* A line that is already JSON (no newline), written whatever the level. */
void mw_log_raw(const char *line, size_t n);

bool mw_log_is_json(void);

#endif
