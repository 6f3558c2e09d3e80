/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and writing the tar archives that files travel in. */
#include "sandbox/engine/tar.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

/* Fields of a ustar header: where, and how long. */
#define NAME 0, 100
#define MODE 100, 8
#define UID 108, 8
#define GID 116, 8
#define SIZE 124, 12
#define MTIME 136, 12
#define SUM 148, 8
#define TYPE 156
#define LINK 157, 100
#define MAGIC 257
#define PREFIX 345, 155

/* ---- reading ---- */

void
mw_tar_init(struct mw_tar *t)
{
	mw_buf_init(&t->meta, MW_TAR_NAME_MAX);
	mw_buf_init(&t->name, MW_TAR_NAME_MAX);
	mw_buf_init(&t->link, MW_TAR_NAME_MAX);
	t->nblock = 0;
	t->left = t->pad = 0;
	t->size = t->mtime = -1;
	t->bad = t->ended = false;
}

void
mw_tar_free(struct mw_tar *t)
{
	mw_buf_free(&t->meta);
	mw_buf_free(&t->name);
	mw_buf_free(&t->link);
}

/* Octal digits between blanks, or GNU's base 256. */
static bool
number(const unsigned char *b, size_t at, size_t len, int64_t *out)
{
	const unsigned char *p = b + at, *end = p + len;
	int64_t v = 0;

	if ((*p & 0x80) != 0) {
		for (v = *p++ & 0x3f; p < end; p++) {
			if (v > INT64_MAX >> 8)
				return false;
			v = v << 8 | *p;
		}
		*out = v;
		return (b[at] & 0x40) == 0;
	}
	while (p < end && *p == ' ')
		p++;
	for (; p < end && *p >= '0' && *p <= '7'; p++)
		v = v << 3 | (*p - '0');
	*out = v;
	return p == end || *p == ' ' || *p == '\0';
}

