/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.fcgi: what was counted, as Prometheus reads it and as JSON, and the alerts. */
#include "metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "app/responder.h"

#define TEXT "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* ---- which text? ---- */

/* The q of a range in thousandths, and is it of this version?  s[0..n) is a member of Accept. */
static long
weight(const char *s, size_t n, const char *version)
{
	const char *end = s + n, *v;
	long q = 1000;
	size_t len;

	while ((s = memchr(s, ';', (size_t)(end - s))) != NULL) {
		s++;
		while (s < end && (*s == ' ' || *s == '\t'))
			s++;
		if (end - s > 8 && version != NULL && strncasecmp(s, "version=", 8) == 0) {
			v = s + 8 + (s[8] == '"');
			len = strcspn(v, "\";, \t");
			if (len != strlen(version) || strncmp(v, version, len) != 0)
				return 0;
		} else if (end - s > 2 && strncasecmp(s, "q=", 2) == 0) {
			q = (long)(strtod(s + 2, NULL) * 1000 + .5);
		}
	}
	return q;
}

static bool
is_type(const char *s, size_t n, const char *type)
{
	size_t len = strcspn(s, ";, \t");

	return len <= n && len == strlen(type) && strncasecmp(s, type, len) == 0;
}

/* OpenMetrics, if it is named and no worse than plain text. */
static bool
wants_open(const struct mw_req *req)
{
	const char *s = mw_req_header(req, "Accept");
	long open = 0, plain = 0, q;
	size_t n;

	for (; s != NULL && *s != '\0'; s += n + (s[n] == ',')) {
		s += strspn(s, " \t");
		n = strcspn(s, ",");
		if (is_type(s, n, "application/openmetrics-text") &&
		    (q = weight(s, n, "1.0.0")) > open)
			open = q;
		else if (is_type(s, n, "text/plain") && (q = weight(s, n, NULL)) > plain)
			plain = q;
	}
	return open > 0 && open >= plain;
}

/* ---- handlers ---- */

static enum mw_code
get_text(struct mw_req *req)
{
	int64_t began = mw_now_us();
	enum mw_code code = MW_OK;
	bool open = wants_open(req);
	struct mw_scrape s;
	struct mw_buf b;

	mw_scrape(req, &s);
	mw_scrape_time(&s, began);
	mw_buf_init(&b, MW_RES_MAX);
	mw_metrics_text(&b, &s, open);
	if (b.failed) {
		code = mw_ctx_nomem(&req->ctx);
	} else {
		mw_res_header(req, "Vary", "Accept");
		mw_res_start(req, 200, open ? OPENMETRICS : TEXT, (int64_t)b.len);
		if (!mw_res_write(req, b.data, b.len))
			code = MW_CLIENT_GONE;
	}
	mw_buf_free(&b);
	return code;
}

static void
add_host(struct mw_buf *b)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	(void)mw_json_add(b, "host", host);
}

static enum mw_code
get_json(struct mw_req *req)
{
	const struct mw_pair *name = mw_req_query(req, "name");
	const struct mw_metrics *m = mw_metrics_now();
	int64_t began = mw_now_us();
	struct mw_scrape s;
	struct mw_buf b;

	mw_scrape(req, &s);
	mw_scrape_time(&s, began);
	mw_res_open(&b);
	add_host(&b);
	(void)mw_json_add(&b, "version", MW_VERSION);
	(void)mw_json_add(&b, "startedAt",
	    m != NULL ? mw_req_time(req, atomic_load(&m->started)) : NULL);
	(void)mw_json_add_int(&b, "windowSeconds", 300);
	mw_metrics_json(req, &b, &s, name != NULL ? name->value : "");
	return mw_res_object(req, 200, &b);
}

/* "< 30", "> 0.99", "0". */
static void
add_limit(struct mw_buf *b, const char *name, const char *sign, double value)
{
	struct mw_buf text;

	mw_buf_init(&text, 64);
	(void)mw_buf_addf(&text, "%s%g", sign, value);
	(void)mw_json_add(b, name, text.failed ? NULL : text.data);
	mw_buf_free(&text);
}

