/* The load generator's response parser under any bytes: it never reads outside them, and its
 * verdict does not depend on where they are split.
 *
 * Built with -DWEFT_FUZZER this is a libFuzzer target. Otherwise it is a test that runs the corpus,
 * each entry cut at every place, and mutations of the entries from a fixed seed.
 */
#include "bench/load/http_response.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
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

#include <dirent.h>
#include <stdio.h>

enum { ENTRIES_MAX = 256, ENTRY_BYTES = 4096 };

static struct {
	uint8_t bytes[ENTRY_BYTES];
	size_t len;
} corpus[ENTRIES_MAX];
static size_t corpus_count;

static void load_corpus(void)
{
	DIR *dir = opendir(WEFT_CORPUS);
	CHECK(dir);
	for (struct dirent *e; (e = readdir(dir)) && corpus_count < ENTRIES_MAX;) {
		char path[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", WEFT_CORPUS, e->d_name);
		FILE *f = fopen(path, "re");
		CHECK(f);
		corpus[corpus_count].len = fread(corpus[corpus_count].bytes, 1, ENTRY_BYTES, f);
		corpus_count++;
		fclose(f);
	}
	closedir(dir);
	CHECK(corpus_count >= 10);
}

TEST(corpus_cut_at_every_place)
{
	load_corpus();
	for (size_t i = 0; i < corpus_count; i++) {
		struct verdict whole = run(corpus[i].bytes, corpus[i].len, NULL, 0);
		for (size_t at = 0; at < corpus[i].len && at < 255; at++) {
			uint8_t pieces[] = {(uint8_t)at, 255, 255, 255};
			struct verdict cut = run(corpus[i].bytes, corpus[i].len, pieces, 4);
			same(&whole, &cut);
		}
	}
}

static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* Flips, inserts, deletes and splices, as a fuzzer does. */
static size_t mutate(uint8_t *bytes, size_t len, uint64_t *state)
{
	static const char interesting[] = "\r\n :;,0159aAfF\t\x00\x7f\xff";
	for (uint64_t changes = 1 + draw(state) % 4; changes--;) {
		size_t at = draw(state) % (len + 1);
		uint8_t byte = (uint8_t)interesting[draw(state) % sizeof interesting];
		switch (draw(state) % 4) {
		case 0:
			if (at < len)
				bytes[at] ^= (uint8_t)(1u << draw(state) % 8);
			break;
		case 1:
			if (len < ENTRY_BYTES) {
				memmove(bytes + at + 1, bytes + at, len - at);
				bytes[at] = byte;
				len++;
			}
			break;
		case 2:
			if (at < len) {
				memmove(bytes + at, bytes + at + 1, len - at - 1);
				len--;
			}
			break;
		default: {
			size_t other = draw(state) % corpus_count,
			       from = draw(state) % (corpus[other].len + 1);
			size_t n = corpus[other].len - from;
			if (n > ENTRY_BYTES - at)
				n = ENTRY_BYTES - at;
			memcpy(bytes + at, corpus[other].bytes + from, n);
			len = at + n;
		}
		}
	}
	return len;
}

TEST(mutations_of_the_corpus)
{
	static uint8_t bytes[ENTRY_BYTES];
	uint64_t state = 88172645463325252u;
	load_corpus();
	for (int64_t i = test_rounds(200000); i > 0; i--) {
		size_t which = draw(&state) % corpus_count;
		memcpy(bytes, corpus[which].bytes, corpus[which].len);
		LLVMFuzzerTestOneInput(bytes, mutate(bytes, corpus[which].len, &state));
	}
}
#endif
