#include "bench/load/http_response.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum { LENGTH_DIGITS = 18, CHUNK_DIGITS = 15 };

void http_response_init(struct http_response *r, const struct http_expect *expect)
{
	memset(r, 0, offsetof(struct http_response, line));
	r->expect = expect;
}

static int broken(struct http_response *r, const char *why)
{
	r->state = HTTP_BROKEN;
	r->why = why;
	return -EPROTO;
}

static void done(struct http_response *r)
{
	r->state = HTTP_DONE;
	if (r->expect->body && r->body_len != r->expect->len)
		r->mismatch = true;
}

static void take_body(struct http_response *r, const char *data, size_t n)
{
	const struct http_expect *e = r->expect;
	if (e->body && !r->mismatch)
		r->mismatch = r->body_len > e->len || n > e->len - r->body_len ||
			      memcmp(e->body + r->body_len, data, n);
	r->body_len += n;
}

static bool is_token_char(unsigned char c)
{
	return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* "HTTP/1.1 200 reason"; the reason may be empty, the space before it may not be missing. */
static int status_line(struct http_response *r)
{
	const char *s = r->line;
	if (r->line_len < 13 || memcmp(s, "HTTP/1.", 7) || (s[7] != '0' && s[7] != '1') ||
	    s[8] != ' ' || s[12] != ' ')
		return broken(r, "no HTTP/1.1 status line");
	for (int i = 9; i < 12; i++)
		if (!isdigit((unsigned char)s[i]))
			return broken(r, "no HTTP/1.1 status line");
	r->status = (uint16_t)((s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0'));
	if (r->status < 100 || r->status > 599)
		return broken(r, "status outside 100 to 599");
	r->minor_0 = s[7] == '0';
	r->keep_alive = !r->minor_0;
	r->state = HTTP_HEADER;
	return 0;
}

static int content_length(struct http_response *r, const char *value, size_t len)
{
	uint64_t n = 0;
	if (!len || len > LENGTH_DIGITS)
		return broken(r, "bad Content-Length");
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)value[i]))
			return broken(r, "bad Content-Length");
		n = n * 10 + (uint64_t)(value[i] - '0');
	}
	if (r->has_length && n != r->left)
		return broken(r, "two different Content-Lengths");
	r->has_length = true;
	r->left = n;
	return 0;
}

/* A comma-separated list of options, of which two mean something here. */
static void connection(struct http_response *r, const char *value, size_t len)
{
	for (size_t at = 0; at <= len;) {
		size_t end = at;
		while (end < len && value[end] != ',')
			end++;
		size_t from = at, to = end;
		while (from < to && (value[from] == ' ' || value[from] == '\t'))
			from++;
		while (to > from && (value[to - 1] == ' ' || value[to - 1] == '\t'))
			to--;
		if (to - from == 5 && !strncasecmp(value + from, "close", 5))
			r->keep_alive = false;
		else if (to - from == 10 && r->minor_0 &&
			 !strncasecmp(value + from, "keep-alive", 10))
			r->keep_alive = true;
		at = end + 1;
	}
}

static bool named(const char *line, size_t len, const char *name)
{
	return len == strlen(name) && !strncasecmp(line, name, len);
}

static int field_line(struct http_response *r)
{
	size_t colon = 0;
	while (colon < r->line_len && is_token_char((unsigned char)r->line[colon]))
		colon++;
	if (!colon || colon == r->line_len || r->line[colon] != ':')
		return broken(r, "malformed header");
	if (r->state == HTTP_TRAILER)
		return 0;
	bool length = named(r->line, colon, "content-length");
	bool coding = named(r->line, colon, "transfer-encoding");
	bool options = named(r->line, colon, "connection");
	if (!length && !coding && !options)
		return 0;
	if (r->line_cut)
		return broken(r, "header too long");
	size_t from = colon + 1, to = r->line_len;
	while (from < to && (r->line[from] == ' ' || r->line[from] == '\t'))
		from++;
	while (to > from && (r->line[to - 1] == ' ' || r->line[to - 1] == '\t'))
		to--;
	if (length)
		return content_length(r, r->line + from, to - from);
	if (options) {
		connection(r, r->line + from, to - from);
		return 0;
	}
	if (r->chunked || r->minor_0 || !named(r->line + from, to - from, "chunked"))
		return broken(r, "a Transfer-Encoding other than one chunked");
	r->chunked = true;
	return 0;
}

