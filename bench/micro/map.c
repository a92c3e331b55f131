/* Maps of a million integers: what an insertion into a growing map costs, and looking up what is there and what is not. Keys
 * are the numbers from 0 on, mixed, so that no order helps; those that are missed are the next million.
 *
 * And the worst insertion of ten million. A single one is a matter of microseconds, and in a second the machine stands still
 * some dozen times for longer than that; so the map is filled three times, and an insertion's time is the least that the one with its
 * number took. What remains comes back every time: it is the map's.
 */
#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdlib.h>

enum { KEYS = 1000000, WORST_OF = 10000000, TIMES = 3 };

WEFT_MAP_OF(uint64_t, uint64_t, map);

static map filled;

static map fill(void)
{
	map m = map_make(0);
	for (uint64_t i = 0; i < KEYS; i++)
		map_put(m, mixed(i), i);
	return m;
}

void map_fill(void)
{
	filled = fill();
}

void map_insert(struct batch *b)
{
	map m = fill();
	b->ops = KEYS;
	PROVE(b, "keys=%d len=%zu", KEYS, map_len(m));
	map_free(m);
}

static void look_up(struct batch *b, uint64_t from)
{
	uint64_t value, sum = 0;
	int found = 0;
	for (uint64_t i = from; i < from + KEYS; i++) {
		found += map_get(filled, mixed(i), &value);
		sum += value;
	}
	b->ops = KEYS;
	PROVE(b, "keys=%d found=%d sum=%llu", KEYS, found, (unsigned long long)sum);
}

void map_hit(struct batch *b)
{
	look_up(b, 0);
}

void map_miss(struct batch *b)
{
	look_up(b, KEYS);
}

static uint64_t fill_and_time(int64_t *least)
{
	map m = map_make(0);
	int64_t from = weft_now();
	for (uint64_t i = 0; i < WORST_OF; i++) {
		map_put(m, mixed(i), i);
		int64_t now = weft_now();
		if (now - from < least[i])
			least[i] = now - from;
		from = weft_now();
	}
	uint64_t len = map_len(m);
	map_free(m);
	return len;
}

void map_worst(struct batch *b)
{
	int64_t *least = weft_malloc(WORST_OF * sizeof *least), worst = 0;
	uint64_t len = 0;
	if (!least)
		abort();
	for (int i = 0; i < WORST_OF; i++)
		least[i] = INT64_MAX;
	for (int i = 0; i < TIMES; i++)
		len += fill_and_time(least);
	for (int i = 0; i < WORST_OF; i++)
		worst = least[i] > worst ? least[i] : worst;
	weft_free(least);
	b->ops = 1;
	b->timed_ns = worst;
	PROVE(b, "keys=%d times=%d len=%llu", WORST_OF, TIMES, (unsigned long long)len);
}