static bool
sum_ok(const unsigned char *b)
{
	int64_t want, sum = 0;
	size_t i;

	for (i = 0; i < MW_TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : b[i];
	return number(b, SUM, &want) && want == sum;
}

static bool
all_zero(const unsigned char *b)
{
	size_t i;

	for (i = 0; i < MW_TAR_BLOCK; i++) {
		if (b[i] != 0)
			return false;
	}
	return true;
}

/* A text field, which needs no NUL if it is full. */
static bool
text(struct mw_buf *out, const unsigned char *b, size_t at, size_t len)
{
	const unsigned char *nul = memchr(b + at, '\0', len);

	return mw_buf_add(out, b + at, nul == NULL ? len : (size_t)(nul - (b + at)));
}

/* "1700000000.123456" as ms. */
static bool
pax_time(const char *s, size_t n, int64_t *out)
{
	const char *dot = memchr(s, '.', n);
	size_t whole = dot == NULL ? n : (size_t)(dot - s), frac, i;
	int64_t sec, ms = 0;

	if (!mw_str_int(s, whole, INT64_MIN / 2000, INT64_MAX / 2000, &sec))
		return false;
	frac = dot == NULL ? 0 : n - whole - 1;
	for (i = 0; i < 3; i++) {
		if (i < frac && (dot[1 + i] < '0' || dot[1 + i] > '9'))
			return false;
		ms = ms * 10 + (i < frac ? dot[1 + i] - '0' : 0);
	}
	*out = sec * 1000 + ms;
	return true;
}

/* One record "LEN KEY=VALUE\n"; its value is v[0..n). */
static bool
pax_record(struct mw_tar *t, const char *key, size_t nkey, const char *v, size_t n)
{
	if (nkey == 4 && memcmp(key, "path", 4) == 0) {
		mw_buf_reset(&t->name);
		return mw_buf_add(&t->name, v, n) && memchr(v, '\0', n) == NULL;
	}
	if (nkey == 8 && memcmp(key, "linkpath", 8) == 0) {
		mw_buf_reset(&t->link);
		return mw_buf_add(&t->link, v, n) && memchr(v, '\0', n) == NULL;
	}
	if (nkey == 4 && memcmp(key, "size", 4) == 0)
		return mw_str_uint(v, n, INT64_MAX / 2, &t->size);
	if (nkey == 5 && memcmp(key, "mtime", 5) == 0)
		return pax_time(v, n, &t->mtime);
	return true;
}

static bool
pax(struct mw_tar *t)
{
	const char *p = t->meta.data, *end = p + t->meta.len, *sp, *eq;
	int64_t len;

	for (; p < end; p += len) {
		sp = memchr(p, ' ', (size_t)(end - p));
		if (sp == NULL || !mw_str_uint(p, (size_t)(sp - p), end - p, &len) ||
		    len < sp - p + 3 || p[len - 1] != '\n')
			return false;
		eq = memchr(sp + 1, '=', (size_t)(p + len - sp - 1));
		if (eq == NULL || !pax_record(t, sp + 1, (size_t)(eq - sp - 1), eq + 1,
		    (size_t)(p + len - 1 - eq - 1)))
			return false;
	}
	return true;
}

/* What a header that was about the next entry said. */
static bool
take_meta(struct mw_tar *t)
{
	struct mw_buf *b = t->kind == 'L' ? &t->name : &t->link;

	if (t->kind == 'g')
		return true;
	if (t->meta.len == 0)
		return t->kind == 'x';
	if (t->kind == 'x')
		return pax(t);
	mw_buf_reset(b);
	return mw_buf_add(b, t->meta.data, strnlen(t->meta.data, t->meta.len));
}

static bool
names(struct mw_tar *t)
{
	const unsigned char *b = t->block;

	if (t->name.len == 0) {
		if (memcmp(b + MAGIC, "ustar", 6) == 0 && b[345] != '\0' &&
		    !(text(&t->name, b, PREFIX) && mw_buf_addc(&t->name, '/')))
			return false;
		if (!text(&t->name, b, NAME))
			return false;
	}
	return t->link.len > 0 || text(&t->link, b, LINK);
}

static bool
entry(struct mw_tar *t, char type)
{
	struct mw_tar_entry e = { .hard = type == '1' };
	int64_t mode, size, mtime;
	bool go;

	if (!names(t) || !number(t->block, MODE, &mode) || !number(t->block, SIZE, &size) ||
	    !number(t->block, MTIME, &mtime) || mtime > INT64_MAX / 1000) {
		t->bad = true;
		return false;
	}
	e.name = t->name.len > 0 ? t->name.data : "";
	e.link = t->link.len > 0 ? t->link.data : "";
	e.st.type = type == '0' || type == '\0' || type == '7' || type == '1' ? MW_FT_FILE :
	    type == '5' ? MW_FT_DIR : type == '2' ? MW_FT_SYMLINK : MW_FT_OTHER;
	e.st.size = t->size >= 0 ? t->size : size;
	e.st.mtime = t->mtime >= 0 ? t->mtime : mtime * 1000;
	e.st.mode = (int)(mode & 07777);
	t->kind = 0;
	/* Only files have content; a link's size is of what it names (POSIX allows both). */
	t->left = type == '0' || type == '\0' || type == '7' ? e.st.size : 0;
	t->pad = (MW_TAR_BLOCK - t->left % MW_TAR_BLOCK) % MW_TAR_BLOCK;
	go = t->on_entry(t->arg, &e);
	mw_buf_reset(&t->name);
	mw_buf_reset(&t->link);
	t->size = t->mtime = -1;
	return go;
}

static bool
header(struct mw_tar *t)
{
	char type = (char)t->block[TYPE];

	if (all_zero(t->block)) {
		t->ended = true;
		return true;
	}
	if (!sum_ok(t->block)) {
		t->bad = true;
		return false;
	}
	if (strchr("xgLK", type) == NULL || type == '\0')
		return entry(t, type);
	t->kind = type;
	mw_buf_reset(&t->meta);
	if (!number(t->block, SIZE, &t->left) || t->left > MW_TAR_NAME_MAX) {
		t->bad = true;
		return false;
	}
	t->pad = (MW_TAR_BLOCK - t->left % MW_TAR_BLOCK) % MW_TAR_BLOCK;
	return true;
}

/* Up to n bytes of content; how many were taken, or -1. */
static int64_t
content(struct mw_tar *t, const void *p, size_t n)
{
	bool meta = t->kind != 0;

	if ((int64_t)n > t->left)
		n = (size_t)t->left;
	if (meta ? !mw_buf_add(&t->meta, p, n) : t->on_content != NULL &&
	    !t->on_content(t->arg, p, n)) {
		t->bad = t->bad || meta;
		return -1;
	}
	t->left -= (int64_t)n;
	if (meta && t->left == 0 && !take_meta(t)) {
		t->bad = true;
		return -1;
	}
	return (int64_t)n;
}

bool
mw_tar_feed(struct mw_tar *t, const void *data, size_t n)
{
	const unsigned char *p = data;
	int64_t took;

	while (n > 0 && !t->ended) {
		if (t->left > 0) {
			took = content(t, p, n);
			if (took < 0)
				return false;
		} else if (t->pad > 0) {
			took = (int64_t)n < t->pad ? (int64_t)n : t->pad;
			t->pad -= took;
		} else {
			took = (int64_t)(n < MW_TAR_BLOCK - t->nblock ? n : MW_TAR_BLOCK - t->nblock);
			memcpy(t->block + t->nblock, p, (size_t)took);
			t->nblock += (size_t)took;
			if (t->nblock == MW_TAR_BLOCK) {
				t->nblock = 0;
				if (!header(t))
					return false;
			}
		}
		p += took;
		n -= (size_t)took;
	}
	return !t->bad;
}

bool
mw_tar_complete(const struct mw_tar *t)
{
	return !t->bad && t->ended;
}

/* ---- writing ---- */

static void
put_number(unsigned char *b, size_t at, size_t len, int64_t v)
{
	size_t i;

	for (i = len - 1; i-- > 0; v >>= 3)
		b[at + i] = (unsigned char)('0' + (v & 7));
}

static bool
block(struct mw_buf *out, const struct mw_tar_head *h, int64_t seconds)
{
	const char *link = h->link == NULL ? "" : h->link;
	unsigned char b[MW_TAR_BLOCK] = { 0 };
	size_t i, n = strlen(h->name), m = strlen(link);
	int64_t sum = 0;

	/* What does not fit is in the pax header. */
	memcpy(b, h->name, n < 100 ? n : 100);
	memcpy(b + 157, link, m < 100 ? m : 100);
	put_number(b, MODE, h->mode);
	put_number(b, UID, h->uid);
	put_number(b, GID, h->gid);
	put_number(b, SIZE, h->size);
	put_number(b, MTIME, seconds < 0 ? 0 : seconds);
	b[TYPE] = (unsigned char)h->type;
	memcpy(b + MAGIC, "ustar\00000", 8);
	for (i = 0; i < sizeof(b); i++)
		sum += i >= 148 && i < 156 ? ' ' : b[i];
	put_number(b, 148, 7, sum);
	b[155] = ' ';
	return mw_buf_add(out, b, sizeof(b));
}

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static bool
record(struct mw_buf *out, const char *key, const char *value)
{
	size_t n = strlen(key) + strlen(value) + 3, len = n + 1, digits, k;

	for (;;) {
		for (digits = 1, k = len; k >= 10; k /= 10)
			digits++;
		if (n + digits == len)
			break;
		len = n + digits;
	}
	return mw_buf_addf(out, "%zu %s=%s\n", len, key, value);
}

static bool
record_number(struct mw_buf *out, const char *key, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)v);
	return record(out, key, text);
}

