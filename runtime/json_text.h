/* The words of JSON, as they are written: plain characters, eight at a time; numbers; base64. Included from C++ as well. */
#ifndef RUNTIME_JSON_TEXT_H
#define RUNTIME_JSON_TEXT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

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

bool json_is_utf8(const char *, size_t n);

#ifdef __cplusplus
}
#endif

#endif
