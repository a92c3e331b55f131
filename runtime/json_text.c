#include "runtime/json_text.h"

/* ---- strings ---- */

/* What stands behind a backslash for what; 0: nothing. */
static char unescaped(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return 0;
	}
}

/* The value of four digits; -1: they are not. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t value = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static bool is_first_half(int32_t code)
{
	return code >= 0xd800 && code < 0xdc00;
}

static bool is_second_half(int32_t code)
{
	return code >= 0xdc00 && code < 0xe000;
}

/* The text ends before an escape at p can, rather than the string. */
static bool ends_within(const char *p, const char *end)
{
	return end - p < 6 && !memchr(p, '"', (size_t)(end - p));
}

/* An escape of four digits or, for a pair, twice four. *p: behind it. */
static enum json_flaw scan_code(const char **p, const char *end, int32_t *code)
{
	const char *at = *p;
	*code = hex4(at + 2, end);
	if (*code < 0)
		return ends_within(at, end) ? JSON_CUT_OFF : JSON_BAD_ESCAPE;
	*p += 6;
	if (is_second_half(*code))
		return *p = at, JSON_LONE_SURROGATE;
	if (!is_first_half(*code))
		return JSON_FINE;
	int32_t second = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? hex4(*p + 2, end) : -1;
	if (second < 0 && ends_within(*p, end))
		return JSON_CUT_OFF;
	if (!is_second_half(second))
		return *p = at, JSON_LONE_SURROGATE;
	*p += 6;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (second - 0xdc00);
	return JSON_FINE;
}

static unsigned utf8_size(int32_t code)
{
	return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

static enum json_flaw scan_escape(struct json_string *s, const char **p, const char *end)
{
	const char *at = *p;
	int32_t code;
	if (end - at < 2)
		return *p = end, JSON_CUT_OFF;
	if (unescaped(at[1])) {
		*p += 2;
		s->len++;
		return JSON_FINE;
	}
	if (at[1] != 'u')
		return JSON_BAD_ESCAPE;
	enum json_flaw flaw = scan_code(p, end, &code);
	if (flaw == JSON_CUT_OFF)
		*p = end;
	if (flaw)
		return flaw;
	s->len += utf8_size(code);
	s->has_nul |= code == 0;
	return JSON_FINE;
}

enum json_flaw json_string_scan(struct json_string *s, const char **p, const char *end)
{
	const char *at = *p;
	*s = (struct json_string){at, 0, 0, false};
	/* Until an escape it is as long as it is written. */
	for (const char *from = at;;) {
		unsigned n;
		at = json_plain(at, end);
		if (at == end || *at == '"' || (unsigned char)*at < 0x80) {
			s->len += (size_t)(at - from);
			*p = at;
			if (at == end)
				return JSON_CUT_OFF;
			if (*at == '"')
				break;
			if (*at != '\\')
				return JSON_CONTROL_CHARACTER;
			enum json_flaw flaw = scan_escape(s, p, end);
			if (flaw)
				return flaw;
			from = at = *p;
			continue;
		}
		n = json_character(at, end);
		if (!n)
			return *p = at, JSON_NOT_UTF8;
		at += n;
	}
	s->raw_len = (size_t)(at - s->raw);
	*p = at + 1;
	return JSON_FINE;
}

static char *put_utf8(char *out, int32_t code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

void json_string_copy(char *out, const struct json_string *s)
{
	const char *p = s->raw, *end = p + s->raw_len;
	if (s->len == s->raw_len) {
		memcpy(out, p, s->len);
		return;
	}
	while (p < end) {
		const char *backslash = memchr(p, '\\', (size_t)(end - p));
		size_t run = (size_t)((backslash ? backslash : end) - p);
		int32_t code;
		memcpy(out, p, run);
		out += run;
		p += run;
		if (p == end)
			break;
		if (p[1] == 'u') {
			scan_code(&p, end, &code);
			out = put_utf8(out, code);
		} else {
			*out++ = unescaped(p[1]);
			p += 2;
		}
	}
}

/* ---- base64 ---- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t json_base64_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

void json_base64_write(char *out, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	for (; n >= 3; n -= 3, p += 3) {
		uint32_t x = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = base64[x >> shift & 63];
	}
	if (n) {
		uint32_t x = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
		*out++ = base64[x >> 18];
		*out++ = base64[x >> 12 & 63];
		*out++ = n == 2 ? base64[x >> 6 & 63] : '=';
		*out++ = '=';
	}
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool json_base64_read(void *bytes, size_t *n, const char *text, size_t len)
{
	unsigned char *out = bytes;
	size_t pads = len && text[len - 1] == '=' ? (text[len - 2] == '=' ? 2 : 1) : 0;
	uint32_t x = 0;
	for (size_t i = 0; i < len - pads; i++) {
		int six = sextet(text[i]);
		if (six < 0)
			return false;
		x = x << 6 | (uint32_t)six;
		if (i % 4 == 3) {
			*out++ = (unsigned char)(x >> 16);
			*out++ = (unsigned char)(x >> 8);
			*out++ = (unsigned char)x;
		}
	}
	if (pads == 2)
		*out++ = (unsigned char)(x >> 4);
	if (pads == 1) {
		*out++ = (unsigned char)(x >> 10);
		*out++ = (unsigned char)(x >> 2);
	}
	*n = (size_t)(out - (unsigned char *)bytes);
	/* What the padding leaves over of the last characters is zero: each value has one text. */
	return pads == 0 || (x & (pads == 2 ? 15 : 3)) == 0;
}
