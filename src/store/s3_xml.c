/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading S3's XML: listings, errors, multipart answers. */
#include "store/s3_xml.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/str.h"

#define DEPTH_MAX 16
#define TEXT_MAX 4096		/* a key of 1024 bytes, each as %XX, fits */

enum inside { IN_NOTHING, IN_CONTENTS, IN_PREFIXES };

struct mw_s3_xml {
	XML_Parser parser;
	struct mw_arena *arena;
	struct mw_s3_doc *doc;
	bool bad;
	bool begun;			/* something but white space came */
	unsigned depth;
	enum inside inside;
	struct mw_s3_row *row;		/* being read */
	struct mw_s3_row **tail;
	size_t len;			/* of text */
	char text[TEXT_MAX + 1];	/* of the innermost element */
};

static void
refuse(struct mw_s3_xml *x)
{
	x->bad = true;
	(void)XML_StopParser(x->parser, XML_FALSE);
}

static enum mw_s3_root
root_of(const char *name)
{
	static const struct { const char *name; enum mw_s3_root root; } roots[] = {
		{ "Error", MW_S3_ERROR },
		{ "ListBucketResult", MW_S3_LIST },
		{ "InitiateMultipartUploadResult", MW_S3_INITIATE },
		{ "CompleteMultipartUploadResult", MW_S3_COMPLETE },
	};
	size_t i;

	for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (strcmp(name, roots[i].name) == 0)
			return roots[i].root;
	}
	return MW_S3_NOTHING;
}

static void
row_begin(struct mw_s3_xml *x, bool group)
{
	struct mw_s3_row *row;

	if (x->doc->nrows == MW_S3_ROWS_MAX ||
	    (row = mw_arena_alloc(x->arena, sizeof(*row))) == NULL) {
		refuse(x);
		return;
	}
	row->group = group;
	*x->tail = row;
	x->tail = &row->next;
	x->row = row;
	x->doc->nrows++;
}

static void XMLCALL
on_start(void *arg, const XML_Char *name, const XML_Char **atts)
{
	struct mw_s3_xml *x = arg;

	(void)atts;
	if (x->bad)
		return;
	x->len = 0;
	if (++x->depth > DEPTH_MAX) {
		refuse(x);
		return;
	}
	if (x->depth == 1 && (x->doc->root = root_of(name)) == MW_S3_NOTHING)
		refuse(x);
	if (x->depth != 2 || x->doc->root != MW_S3_LIST)
		return;
	if (strcmp(name, "Contents") == 0) {
		x->inside = IN_CONTENTS;
		row_begin(x, false);
	} else if (strcmp(name, "CommonPrefixes") == 0) {
		x->inside = IN_PREFIXES;
		row_begin(x, true);
	}
}

static void XMLCALL
on_text(void *arg, const XML_Char *s, int n)
{
	struct mw_s3_xml *x = arg;

	if (x->bad)
		return;
	if ((size_t)n > TEXT_MAX - x->len) {
		refuse(x);
		return;
	}
	memcpy(x->text + x->len, s, (size_t)n);
	x->len += (size_t)n;
}

/* The element's text, kept. */
static const char *
keep(struct mw_s3_xml *x)
{
	char *s = mw_arena_dup(x->arena, x->text, x->len);

	if (s == NULL)
		refuse(x);
	return s;
}

static void
keep_cut(struct mw_s3_xml *x, char *out, size_t size)
{
	size_t n = x->len < size ? x->len : size - 1;

	memcpy(out, x->text, n);
	out[n] = '\0';
}

static void
end_contents(struct mw_s3_xml *x, const char *name)
{
	if (strcmp(name, "Key") == 0)
		x->row->key = keep(x);
	else if (strcmp(name, "ETag") == 0)
		x->row->etag = keep(x);
	else if (strcmp(name, "Size") == 0) {
		if (!mw_str_uint(x->text, x->len, INT64_MAX, &x->row->size))
			refuse(x);
	} else if (strcmp(name, "LastModified") == 0) {
		if (!mw_rfc3339_parse(x->text, &x->row->modified))
			x->row->modified = 0;
	}
}

