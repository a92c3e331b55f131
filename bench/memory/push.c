/* A window over a stream of messages: each push makes one of 1 KiB, writes it, and puts it in the place of the oldest of
 * 200,000. What the mean hides is the pushes that pay for the heap: which help to mark, wait for a core that the collector
 * has, or for the kernel. They begin after a whole collection.
 *
 * The sum of a byte of every message that is left proves that the right ones are.
 */
#include "bench/memory/push.h"
#include "bench/memory/heap.h"

#include <stdlib.h>

enum { WINDOW = 200000, MESSAGE = 1024, PUSHES_MIN = 200000 };

static void **ring;
HEAP_ROOT(ring);

struct histogram *push_latencies(void)
{
	static struct histogram latencies;
	const uint64_t highest = UINT64_C(3600) * 1000000000;
	size_t bytes = histogram_bytes(highest);
	void *memory = calloc(1, bytes);
	if (!memory)
		abort();
	histogram_init(&latencies, memory, highest);
	return &latencies;
}

static inline void push(uint64_t number)
{
	void **slot = &ring[number % WINDOW], *old = *slot, *message = HEAP_BYTES(MESSAGE);
	memset(message, (int)(number & 255), MESSAGE);
	HEAP_SET(slot, message);
	HEAP_FREE(old);
}

void ring_fill(void)
{
	HEAP_SET(&ring, HEAP_POINTERS(WINDOW));
	for (uint64_t n = 0; n < WINDOW; n++)
		push(n);
	HEAP_COLLECT();
}

void ring_push(struct work *w)
{
	int64_t pushes = work_count(w, PUSHES_PER_SECOND, PUSHES_MIN);
	uint64_t sum = 0;
	w->latencies = push_latencies();
	work_begin(w);
	for (uint64_t n = WINDOW; n < WINDOW + (uint64_t)pushes; n++) {
		uint64_t from = tsc_now();
		push(n);
		push_timed(w->latencies, from);
	}
	work_end(w);
	for (uint64_t i = 0; i < WINDOW; i++)
		sum += ((unsigned char *)ring[i])[MESSAGE - 1];
	w->ops = pushes;
	PROVE(w, "live=%d pushes=%lld sum=%llu", WINDOW, (long long)pushes, (unsigned long long)sum);
}
