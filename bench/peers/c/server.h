/* What the bare C servers share: options, listening sockets, the scan for the end of a request, and
 * the block that every answer is sent from.
 *
 * Nothing in an answer depends on its request, so nothing of a request is kept: what a connection owes
 * is a number of bytes of one periodic stream, sent from wherever in the period the last write ended.
 * An incomplete request leaves at most three bytes behind, the longest proper prefix of its end.
 */
#ifndef BENCH_PEERS_C_SERVER_H
#define BENCH_PEERS_C_SERVER_H

#include "lockfree/atomic.h"

#include <stddef.h>
#include <stdint.h>

#define ANSWER                                                                                     \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"

enum {
	ANSWER_SIZE = sizeof ANSWER - 1,
	ANSWERS = 64,  /* in the block: one send answers as many pipelined requests */
	BUFFER = 4096, /* bytes of one read, as in every raw peer */
	CARRY = 3,     /* the most that an incomplete end of request leaves behind */
};

enum mode { MODE_RAW, MODE_ECHO };

struct server {
	enum mode mode;
	_Atomic uint64_t *spun_ns; /* in the file of --stats; the spinning threads add */
};

/* What is left of the last read: the bytes that may begin an end of request. */
struct carry {
	uint8_t size;
	char bytes[CARRY];
};

/* Bytes still to be sent of the endless stream of answers. */
struct owed {
	uint64_t bytes;
	uint32_t phase; /* within an answer, of the next byte */
};

extern char answer_block[ANSWER_SIZE * ANSWERS];

/* Each server: the loop of one thread. */
_Noreturn void serve(const struct server *server, int listener);

/* Counts the requests that end in text[0..size). CARRY bytes before text are writable. */
unsigned count_requests(struct carry *carry, char *text, size_t size);

/* The next piece to send; its size is returned. */
size_t owed_piece(const struct owed *owed, const char **piece);
void owed_sent(struct owed *owed, size_t size);

_Noreturn void die(const char *what, int error);

#endif
