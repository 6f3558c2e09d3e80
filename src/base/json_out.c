/* SPDX-License-Identifier: BSD-2-Clause */
/* The hot path of every answer that carries a file: see tests/bench. */
#include "base/json.h"

#include <endian.h>
#include <string.h>

#define STAGE 8192		/* bytes collected before the callback is called */
#define WORD 8
#define LONGEST_ESCAPE 6	/* \u001f */

#define EACH(b) (UINT64_C(0x0101010101010101) * (b))

/* The high bit of each byte that needs an escape is set, and perhaps bits above
 * the first such byte; 0 if there is none. */
static uint64_t
unclean(uint64_t w)
{
	uint64_t quote = w ^ EACH('"'), slash = w ^ EACH('\\');

	return (((w - EACH(0x20)) & ~w) | ((quote - EACH(1)) & ~quote) |
	    ((slash - EACH(1)) & ~slash)) & EACH(0x80);
}

/* Writes the escape for c, which needs one; returns its length. */
static size_t
put_escape(char *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	};

	out[0] = '\\';
	if (c >= 0x20) {
		out[1] = (char)c;
		return 2;
	}
	if (shorts[c] != 0) {
		out[1] = shorts[c];
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = hex[c >> 4];
	out[5] = hex[c & 15];
	return LONGEST_ESCAPE;
}

/*
 * Escape from s into out until the input ends or fewer than WORD +
 * LONGEST_ESCAPE bytes are left.  *used counts what was written; returns what
 * was read.
 */
static size_t
fill(char *out, size_t size, size_t *used, const char *s, size_t n)
{
	size_t in = 0, o = 0;
	uint64_t w, mask;

	while (size - o >= WORD + LONGEST_ESCAPE && n - in >= WORD) {
		memcpy(&w, s + in, WORD);
		memcpy(out + o, &w, WORD);
		mask = unclean(le64toh(w));
		if (mask == 0) {
			in += WORD;
			o += WORD;
			continue;
		}
		/* Keep the clean bytes, write the escape over the rest. */
		w = (uint64_t)__builtin_ctzll(mask) / 8;
		in += w;
		o += w;
		o += put_escape(out + o, (unsigned char)s[in++]);
	}
	while (size - o >= LONGEST_ESCAPE && n - in < WORD && in < n) {
		unsigned char c = (unsigned char)s[in++];

		if (c < 0x20 || c == '"' || c == '\\')
			o += put_escape(out + o, c);
		else
			out[o++] = (char)c;
	}
	*used = o;
	return in;
}

bool
mw_json_escape(mw_write_fn write, void *arg, const char *s, size_t n)
{
	char out[STAGE];
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
