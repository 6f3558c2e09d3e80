/* SPDX-License-Identifier: BSD-2-Clause */
/* Targets, and what becomes of them: one table of alerts (doc/api.md, "Alerts"). */
#ifndef MW_APP_ALERTS_H
#define MW_APP_ALERTS_H

#include "app/app.h"
#include "state/metrics.h"

enum mw_alert_state { MW_ALERT_OK, MW_ALERT_WARNING, MW_ALERT_FIRING, MW_ALERT_NO_DATA };
extern const char *const mw_alert_words[];

struct mw_alert_row {
	const char *name, *unit, *text;	/* text: of a value, %s */
	bool least;		/* the target is a least value, not a most */
	double target, alert, clear;
	bool no_alert;		/* warning is the worst */
	bool at_once;		/* fires without the 60 s */
	unsigned window;	/* s, 0 = it is about now */
	unsigned samples;	/* fewer: no_data */
};
extern const struct mw_alert_row mw_alert_rows[MW_ALERTS];

/* What an alert is about now. */
struct mw_alert {
	enum mw_alert_state state;
	bool known;		/* value is told */
	double value;
	uint64_t samples;
	int64_t since;		/* wall ms */
};

/*
 * Look at all of them now: each change is kept for all processes, and logged.  Somebody
 * else who does it at the same moment leaves the states to whoever came first.
 */
void mw_alerts(struct mw_app *app, struct mw_ctx *ctx, struct mw_alert out[MW_ALERTS]);

/* One step of one alert at `now` (monotonic ms): what its state is then.  For mw_alerts. */
enum mw_alert_state mw_alert_step(const struct mw_alert_row *r, struct mw_alert_kept *k,
    const struct mw_alert *a, int64_t now);

#endif