bool
mw_tar_header(struct mw_buf *out, const struct mw_tar_head *h)
{
	static const char zero[MW_TAR_BLOCK];
	int64_t when = h->mtime >= 0 ? h->mtime : mw_wall();
	struct mw_tar_head x = { .type = 'x', .name = "pax", .mode = 0644 };
	struct mw_buf pax;
	char text[64];
	bool good;

	mw_buf_init(&pax, 2 * MW_TAR_NAME_MAX);
	(void)snprintf(text, sizeof(text), "%lld.%03lld", (long long)(when / 1000),
	    (long long)(when % 1000));
	good = record(&pax, "path", h->name) && record(&pax, "mtime", text) &&
	    record_number(&pax, "uid", h->uid) && record_number(&pax, "gid", h->gid) &&
	    (h->link == NULL || record(&pax, "linkpath", h->link)) &&
	    (h->size == 0 || record_number(&pax, "size", h->size));
	x.size = (int64_t)pax.len;
	good = good && block(out, &x, when / 1000) && mw_buf_add(out, pax.data, pax.len) &&
	    mw_buf_add(out, zero, (MW_TAR_BLOCK - pax.len % MW_TAR_BLOCK) % MW_TAR_BLOCK) &&
	    block(out, h, when / 1000);
	mw_buf_free(&pax);
	return good;
}
