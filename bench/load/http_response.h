/* An HTTP/1.1 response, read piece by piece as the socket gives it (RFC 9112).
 *
 * It answers four questions: is the response complete, what was its status, did its body equal the
 * expected one, may the connection be used again. It is strict, because a measurement must not
 * count something that is nearly an answer: lines end in CR LF, no folded or malformed header, no
 * Content-Length beside Transfer-Encoding, no two lengths that differ, no coding but chunked. The
 * verdict does not depend on where the bytes were split. The bodies are never stored.
 */
#ifndef BENCH_LOAD_HTTP_RESPONSE_H
#define BENCH_LOAD_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { HTTP_LINE_KEPT = 256, HTTP_HEAD_MAX = 65536 };

struct http_expect {
	const char *body; /* NULL: any body will do */
	size_t len;
};

enum http_state {
	HTTP_STATUS_LINE,
	HTTP_HEADER,
	HTTP_BODY,
	HTTP_BODY_UNTIL_CLOSE,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_END,
	HTTP_TRAILER,
	HTTP_DONE,
	HTTP_BROKEN,
};

struct http_response {
	const struct http_expect *expect;
	const char *why; /* of HTTP_BROKEN */
	uint64_t left;	 /* of the body or of the chunk */
	uint64_t body_len;
	uint32_t head_len;
	uint16_t line_len;
	uint8_t state; /* enum http_state */
	uint16_t status;
	bool keep_alive, minor_0, has_length, chunked, mismatch;
	bool line_cut, line_cr; /* longer than what is kept; its CR was seen */
	char line[HTTP_LINE_KEPT];
};

void http_response_init(struct http_response *, const struct http_expect *);

/* Takes bytes up to the end of the response. Returns how many it took (fewer than n only when the
 * state is HTTP_DONE), or -EPROTO with `why` set. */
ssize_t http_response_feed(struct http_response *, const char *data, size_t n);

/* The peer has closed: 0 if that completes the response, or -EPROTO with `why` set. */
int http_response_eof(struct http_response *);

#endif
