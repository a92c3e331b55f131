/* The load generator's response parser under any bytes: it never reads outside them, and its
 * verdict does not depend on where they are split.
 */
#include "bench/load/http_response.h"
#include "tests/fuzz/corpus.h"

#include <stdlib.h>
#include <string.h>

static const struct http_expect expect = {"hello", 5};

struct verdict {
	struct http_response r;
	size_t used;
};

/* Feeds n bytes in pieces of piece[0], piece[1], ... bytes, each in a block of its own length, so
 * that a sanitizer sees a byte too far. */
static struct verdict run(const uint8_t *data, size_t n, const uint8_t *pieces, size_t piece_count)
{
	struct verdict v = {.used = 0};
	http_response_init(&v.r, &expect);
	for (size_t i = 0; v.used < n && v.r.state < HTTP_DONE; i++) {
		size_t take = piece_count ? (size_t)pieces[i % piece_count] + 1 : n;
		if (take > n - v.used)
			take = n - v.used;
		char *block = malloc(take);
		if (!block)
			abort();
		memcpy(block, data + v.used, take);
		ssize_t used = http_response_feed(&v.r, block, take);
		free(block);
		if (used < 0)
			break;
		if ((size_t)used < take && v.r.state != HTTP_DONE)
			abort();
		v.used += (size_t)used;
	}
	if (v.r.state == HTTP_BODY_UNTIL_CLOSE && http_response_eof(&v.r))
		abort();
	return v;
}

static void same(const struct verdict *a, const struct verdict *b)
{
	if (a->r.state != b->r.state || a->r.status != b->r.status ||
	    a->r.body_len != b->r.body_len ||
	    (a->r.state == HTTP_DONE && (a->r.keep_alive != b->r.keep_alive || a->used != b->used ||
					 a->r.mismatch != b->r.mismatch)) ||
	    (a->r.state == HTTP_BROKEN && strcmp(a->r.why, b->r.why)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t bytewise[] = {0};
	struct verdict whole = run(data, n, NULL, 0), bytes = run(data, n, bytewise, 1);
	struct verdict cut =
	    run(data, n, data, n < 16 ? n : 16); /* its own first bytes say where */
	if (whole.r.state == HTTP_DONE && whole.r.mismatch && whole.r.body_len == 5 && n >= 5 &&
	    whole.r.has_length && !memcmp(data + whole.used - 5, "hello", 5))
		abort();
	same(&whole, &bytes);
	same(&whole, &cut);
	return 0;
}

#ifndef WEFT_FUZZER
#include "tests/test.h"

TEST(corpus_cut_at_every_place)
{
	const struct corpus *c = corpus_load(WEFT_CORPUS, CORPUS_BYTES_MAX);
	for (size_t i = 0; i < c->count; i++) {
		const struct corpus_entry *e = &c->entries[i];
		struct verdict whole = run(e->bytes, e->len, NULL, 0);
		for (size_t at = 0; at < e->len && at < 255; at++) {
			uint8_t pieces[] = {(uint8_t)at, 255, 255, 255};
			struct verdict cut = run(e->bytes, e->len, pieces, 4);
			same(&whole, &cut);
		}
	}
}

TEST(mutations_of_the_corpus)
{
	static const char alphabet[] = "\r\n :;,0159aAfF\t\x00\x7f\xff";
	corpus_mutate(corpus_load(WEFT_CORPUS, CORPUS_BYTES_MAX), test_rounds(200000), alphabet,
		      sizeof alphabet, LLVMFuzzerTestOneInput);
}
#endif
