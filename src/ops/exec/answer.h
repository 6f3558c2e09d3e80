/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands and their output in JSON answers. */
#ifndef MW_OPS_EXEC_ANSWER_H
#define MW_OPS_EXEC_ANSWER_H

#include "base/buf.h"
#include "ops/exec/view.h"

/*
 * How much of the first n bytes of a piece goes out, and is it text (else base64)?
 * One that ends within a character whose rest is still to come (`more`) ends
 * before it: the offset tells where to go on.
 */
size_t mw_exec_usable(const struct mw_buf *b, size_t n, bool more, bool *text);

/* The same for an answer that holds `max` bytes; *cut: there was more (`dropped`: anyway). */
size_t mw_exec_fitting(const struct mw_buf *b, size_t max, bool dropped, bool *text, bool *cut);

/* -1 for a command that was killed at its limit. */
int mw_exec_exit_code(const struct mw_process *row);

/* Members after a comma; false past the buffer's cap. */
/* "NAME" in the encoding it needs, and that encoding as "ENCODING". */
bool mw_exec_add_stream(struct mw_buf *b, const char *name, const char *encoding,
    const char *s, size_t n, bool text);
/* Of one that is over: processId, exitCode, stdout, ..., duration; `max` bytes of each stream. */
bool mw_exec_add_result(struct mw_buf *b, const struct mw_exec_view *v, size_t max);
/* Of one that runs on: processId, stream, and where to ask for it. */
bool mw_exec_add_started(struct mw_buf *b, const struct mw_exec_view *v);

#endif
