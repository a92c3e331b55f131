#include "runtime/json_text.h"

/* Base64: RFC 4648, section 4. */
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