static int end_of_head(struct http_response *r)
{
	if (r->chunked && r->has_length)
		return broken(r, "Content-Length beside Transfer-Encoding");
	if (r->status == 101)
		return broken(r, "status 101 that nobody asked for");
	if (r->status <
	    200) { /* interim: the real one follows, within the same limit on the head */
		uint32_t head_len = r->head_len;
		http_response_init(r, r->expect);
		r->head_len = head_len;
		return 0;
	}
	if (r->status == 204 || r->status == 304)
		done(r);
	else if (r->chunked)
		r->state = HTTP_CHUNK_SIZE;
	else if (!r->has_length) {
		r->state = HTTP_BODY_UNTIL_CLOSE;
		r->keep_alive = false;
	} else if (r->left)
		r->state = HTTP_BODY;
	else
		done(r);
	return 0;
}

/* "1a" or "1a;extension" */
static int chunk_size(struct http_response *r)
{
	uint64_t n = 0;
	size_t i = 0;
	for (; i < r->line_len && isxdigit((unsigned char)r->line[i]); i++) {
		int c = tolower((unsigned char)r->line[i]);
		n = n << 4 | (uint64_t)(isdigit(c) ? c - '0' : c - 'a' + 10);
		if (i == CHUNK_DIGITS)
			return broken(r, "bad chunk size");
	}
	size_t digits = i;
	while (i < r->line_len && (r->line[i] == ' ' || r->line[i] == '\t'))
		i++;
	if (!digits || (i < r->line_len ? r->line[i] != ';' : i != digits))
		return broken(r, "bad chunk size");
	r->left = n;
	r->state = n ? HTTP_CHUNK_DATA : HTTP_TRAILER;
	r->head_len = 0;
	return 0;
}

static int end_of_line(struct http_response *r)
{
	switch (r->state) {
	case HTTP_STATUS_LINE:
		return status_line(r);
	case HTTP_HEADER:
		return r->line_len ? field_line(r) : end_of_head(r);
	case HTTP_CHUNK_SIZE:
		return chunk_size(r);
	case HTTP_CHUNK_END:
		if (r->line_len)
			return broken(r, "a chunk longer than its size");
		r->state = HTTP_CHUNK_SIZE;
		return 0;
	default: /* HTTP_TRAILER */
		if (r->line_len)
			return field_line(r);
		done(r);
		return 0;
	}
}

/* One byte of a line. Kept up to a limit: what lies beyond matters in no line that is understood.
 */
static int take_line_byte(struct http_response *r, unsigned char c)
{
	if (++r->head_len > HTTP_HEAD_MAX)
		return broken(r, "head longer than 64 KiB");
	if (c == '\n') {
		if (!r->line_cr)
			return broken(r, "a line that ends without CR");
		int error = end_of_line(r);
		r->line_len = 0;
		r->line_cr = r->line_cut = false;
		return error;
	}
	if (r->line_cr)
		return broken(r, "CR inside a line");
	if (c == '\r')
		r->line_cr = true;
	else if ((c < 0x20 && c != '\t') || c == 0x7f)
		return broken(r, "control character in the head");
	else if (r->line_len < HTTP_LINE_KEPT)
		r->line[r->line_len++] = (char)c;
	else
		r->line_cut = true;
	return 0;
}

ssize_t http_response_feed(struct http_response *r, const char *data, size_t n)
{
	size_t at = 0;
	while (at < n && r->state != HTTP_DONE) {
		size_t rest = n - at;
		switch (r->state) {
		case HTTP_BROKEN:
			return -EPROTO;
		case HTTP_BODY_UNTIL_CLOSE:
			take_body(r, data + at, rest);
			at = n;
			break;
		case HTTP_BODY:
		case HTTP_CHUNK_DATA:
			if (rest > r->left)
				rest = (size_t)r->left;
			take_body(r, data + at, rest);
			at += rest;
			r->left -= rest;
			if (!r->left && r->state == HTTP_BODY)
				done(r);
			else if (!r->left)
				r->state = HTTP_CHUNK_END;
			break;
		default:
			if (take_line_byte(r, (unsigned char)data[at++]))
				return -EPROTO;
		}
	}
	return (ssize_t)at;
}

int http_response_eof(struct http_response *r)
{
	if (r->state == HTTP_BODY_UNTIL_CLOSE)
		done(r);
	if (r->state == HTTP_DONE)
		return 0;
	if (r->state != HTTP_BROKEN)
		broken(r, r->state == HTTP_STATUS_LINE && !r->head_len
			      ? "closed without a response"
			      : "closed within a response");
	return -EPROTO;
}
