/* SPDX-License-Identifier: BSD-2-Clause */
/* The hot path of every answer that carries a file: see tests/bench. */
#include "base/json.h"

#include <string.h>

#define STAGE 8192		/* bytes collected before the callback is called */
#define WORD 8
#define LONGEST_ESCAPE 6	/* \u001f */
/* Room for what a word may become, and for the last whole entry that is copied. */
#define WORD_ROOM (WORD * LONGEST_ESCAPE + sizeof(struct entry))

#define EACH(b) (UINT64_C(0x0101010101010101) * (b))

/* What a byte becomes.  A whole entry is copied at once, so that dense escapes
 * cost no branch. */
struct entry {
	unsigned char text[7];
	unsigned char len;
};
_Static_assert(sizeof(struct entry) == WORD, "one entry is one word");

#define SELF(c) { { (c) }, 1 }
#define SHORT(c) { { '\\', (c) }, 2 }
#define LONG(hi, lo) { { '\\', 'u', '0', '0', (hi), (lo) }, LONGEST_ESCAPE }
#define SELF4(c) SELF(c), SELF((c) + 1), SELF((c) + 2), SELF((c) + 3)
#define SELF16(c) SELF4(c), SELF4((c) + 4), SELF4((c) + 8), SELF4((c) + 12)
#define SELF64(c) SELF16(c), SELF16((c) + 16), SELF16((c) + 32), SELF16((c) + 48)

static const struct entry entries[256] = {
	LONG('0', '0'), LONG('0', '1'), LONG('0', '2'), LONG('0', '3'),
	LONG('0', '4'), LONG('0', '5'), LONG('0', '6'), LONG('0', '7'),
	SHORT('b'), SHORT('t'), SHORT('n'), LONG('0', 'b'),
	SHORT('f'), SHORT('r'), LONG('0', 'e'), LONG('0', 'f'),
	LONG('1', '0'), LONG('1', '1'), LONG('1', '2'), LONG('1', '3'),
	LONG('1', '4'), LONG('1', '5'), LONG('1', '6'), LONG('1', '7'),
	LONG('1', '8'), LONG('1', '9'), LONG('1', 'a'), LONG('1', 'b'),
	LONG('1', 'c'), LONG('1', 'd'), LONG('1', 'e'), LONG('1', 'f'),
	SELF(' '), SELF('!'), SHORT('"'), SELF('#'), SELF4('$'), SELF4('('), SELF4(','),
	SELF16('0'), SELF16('@'), SELF4('P'), SELF4('T'),
	SELF4('X'), SHORT('\\'), SELF(']'), SELF('^'), SELF('_'),
	SELF16('`'), SELF16('p'), SELF64(0x80), SELF64(0xc0),
};

/* The high bit of each byte that needs an escape is set, and perhaps bits above
 * the first such byte; 0 if there is none. */
static uint64_t
unclean(uint64_t w)
{
	uint64_t quote = w ^ EACH('"'), slash = w ^ EACH('\\');

	return (((w - EACH(0x20)) & ~w) | ((quote - EACH(1)) & ~quote) |
	    ((slash - EACH(1)) & ~slash)) & EACH(0x80);
}

static size_t
put(char *out, char c)
{
	const struct entry *e = &entries[(unsigned char)c];

	memcpy(out, e, sizeof(*e));
	return e->len;
}

/* WORD bytes from s; written out since not every compiler does it. */
static size_t
put_word(char *out, const char *s)
{
	char *o = out;

	o += put(o, s[0]);
	o += put(o, s[1]);
	o += put(o, s[2]);
	o += put(o, s[3]);
	o += put(o, s[4]);
	o += put(o, s[5]);
	o += put(o, s[6]);
	o += put(o, s[7]);
	return (size_t)(o - out);
}

/*
 * Escape from s into out until the input ends or the room could become too
 * small.  *used counts what was written; returns what was read.
 */
static size_t
fill(char *out, size_t size, size_t *used, const char *s, size_t n)
{
	size_t in = 0, o = 0;
	uint64_t w;

	while (n - in >= WORD && size - o >= WORD_ROOM) {
		memcpy(&w, s + in, WORD);
		if (unclean(w) == 0) {
			memcpy(out + o, &w, WORD);
			o += WORD;
		} else {
			o += put_word(out + o, s + in);
		}
		in += WORD;
	}
	while (n - in < WORD && in < n && size - o >= sizeof(struct entry))
		o += put(out + o, s[in++]);
	*used = o;
	return in;
}

/* Sixteen bytes side by side; the compiler makes of it what the processor has. */
typedef unsigned char lanes __attribute__((vector_size(16)));

#define LANES sizeof(lanes)
#define BATCH 51		/* additions of at most 5 that a byte has room for */

/* How many bytes more each becomes: 5 of \u001f, of which \n and its like save 4. */
static lanes
growth(lanes v)
{
	lanes control = (lanes)(v < 0x20) & 5, named = (lanes)((v - 8 <= 5) & (v != 0x0b)) & 4;

	return control - named + ((lanes)((v == '"') | (v == '\\')) & 1);
}

size_t
mw_json_escaped(const char *s, size_t n)
{
	size_t in = 0, all = n, i;
	lanes v, more;

	while (n - in >= LANES) {
		memset(&more, 0, sizeof(more));
		for (i = 0; i < BATCH && n - in >= LANES; i++, in += LANES) {
			memcpy(&v, s + in, LANES);
			more += growth(v);
		}
		for (i = 0; i < LANES; i++)
			all += more[i];
	}
	for (; in < n; in++)
		all += (size_t)entries[(unsigned char)s[in]].len - 1;
	return all;
}

bool
mw_json_escape(mw_write_fn write, void *arg, const char *s, size_t n)
{
	/* Not zeroed by -ftrivial-auto-var-init: only what was written is read. */
	__attribute__((uninitialized)) char out[STAGE];
	size_t used, in;

	while (n > 0) {
		in = fill(out, sizeof(out), &used, s, n);
		s += in;
		n -= in;
		if (!write(arg, out, used))
			return false;
	}
	return true;
}
