/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files into a container, asleep or awake: one archive.  They land in RUN_DIR/in, out of
 * the user's sight; a script moves them from there.  Asleep there are no scripts: then
 * the archive itself goes on with a hard link to the place wanted, which the engine makes
 * when it has the whole content, and not before.
 */
#include "sandbox/engine/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "sandbox/engine/tar.h"

#define HEADS_MAX (256 << 10)
#define ANSWER_MAX 16384	/* bytes kept of a refusal */

/* What is sent: heads, the content, zeros to fill the block, tail. */
struct upload {
	struct mw_buf heads, tail;
	const struct mw_engine_source *src;
	struct mw_engine_owner owner;
	const char *base;	/* the mount that all of it lies on: names are relative to it */
	int64_t pad;
	char answer[ANSWER_MAX];
	size_t nanswer;
};

static size_t
read_source(const struct mw_engine_source *src, int64_t at, void *p, size_t n)
{
	ssize_t got;

	if ((int64_t)n > src->size - at)
		n = (size_t)(src->size - at);
	if (src->p != NULL) {
		memcpy(p, (const char *)src->p + at, n);
		return n;
	}
	do {
		got = pread(src->fd, p, n, at);
	} while (got < 0 && errno == EINTR);
	return got > 0 ? (size_t)got : 0;
}

static size_t
on_read(void *arg, int64_t at, void *p, size_t n)
{
	struct upload *u = arg;
	int64_t heads = (int64_t)u->heads.len, size = u->src->size;

	if (at < heads) {
		if ((int64_t)n > heads - at)
			n = (size_t)(heads - at);
		memcpy(p, u->heads.data + at, n);
		return n;
	}
	at -= heads;
	if (at < size)
		return read_source(u->src, at, p, n);
	at -= size;
	if (at < u->pad) {
		n = (int64_t)n > u->pad - at ? (size_t)(u->pad - at) : n;
		memset(p, 0, n);
		return n;
	}
	at -= u->pad;
	if ((int64_t)n > (int64_t)u->tail.len - at)
		n = (size_t)((int64_t)u->tail.len - at);
	memcpy(p, u->tail.data + at, n);
	return n;
}

static bool
on_answer(void *arg, const void *p, size_t n)
{
	struct upload *u = arg;

	if (n > sizeof(u->answer) - 1 - u->nanswer)
		n = sizeof(u->answer) - 1 - u->nanswer;
	memcpy(u->answer + u->nanswer, p, n);
	u->nanswer += n;
	u->answer[u->nanswer] = '\0';
	return true;
}

/* An absolute path as a name below the base. */
static const char *
name_of(const struct upload *u, const char *abs)
{
	size_t n = strlen(u->base);

	return abs + n + (u->base[n - 1] != '/');
}

/* An entry of the sandbox's own user. */
static bool
add(const struct upload *u, struct mw_buf *out, struct mw_tar_head h)
{
	h.uid = u->owner.uid;
	h.gid = u->owner.gid;
	return mw_tar_header(out, &h);
}

/* Directories that the place needs and that are not there: from below its parent on. */
static bool
add_parents(struct upload *u, const struct mw_engine_place *place)
{
	const char *p = place->abs + strlen(place->parent) + 1, *slash;
	const char *start = name_of(u, place->abs);
	char name[8192];
	size_t n;

	while ((slash = strchr(p, '/')) != NULL) {
		n = (size_t)(slash + 1 - start);
		if (n + 1 > sizeof(name))
			return false;
		memcpy(name, start, n);
		name[n] = '\0';
		if (!add(u, &u->tail, (struct mw_tar_head){ .type = '5', .name = name,
		    .mode = 0755, .mtime = -1 }))
			return false;
		p = slash + 1;
	}
	return true;
}

/* RUN_DIR/ and RUN_DIR/in/ have entries too: what the engine makes on the way by itself
 * belongs to root. */