static void
add_number(struct mw_buf *b, const char *name, bool known, double value)
{
	struct mw_buf text;

	mw_buf_init(&text, 64);
	(void)mw_buf_addf(&text, "%.6g", value);
	(void)mw_json_add_raw(b, name, known && !text.failed ? text.data : "null");
	mw_buf_free(&text);
}

/* The text with its one %s replaced by the value. */
static void
add_words(struct mw_buf *b, const struct mw_alert_row *r, const struct mw_alert *a)
{
	const char *at = strstr(r->text, "%s");
	struct mw_buf text;

	mw_buf_init(&text, 256);
	if (!a->known || a->state == MW_ALERT_NO_DATA)
		(void)mw_buf_adds(&text, "Too little has happened to tell");
	else if (strcmp(r->unit, "ratio") == 0)
		(void)mw_buf_addf(&text, "%.*s%.3g %%%s", (int)(at - r->text), r->text,
		    a->value * 100, at + 2);
	else
		(void)mw_buf_addf(&text, "%.*s%.4g%s", (int)(at - r->text), r->text, a->value, at + 2);
	(void)mw_json_add(b, "text", text.failed ? NULL : text.data);
	mw_buf_free(&text);
}

static void
add_alert(struct mw_req *req, struct mw_buf *b, const struct mw_alert_row *r,
    const struct mw_alert *a)
{
	(void)mw_json_open(b, NULL, '{');
	(void)mw_json_add(b, "name", r->name);
	(void)mw_json_add(b, "state", mw_alert_words[a->state]);
	add_number(b, "value", a->known, a->value);
	(void)mw_json_add(b, "unit", r->unit);
	add_limit(b, "target", r->target <= 0 ? "" : r->least ? "> " : "< ", r->target);
	if (r->no_alert) {
		(void)mw_json_add(b, "alert", NULL);
		add_number(b, "clear", false, 0);
	} else {
		add_limit(b, "alert", r->least ? "< " : "> ", r->alert);
		add_number(b, "clear", true, r->clear);
	}
	(void)mw_json_add_int(b, "windowSeconds", r->window);
	(void)mw_json_add_int(b, "samples", (int64_t)a->samples);
	(void)mw_json_add_int(b, "minSamples", r->samples);
	(void)mw_json_add(b, "since", mw_req_time(req, a->since));
	add_words(b, r, a);
	(void)mw_json_close(b, '}');
}

static enum mw_code
get_alerts(struct mw_req *req)
{
	struct mw_alert alerts[MW_ALERTS];
	enum mw_alert_state worst = MW_ALERT_OK;
	int64_t n[MW_ALERT_NO_DATA + 1] = { 0 };
	struct mw_buf b;

	mw_alerts(req->app, &req->ctx, alerts);
	for (unsigned i = 0; i < MW_ALERTS; i++) {
		n[alerts[i].state]++;
		if (alerts[i].state != MW_ALERT_NO_DATA && alerts[i].state > worst)
			worst = alerts[i].state;
	}
	mw_res_open(&b);
	add_host(&b);
	(void)mw_json_add(&b, "status", mw_alert_words[worst]);
	(void)mw_json_open(&b, "alerts", '[');
	for (unsigned i = 0; i < MW_ALERTS; i++)
		add_alert(req, &b, &mw_alert_rows[i], &alerts[i]);
	(void)mw_json_close(&b, ']');
	(void)mw_json_open(&b, "summary", '{');
	for (unsigned i = 0; i <= MW_ALERT_NO_DATA; i++)
		(void)mw_json_add_int(&b, mw_alert_words[i], n[i]);
	(void)mw_json_close(&b, '}');
	return mw_res_object(req, 200, &b);
}

static const struct mw_route routes[] = {
	{ "/metrics", MW_GET | MW_HEAD, MW_ROUTE_OPEN, get_text },
	{ "/api/super/metrics", MW_GET | MW_HEAD, 0, get_json },
	{ "/api/super/alerts", MW_GET | MW_HEAD, 0, get_alerts },
	{ NULL, 0, 0, NULL }
};

int
main(void)
{
	return mw_app_main("metrics", routes);
}
