/* What C has no library for: libstdc++'s to_chars, which prints the shortest digits that read back the same (Ryu; of several the nearest),
 * and simdjson's judgement of UTF-8.
 */
#include "runtime/json_text.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <simdjson.h>

namespace
{

/* Digits d1 d2 d3 ... of d1.d2d3... * 10^exponent, written as JavaScript does: with an exponent below 1e-6 and from 1e21 on. to_chars
 * would change to exponents where they are shorter, and write 1e+05. */
char *lay_out(char *p, const char *digits, int n, int exponent)
{
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
		p = std::to_chars(p, p + 4, exponent).ptr;
	}
	return p;
}

/* to_chars gives [-]d[.ddd]e[+-]xx. */
template <typename T> size_t write(char *out, T v)
{
	char printed[JSON_NUMBER_MAX], digits[JSON_NUMBER_MAX], *p = out;
	char *end = std::to_chars(printed, printed + sizeof printed, v, std::chars_format::scientific).ptr;
	const char *from = printed;
	int n = 0, exponent = 0;
	if (*from == '-')
		*p++ = *from++;
	for (; *from != 'e'; from++) {
		if (*from != '.')
			digits[n++] = *from;
	}
	from += 1 + (from[1] == '+');
	std::from_chars(from, end, exponent);
	return (size_t)(lay_out(p, digits, n, exponent) - out);
}

} // namespace

size_t json_integer_write(char *out, uint64_t magnitude, bool negative)
{
	*out = '-';
	return (size_t)(std::to_chars(out + negative, out + JSON_NUMBER_MAX, magnitude).ptr - out);
}

size_t json_double_write(char *out, double v)
{
	return write(out, v);
}

size_t json_float_write(char *out, float v)
{
	return write(out, v);
}

bool json_is_utf8(const char *s, size_t n)
{
	return simdjson::validate_utf8(s, n);
}