static void
end_list(struct mw_s3_xml *x, const char *name)
{
	struct mw_s3_doc *doc = x->doc;

	if (strcmp(name, "IsTruncated") == 0)
		doc->truncated = strcmp(x->text, "true") == 0;
	else if (strcmp(name, "NextContinuationToken") == 0)
		doc->token = keep(x);
	else if (strcmp(name, "EncodingType") == 0)
		doc->url_encoded = strcmp(x->text, "url") == 0;
	else if (strcmp(name, "Contents") == 0 || strcmp(name, "CommonPrefixes") == 0)
		x->inside = IN_NOTHING;
}

/* A member of the root element ended. */
static void
end_member(struct mw_s3_xml *x, const char *name)
{
	struct mw_s3_doc *doc = x->doc;

	if (doc->root == MW_S3_LIST)
		end_list(x, name);
	else if (doc->root == MW_S3_ERROR && strcmp(name, "Code") == 0)
		keep_cut(x, doc->code, sizeof(doc->code));
	else if (doc->root == MW_S3_ERROR && strcmp(name, "Message") == 0)
		keep_cut(x, doc->message, sizeof(doc->message));
	else if (doc->root == MW_S3_INITIATE && strcmp(name, "UploadId") == 0)
		doc->upload_id = keep(x);
	else if (doc->root == MW_S3_COMPLETE && strcmp(name, "ETag") == 0)
		doc->etag = keep(x);
}

static void XMLCALL
on_end(void *arg, const XML_Char *name)
{
	struct mw_s3_xml *x = arg;

	if (x->bad)
		return;
	x->text[x->len] = '\0';
	if (x->depth == 2)
		end_member(x, name);
	else if (x->depth == 3 && x->inside == IN_CONTENTS)
		end_contents(x, name);
	else if (x->depth == 3 && x->inside == IN_PREFIXES && strcmp(name, "Prefix") == 0)
		x->row->key = keep(x);
	x->depth--;
	x->len = 0;
}

static void XMLCALL
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	refuse(arg);
}

struct mw_s3_xml *
mw_s3_xml_open(struct mw_arena *a, struct mw_s3_doc *doc)
{
	struct mw_s3_xml *x = calloc(1, sizeof(*x));

	memset(doc, 0, sizeof(*doc));
	if (x == NULL)
		return NULL;
	if ((x->parser = XML_ParserCreate(NULL)) == NULL) {
		free(x);
		return NULL;
	}
	x->arena = a;
	x->doc = doc;
	x->tail = &doc->rows;
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_start, on_end);
	XML_SetCharacterDataHandler(x->parser, on_text);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	return x;
}

bool
mw_s3_xml_feed(struct mw_s3_xml *x, const char *p, size_t n)
{
	/* Sent ahead to keep a connection alive, even before the XML declaration. */
	while (!x->begun && n > 0 && strchr(" \t\r\n", *p) != NULL && *p != '\0') {
		p++;
		n--;
	}
	x->begun = x->begun || n > 0;
	if (!x->bad && n > 0 && (n > INT_MAX ||
	    XML_Parse(x->parser, p, (int)n, 0) != XML_STATUS_OK))
		x->bad = true;
	return !x->bad;
}

/*
 * encoding-type=url, in place.  A '+' is a space, as in a form: servers write a
 * plus sign as %2B, and some a space as '+'.
 */
static bool
url_decode(char *s)
{
	size_t n = strlen(s);
	char *p;
	long len;

	for (p = s; *p != '\0'; p++) {
		if (*p == '+')
			*p = ' ';
	}
	len = mw_path_decode(s, n, s);
	return len >= 0 && strlen(s) == (size_t)len;
}

/* Whether names are encoded may only be known at the end. */
static bool
decode_rows(struct mw_s3_xml *x)
{
	struct mw_s3_row *row;
	char *copy;

	for (row = x->doc->rows; row != NULL; row = row->next) {
		if (row->key == NULL || !x->doc->url_encoded)
			continue;
		if ((copy = mw_arena_strdup(x->arena, row->key)) == NULL)
			return false;
		row->key = url_decode(copy) ? copy : NULL;
	}
	return true;
}

bool
mw_s3_xml_close(struct mw_s3_xml *x)
{
	bool good;

	if (x == NULL)
		return false;
	good = !x->bad && XML_Parse(x->parser, "", 0, 1) == XML_STATUS_OK &&
	    !x->bad && decode_rows(x);
	if (!good)
		x->doc->root = MW_S3_NOTHING;
	XML_ParserFree(x->parser);
	free(x);
	return good;
}
