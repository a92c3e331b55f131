/* The words of JSON: runs of plain characters, strings, numbers. The text is never written, and nothing before or behind it is read.
 *
 * A string is looked at once: the scan judges escapes and UTF-8 and works out how long the string will be, so that its copy is allocated in
 * the right size and written without a check. Eight bytes at a time where they are plain, as most are. */
#ifndef RUNTIME_JSON_TEXT_H
#define RUNTIME_JSON_TEXT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of eight is the lowest");

/* A top bit for each byte that is a quote, a backslash, a control character or not ASCII. The lowest is right: a borrow can mark a byte
 * wrongly, but only above one that is marked rightly. */
static inline uint64_t json_marks(uint64_t x)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = 0x80 * ones;
	uint64_t quote = x ^ '"' * ones, backslash = x ^ '\\' * ones;
	return ((x - 0x20 * ones) | (quote - ones) | (backslash - ones) | x) & tops;
}

/* How many bytes are below the lowest mark. */
static inline unsigned json_unmarked(uint64_t marks)
{
	return (unsigned)__builtin_ctzll(marks) / 8;
}

static inline uint64_t json_eight(const char *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof x);
	return x;
}

/* The n bytes from p on, 1 to 7, and spaces behind them. */
static inline uint64_t json_few(const char *p, size_t n)
{
	const uint64_t spaces = UINT64_C(0x2020202020202020) << 8 * n;
	uint32_t first, last;
	if (n < 4) /* each is one of these, or two */
		return spaces | (unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 * (n / 2) |
		       (uint64_t)(unsigned char)p[n - 1] << 8 * (n - 1);
	memcpy(&first, p, sizeof first);
	memcpy(&last, p + n - 4, sizeof last);
	return spaces | first | (uint64_t)last << 8 * (n - 4);
}

/* The first byte from p on that is marked; or end. */
static inline const char *json_plain(const char *p, const char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t marks = json_marks(json_eight(p));
		if (marks)
			return p + json_unmarked(marks);
	}
	while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

static inline bool json_is_within(char c, unsigned char least, unsigned char most)
{
	return (unsigned char)c >= least && (unsigned char)c <= most;
}

/* How many bytes the character at p has; 0: it is none. RFC 3629, section 4: no overlong form, no surrogate, nothing beyond U+10FFFF. */
static inline unsigned json_character(const char *p, const char *end)
{
	unsigned char first = (unsigned char)*p;
	ptrdiff_t room = end - p;
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4 || room < 2)
		return 0;
	if (first < 0xe0)
		return json_is_within(p[1], 0x80, 0xbf) ? 2 : 0;
	if (first < 0xf0) {
		if (!json_is_within(p[1], first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf))
			return 0;
		return room >= 3 && json_is_within(p[2], 0x80, 0xbf) ? 3 : 0;
	}
	if (!json_is_within(p[1], first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf))
		return 0;
	return room >= 4 && json_is_within(p[2], 0x80, 0xbf) && json_is_within(p[3], 0x80, 0xbf) ? 4 : 0;
}

struct json_string {
	const char *raw; /* between the quotes */
	size_t raw_len;
	size_t len; /* without escapes */
	bool has_nul;
};

enum json_flaw {
	JSON_FINE,
	JSON_CUT_OFF, /* the text ends */
	JSON_BAD_ESCAPE,
	JSON_LONE_SURROGATE,
	JSON_CONTROL_CHARACTER,
	JSON_NOT_UTF8,
	JSON_BAD_NUMBER,
	JSON_LEADING_ZERO,
};

/* The string that begins behind the quote before p. *p: behind its other quote, or at the flaw. */
enum json_flaw json_string_scan(struct json_string *, const char **p, const char *end);

/* Its len bytes. */
void json_string_copy(char *out, const struct json_string *);

struct json_number {
	const char *from, *end;
	uint64_t digits;  /* all of them, the point left out */
	int64_t exponent; /* of ten */
	bool negative;
	bool is_integer; /* has neither point nor exponent */
	bool too_long;	 /* `digits` has not room for them */
};

/* The number that begins at p. *p: behind it, or at the flaw. */
enum json_flaw json_number_scan(struct json_number *, const char **p, const char *end);

/* False: it is too large for the type. What is too small is 0. Correctly rounded. */
bool json_number_double(const struct json_number *, double *);
bool json_number_float(const struct json_number *, float *);

/* Bytes that a number is written in, at most. All of them may be written, though the number is shorter. */
enum { JSON_NUMBER_MAX = 32 };

/* The shortest number that reads back the same; of several, the nearest. Returns its length. Must be finite. */
size_t json_double_write(char *out, double);
size_t json_float_write(char *out, float);
size_t json_integer_write(char *out, uint64_t magnitude, bool negative);

/* Base64, padded. Strict: false is anything but what json_base64_write writes. */
size_t json_base64_size(size_t n);
void json_base64_write(char *out, const void *bytes, size_t n);
bool json_base64_read(void *out, size_t *n, const char *text, size_t len);

#endif
