/* A million messages of 256 bytes by their number: each push takes the oldest out of the map, makes a new one and puts it
 * in, under the next number. weft's maps hold no collected pointers, so that what stands in this one is where in a
 * table the message is.
 */
#include "bench/memory/push.h"
#include "bench/memory/heap.h"

enum { LIVE = 1000000, WORDS = 32, PUSHES_MIN = 200000 };

struct message {
	uint64_t words[WORDS];
};
WEFT_TYPE_LEAF(message, struct message);
WEFT_MAP_OF(uint64_t, uint32_t, places);

static places live;
static void **messages;
WEFT_ROOT(messages);

static void put(uint64_t number)
{
	uint32_t place = (uint32_t)(number % LIVE);
	if (number >= LIVE)
		places_del(live, number - LIVE);
	struct message *m = weft_new(message);
	for (int i = 0; i < WORDS; i++)
		m->words[i] = number;
	places_put(live, number, place);
	weft_set(&messages[place], m);
}

void map_fill(void)
{
	live = places_make(0);
	weft_set(&messages, weft_new_ptrs(LIVE));
	for (uint64_t n = 0; n < LIVE; n++)
		put(n);
	HEAP_COLLECT();
}

void map_push(struct work *w)
{
	uint64_t pushes = (uint64_t)work_count(w, 4 * PUSHES_PER_SECOND, PUSHES_MIN), sum = 0;
	w->latencies = push_latencies();
	work_begin(w);
	for (uint64_t n = LIVE; n < LIVE + pushes; n++) {
		uint64_t from = tsc_now();
		put(n);
		push_timed(w->latencies, from);
	}
	work_end(w);
	for (uint64_t n = pushes; n < LIVE + pushes; n++)
		sum += ((struct message *)messages[*places_at(live, n)])->words[WORDS - 1];
	w->ops = (int64_t)pushes;
	PROVE(w, "live=%zu pushes=%llu sum=%llu", places_len(live), (unsigned long long)pushes, (unsigned long long)sum);
}
