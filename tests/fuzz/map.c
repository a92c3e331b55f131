/* A map under any sequence of operations: it holds what a plain array holds, and an iterator that goes on meanwhile produces
 * nothing twice, nothing that is not there, and, when it comes to its end, everything that was there all the time.
 *
 * An operation is two bytes: the lowest three bits of the first say which, the others and the second make the key.
 */
#include "tests/fuzz/corpus.h"

#include <weft/map.h>

#include <stdlib.h>
#include <string.h>

WEFT_MAP_OF(uint16_t, uint32_t, map);

enum { RUN = 64, KEYS = (1 << 13) + RUN };

static struct {
	map m;
	uint32_t value[KEYS]; /* 0: absent */
	size_t len;
	weft_map_iter it;
	bool throughout[KEYS], seen[KEYS];
	bool ended;
} f;

static void must(int holds)
{
	if (!holds)
		abort();
}

static void put(unsigned k, uint32_t value)
{
	map_put(f.m, (uint16_t)k, value);
	f.len += f.value[k] == 0;
	f.value[k] = value;
}

static void del(unsigned k)
{
	must(map_del(f.m, (uint16_t)k) == (f.value[k] != 0));
	f.len -= f.value[k] != 0;
	f.value[k] = 0;
	f.throughout[k] = f.seen[k] = false;
}

static void get(unsigned k)
{
	uint32_t value;
	must(map_get(f.m, (uint16_t)k, &value) == (f.value[k] != 0));
	must(value == f.value[k]);
}

static void iterate(size_t steps)
{
	uint16_t k;
	uint32_t value;
	for (; steps > 0 && !f.ended; steps--) {
		f.ended = !map_next(f.m, &f.it, &k, &value);
		if (f.ended)
			break;
		must(value != 0 && value == f.value[k] && !f.seen[k]);
		f.seen[k] = true;
	}
	for (unsigned i = 0; f.ended && i < KEYS; i++)
		must(!f.throughout[i] || f.seen[i]);
}

static void restart(void)
{
	iterate(SIZE_MAX);
	memset(&f.it, 0, sizeof f.it);
	memset(f.seen, 0, sizeof f.seen);
	f.ended = false;
	for (unsigned k = 0; k < KEYS; k++)
		f.throughout[k] = f.value[k] != 0;
}

static void operate(unsigned op, unsigned k, uint32_t value)
{
	enum { PUT, DEL, GET, PUT_RUN, DEL_RUN, ITERATE, ITERATE_LONG, RESTART };
	switch (op) {
	case PUT:
		put(k, value);
		break;
	case DEL:
		del(k);
		break;
	case GET:
		get(k);
		break;
	case PUT_RUN:
		for (unsigned i = 0; i < RUN; i++)
			put(k + i, value);
		break;
	case DEL_RUN:
		for (unsigned i = 0; i < RUN; i++)
			del(k + i);
		break;
	case ITERATE:
		iterate(1);
		break;
	case ITERATE_LONG:
		iterate(k & 255);
		break;
	case RESTART:
		restart();
		break;
	}
	must(map_len(f.m) == f.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	memset(&f, 0, sizeof f);
	f.m = map_make(n % 3 == 0 ? n : 0);
	for (size_t i = 0; i + 1 < n; i += 2)
		operate(data[i] & 7, (unsigned)data[i] >> 3 | (unsigned)data[i + 1] << 5, (uint32_t)i + 1);
	restart();
	iterate(SIZE_MAX);
	map_free(f.m);
	return 0;
}

#ifndef WEFT_FUZZER
#include "tests/test.h"

enum { LONGEST = 512 };

TEST(the_corpus)
{
	const struct corpus *c = corpus_load(WEFT_CORPUS, LONGEST);
	for (size_t i = 0; i < c->count; i++)
		LLVMFuzzerTestOneInput(c->entries[i].bytes, c->entries[i].len);
}

TEST(mutations_of_the_corpus)
{
	static const char alphabet[] = "\x00\x03\x04\x05\x06\x07\x08 @ACDEFGSTUVWpq\x80\xff";
	corpus_mutate(corpus_load(WEFT_CORPUS, LONGEST), test_rounds(5000), alphabet, sizeof alphabet, LLVMFuzzerTestOneInput);
}
#endif