static bool
build(struct mw_engine *e, struct upload *u, const char *abs, const struct mw_engine_place *place)
{
	static const char zero[2 * MW_TAR_BLOCK];
	const struct mw_engine_source *src = u->src;
	struct mw_tar_head dir = { .type = '5', .mode = 0700, .mtime = -1 };
	char name[8192];
	int n = snprintf(name, sizeof(name), "%s/", name_of(u, e->run_dir));
	bool good;

	dir.name = name;
	good = n > 0 && (size_t)n + 4 < sizeof(name) && add(u, &u->heads, dir);
	if (good)
		memcpy(name + n, "in/", 4);
	good = good && add(u, &u->heads, dir) && add(u, &u->heads, (struct mw_tar_head){
	    .type = '0', .name = name_of(u, abs), .size = src->size, .mode = src->mode,
	    .mtime = src->mtime });
	u->pad = (MW_TAR_BLOCK - src->size % MW_TAR_BLOCK) % MW_TAR_BLOCK;
	if (good && place != NULL)
		good = add_parents(u, place) && add(u, &u->tail, (struct mw_tar_head){
		    .type = '1', .name = name_of(u, place->abs), .link = name_of(u, abs),
		    .mode = src->mode, .mtime = src->mtime });
	return good && mw_buf_add(&u->tail, zero, sizeof(zero));
}

/* PUT it.  The engine may answer, and end the connection, before it has read the last
 * zeros: an answer that came counts, however the connection ended. */
static enum mw_code
send(struct mw_engine *e, struct mw_ctx *ctx, const char *user, struct upload *u)
{
	const char *path = mw_engine_archive(e, ctx, user, u->base);
	struct mw_net_header type = { "Content-Type", "application/x-tar" };
	struct mw_net_req req = { .method = "PUT", .body_fd = -1, .body_read = on_read,
	    .body_size = (int64_t)u->heads.len + u->src->size + u->pad + (int64_t)u->tail.len,
	    .headers = &type, .nheaders = 1, .on_data = on_answer, .arg = u };
	char message[MW_ENGINE_MESSAGE];
	struct mw_net_res res;

	mw_engine_stream(e, ctx, path, &req, &res);
	if (res.status == 200)
		return MW_OK;
	if (res.end == MW_NET_BAD)
		return mw_ctx_fail(ctx, MW_INTERNAL_ERROR, "the content is shorter than it was said "
		    "to be: %s", res.text);
	if (res.status == 0)
		return mw_engine_ended(e, ctx, &res);
	mw_engine_message(u->answer, u->nanswer, message);
	/* Docker's 404: a directory on the way went away. */
	return mw_engine_refused(e, ctx, user, "the engine cannot take a file",
	    res.status == 404 ? 409 : res.status, message);
}

enum mw_code
mw_engine_upload(struct mw_engine *e, struct mw_ctx *ctx, const char *user,
    const struct mw_engine_state *st, const struct mw_engine_source *src,
    const struct mw_engine_place *place, char **abs)
{
	struct upload *u = mw_arena_alloc(ctx->arena, sizeof(*u));
	char hex[17];
	enum mw_code code;

	mw_str_random_hex(hex, 8);
	*abs = mw_arena_printf(ctx->arena, "%s/in/w%lld-%s", e->run_dir,
	    (long long)(mw_wall() / 1000), hex);
	if (u == NULL || *abs == NULL)
		return mw_ctx_nomem(ctx);
	mw_buf_init(&u->heads, HEADS_MAX);
	mw_buf_init(&u->tail, HEADS_MAX);
	u->src = src;
	u->base = mw_engine_mount(st, e->run_dir);
	/* The engine extracts on one mount, and a link does not leave it. */
	if (place != NULL && strcmp(u->base, mw_engine_mount(st, place->abs)) != 0)
		return mw_ctx_fail(ctx, MW_SANDBOX_HIBERNATING,
		    "asleep nothing can be written there: it is another volume");
	code = mw_engine_owner(e, ctx, user, st, &u->owner);
	if (code == MW_OK)
		code = build(e, u, *abs, place) ? send(e, ctx, user, u) : mw_ctx_nomem(ctx);
	mw_buf_free(&u->heads);
	mw_buf_free(&u->tail);
	return code;
}
