/* Numbers, read and written.
 *
 * Of a decimal m * 10^e with m below 2^53 and |e| at most 22 both m and the power of ten are doubles, and one multiplication or division,
 * which rounds once, gives the nearest double (Clinger, "How to Read Floating Point Numbers Accurately", 1990). That is nearly every number
 * that is sent; the C library does the others.
 *
 * Written the other way: if v, for some k, is the quotient of an integer m and 10^k, the decimal m * 10^-k reads back as v by
 * the same argument, and with 15 digits at most no other so short does (there are no two of them in one double's reach). Else the C
 * library prints it with 15, 16 or 17 digits, whichever come back first. A float likewise, with 6 to 9.
 */
#include "runtime/json_text.h"

#include "lockfree/assert.h"

#include <weft/mem.h>

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POWERS = 23, FLOAT_POWERS = 11, COPY_MAX = 128, EXPONENT_MAX = 1000000 };

static const double powers[POWERS] = {1e0,  1e1,  1e2,	1e3,  1e4,  1e5,  1e6,	1e7,  1e8,  1e9,  1e10, 1e11,
				      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

/* Those for which there may be no room. */
static COLD const char *add_late_digits(struct json_number *n, const char *p, const char *end)
{
	for (; is_digit(p, end); p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (n->digits >= UINT64_MAX / 10 && (n->digits > UINT64_MAX / 10 || digit > UINT64_MAX % 10))
			n->too_long = true;
		if (!n->too_long)
			n->digits = n->digits * 10 + digit;
	}
	return p;
}

static inline const char *add_digits(struct json_number *n, const char *p, const char *end)
{
	uint64_t digits = n->digits;
	for (; is_digit(p, end) && digits < UINT64_MAX / 100; p++)
		digits = digits * 10 + (unsigned)(*p - '0');
	n->digits = digits;
	return unlikely(is_digit(p, end)) ? add_late_digits(n, p, end) : p;
}

static enum json_flaw no_digit(const char *p, const char *end)
{
	return p == end ? JSON_CUT_OFF : JSON_BAD_NUMBER;
}

static enum json_flaw scan_exponent(struct json_number *n, const char **p, const char *end)
{
	int64_t exponent = 0;
	const char *at = *p + 1;
	bool negative = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	*p = at;
	if (!is_digit(at, end))
		return no_digit(at, end);
	for (; is_digit(at, end); at++)
		exponent = exponent < EXPONENT_MAX ? exponent * 10 + (*at - '0') : exponent;
	n->exponent += negative ? -exponent : exponent;
	*p = at;
	return JSON_FINE;
}

enum json_flaw json_number_scan(struct json_number *n, const char **p, const char *end)
{
	const char *at = *p;
	*n = (struct json_number){.from = at, .negative = *at == '-', .is_integer = true};
	*p = at += n->negative;
	if (!is_digit(at, end))
		return no_digit(at, end);
	if (*at == '0') {
		*p = ++at;
		if (is_digit(at, end))
			return JSON_LEADING_ZERO;
	} else {
		at = add_digits(n, at, end);
	}
	if (at < end && *at == '.') {
		const char *from = ++at;
		*p = at;
		at = add_digits(n, at, end);
		if (at == from)
			return no_digit(at, end);
		n->exponent = from - at;
		n->is_integer = false;
	}
	*p = at;
	if (at < end && (*at | 32) == 'e') {
		n->is_integer = false;
		enum json_flaw flaw = scan_exponent(n, p, end);
		if (flaw)
			return flaw;
	}
	n->end = *p;
	return JSON_FINE;
}

/* The C library's, whatever locale the program has set. It needs no memory. */
static locale_t c_locale(void)
{
	return newlocale(LC_ALL_MASK, "C", NULL);
}

/* Of a copy, as strtod wants an end. errno is the program's. */
static double read_slowly(const struct json_number *n, bool as_float)
{
	char few[COPY_MAX];
	size_t len = (size_t)(n->end - n->from);
	char *copy = len < sizeof few ? few : weft_malloc(len + 1);
	int before = errno;
	locale_t c = c_locale();
	if (!copy)
		fatal("out of memory for a number of %zu digits", len);
	memcpy(copy, n->from, len);
	copy[len] = 0;
	double value = as_float ? (double)strtof_l(copy, NULL, c) : strtod_l(copy, NULL, c);
	freelocale(c);
	if (copy != few)
		weft_free(copy);
	errno = before;
	return value;
}

bool json_number_double(const struct json_number *n, double *value)
{
	if (n->too_long || n->digits > UINT64_C(1) << 53 || n->exponent <= -POWERS || n->exponent >= POWERS) {
		*value = read_slowly(n, false);
		return isfinite(*value);
	}
	double d = (double)n->digits;
	d = n->exponent < 0 ? d / powers[-n->exponent] : d * powers[n->exponent];
	*value = n->negative ? -d : d;
	return true;
}

bool json_number_float(const struct json_number *n, float *value)
{
	if (n->too_long || n->digits > 1u << 24 || n->exponent <= -FLOAT_POWERS || n->exponent >= FLOAT_POWERS) {
		*value = (float)read_slowly(n, true);
		return isfinite(*value);
	}
	float f = (float)n->digits;
	f = n->exponent < 0 ? f / (float)powers[-n->exponent] : f * (float)powers[n->exponent];
	*value = n->negative ? -f : f;
	return true;
}

/* ---- writing ---- */

static unsigned count_digits(uint64_t x)
{
	static const uint64_t tens[] = {0,
					10,
					100,
					1000,
					10000,
					100000,
					1000000,
					10000000,
					100000000,
					1000000000,
					10000000000,
					100000000000,
					1000000000000,
					10000000000000,
					100000000000000,
					1000000000000000,
					10000000000000000,
					100000000000000000,
					1000000000000000000,
					UINT64_C(10000000000000000000)};
	/* 1233 / 4096 is a little less than the logarithm of 2. */
	unsigned about = (unsigned)(64 - __builtin_clzll(x | 1)) * 1233 >> 12;
	return about + (x >= tens[about]);
}

size_t json_integer_write(char *out, uint64_t magnitude, bool negative)
{
	static const char pairs[] =
	    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
	    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
	    "9899";
	*out = '-';
	size_t n = negative + count_digits(magnitude);
	char *p = out + n;
	for (; magnitude >= 100; magnitude /= 100)
		memcpy(p -= 2, pairs + magnitude % 100 * 2, 2);
	if (magnitude >= 10)
		memcpy(p - 2, pairs + magnitude * 2, 2);
	else
		p[-1] = (char)('0' + magnitude);
	return n;
}

/* Digits d1 d2 d3 ... of d1.d2d3... * 10^exponent, written as JavaScript does: with an exponent below 1e-6 and from 1e21 on. */
static size_t lay_out(char *out, const char *digits, int n, int exponent)
{
	char *p = out;
	if (exponent >= 0 && exponent < 21) {
		for (int i = 0; i < n || i <= exponent; i++) {
			if (i == exponent + 1)
				*p++ = '.';
			*p++ = i < n ? digits[i] : '0';
		}
	} else if (exponent < 0 && exponent >= -6) {
		*p++ = '0';
		*p++ = '.';
		for (int i = -1; i > exponent; i--)
			*p++ = '0';
		memcpy(p, digits, (size_t)n);
		p += n;
	} else {
		*p++ = digits[0];
		if (n > 1)
			*p++ = '.';
		memcpy(p, digits + 1, (size_t)n - 1);
		p += n - 1;
		*p++ = 'e';
		p += json_integer_write(p, (uint64_t)abs(exponent), exponent < 0);
	}
	return (size_t)(p - out);
}

/* m / 10^k, where m ends in no zero, or k is 0. */
static size_t write_quotient(char *out, uint64_t m, int k)
{
	enum { EIGHT = 8 };
	char digits[JSON_NUMBER_MAX];
	int n = (int)json_integer_write(out, m, false);
	if (k == 0)
		return (size_t)n;
	if (k < n && k <= EIGHT) {
		char fraction[EIGHT];
		memcpy(fraction, out + n - k, EIGHT);
		out[n - k] = '.';
		memcpy(out + n - k + 1, fraction, EIGHT);
		return (size_t)n + 1;
	}
	memcpy(digits, out, (size_t)n);
	return lay_out(out, digits, n, n - 1 - k);
}

/* "d.ddde[+-]xx", with whatever stands for the point. */
static size_t write_printed(char *out, const char *printed, int precision)
{
	char digits[24];
	int n = 0;
	for (const char *p = printed; *p && *p != 'e' && n < precision; p++) {
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return lay_out(out, digits, n, atoi(strchr(printed, 'e') + 1));
}

static bool reads_back(const char *text, size_t n, double v, bool as_float)
{
	struct json_number number;
	const char *p = text;
	double d;
	float f;
	if (json_number_scan(&number, &p, text + n) != JSON_FINE)
		return false;
	return as_float ? json_number_float(&number, &f) && (double)f == v : json_number_double(&number, &d) && d == v;
}

static size_t write_slowly(char *out, double v, bool as_float)
{
	char printed[48];
	size_t n = 0;
	int precision = as_float ? FLT_DIG : DBL_DIG, most = as_float ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
	if (v < (as_float ? (double)FLT_MIN : DBL_MIN)) /* it is denormal: of fewer digits */
		precision = 1;
	do {
		snprintf(printed, sizeof printed, "%.*e", precision - 1, v);
		n = write_printed(out, printed, precision);
	} while (++precision <= most && !reads_back(out, n, v, as_float));
	return n;
}

/* Where the sign is, and zero: what is the same for both. */
static size_t begin(char *out, double v)
{
	*out = '-';
	return signbit(v) ? 1 : 0;
}

size_t json_double_write(char *out, double v)
{
	size_t n = begin(out, v);
	v = fabs(v);
	for (int k = 0; k < POWERS; k++) {
		double scaled = v * powers[k];
		if (!(scaled < 1e15))
			break;
		double m = (double)(uint64_t)(scaled + 0.5);
		if (fabs(scaled - m) <= scaled * (2 * DBL_EPSILON) && m / powers[k] == v)
			return n + write_quotient(out + n, (uint64_t)m, k);
	}
	return n + write_slowly(out + n, v, false);
}

size_t json_float_write(char *out, float v)
{
	size_t n = begin(out, (double)v);
	v = fabsf(v);
	for (int k = 0; k < FLOAT_POWERS; k++) {
		float scaled = v * (float)powers[k], m;
		if (!(scaled < 1e6f))
			break;
		m = (float)(uint32_t)(scaled + 0.5f);
		if (m / (float)powers[k] == v)
			return n + write_quotient(out + n, (uint64_t)m, k);
	}
	return n + write_slowly(out + n, (double)v, true);
}
