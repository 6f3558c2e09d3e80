/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64, written at the speed of a copy, read strictly. */
#include "base/base64.h"

#define GROUPS 2048		/* of 3 bytes each, per call of the callback */
#define BAD 0x40

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
put_group(char *out, unsigned v)
{
	out[0] = letters[v >> 18];
	out[1] = letters[v >> 12 & 63];
	out[2] = letters[v >> 6 & 63];
	out[3] = letters[v & 63];
}

/* The last one or two bytes, padded. */
static void
put_rest(char *out, const unsigned char *p, size_t n)
{
	put_group(out, (unsigned)p[0] << 16 | (n == 2 ? (unsigned)p[1] << 8 : 0));
	out[3] = '=';
	if (n == 1)
		out[2] = '=';
}

bool
mw_base64_write(mw_write_fn write, void *arg, const void *p, size_t n)
{
	const unsigned char *s = p;
	char out[4 * GROUPS];
	size_t o;

	while (n > 0) {
		for (o = 0; o < sizeof(out) && n >= 3; o += 4, s += 3, n -= 3)
			put_group(out + o, (unsigned)s[0] << 16 |
			    (unsigned)s[1] << 8 | s[2]);
		if (o < sizeof(out) && n > 0) {
			put_rest(out + o, s, n);
			o += 4;
			n = 0;
		}
		if (!write(arg, out, o))
			return false;
	}
	return true;
}

/* Value of a letter, BAD for any other byte. */
static const unsigned char values[256] = {
#define ROW8 BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD
	ROW8, ROW8, ROW8, ROW8, ROW8,
	BAD, BAD, BAD, 62, BAD, BAD, BAD, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, BAD, BAD, BAD, BAD, BAD, BAD,
	BAD, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, BAD, BAD, BAD, BAD, BAD,
	BAD, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, BAD, BAD, BAD, BAD, BAD,
	ROW8, ROW8, ROW8, ROW8, ROW8, ROW8, ROW8, ROW8,
	ROW8, ROW8, ROW8, ROW8, ROW8, ROW8, ROW8, ROW8,
#undef ROW8
};

/* Whole groups without padding; returns the letters used. */
static size_t
decode_groups(const unsigned char *s, size_t n, unsigned char *out)
{
	size_t i;
	unsigned a, b, c, d;

	for (i = 0; n - i >= 4; i += 4) {
		a = values[s[i]];
		b = values[s[i + 1]];
		c = values[s[i + 2]];
		d = values[s[i + 3]];
		if (((a | b | c | d) & BAD) != 0)
			break;
		*out++ = (unsigned char)(a << 2 | b >> 4);
		*out++ = (unsigned char)(b << 4 | c >> 2);
		*out++ = (unsigned char)(c << 6 | d);
	}
	return i;
}

/* A '=': ends the data after two or three letters, and hands out their bytes.
 * Bits that no byte would take must be 0, so each content has one spelling. */
static long
decode_pad(struct mw_base64 *b, unsigned char *out)
{
	unsigned acc = b->acc, count = b->count;

	if (b->ended) {
		if (b->pad == 0)
			return -1;
		b->pad--;
		return 0;
	}
	if (count < 2 || (acc & (count == 2 ? 15 : 3)) != 0)
		return -1;
	b->ended = true;
	b->pad = 3 - count;
	b->acc = b->count = 0;
	if (count == 2) {
		out[0] = (unsigned char)(acc >> 4);
		return 1;
	}
	out[0] = (unsigned char)(acc >> 10);
	out[1] = (unsigned char)(acc >> 2);
	return 2;
}

static long
decode_letter(struct mw_base64 *b, unsigned char c, unsigned char *out)
{
	unsigned v = values[c];

	if (v == BAD || b->ended)
		return -1;
	b->acc = b->acc << 6 | v;
	if (++b->count < 4)
		return 0;
	out[0] = (unsigned char)(b->acc >> 16);
	out[1] = (unsigned char)(b->acc >> 8);
	out[2] = (unsigned char)b->acc;
	b->acc = b->count = 0;
	return 3;
}

long
mw_base64_decode(struct mw_base64 *b, const char *text, size_t n, unsigned char *out)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char *start = out;
	size_t i = 0, fast;
	long got;

	while (i < n) {
		if (b->count == 0 && !b->ended) {
			fast = decode_groups(s + i, n - i, out);
			i += fast;
			out += fast / 4 * 3;
			if (i == n)
				break;
		}
		got = s[i] == '=' ? decode_pad(b, out) : decode_letter(b, s[i], out);
		if (got < 0)
			return -1;
		out += got;
		i++;
	}
	return (long)(out - start);
}

bool
mw_base64_finish(const struct mw_base64 *b)
{
	return b->count == 0 && b->pad == 0;
}
