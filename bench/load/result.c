#include "bench/load/generator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 73 minutes of nanoseconds, above which only the maximum is exact. */
static const uint64_t highest_ns = (UINT64_C(1) << 42) - 1;

int load_result_init(struct load_result *r)
{
	struct histogram *all[] = {&r->latency, &r->lateness, &r->rest, &r->gaps};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		void *memory = malloc(histogram_bytes(highest_ns));
		if (!memory)
			return -ENOMEM;
		histogram_init(all[i], memory,
			       highest_ns); /* touches it: no page fault in the run */
	}
	return 0;
}

void load_result_fini(struct load_result *r)
{
	free((void *)r->latency.counts);
	free((void *)r->lateness.counts);
	free((void *)r->rest.counts);
	free((void *)r->gaps.counts);
}

static void add_counts(struct load_counts *into, const struct load_counts *from)
{
	bump(&into->offered, load_rlx(&from->offered));
	bump(&into->answered, load_rlx(&from->answered));
	bump(&into->in_window, load_rlx(&from->in_window));
	bump(&into->timeouts, load_rlx(&from->timeouts));
	bump(&into->unanswered, load_rlx(&from->unanswered));
	bump(&into->mismatches, load_rlx(&from->mismatches));
	bump(&into->late_sends, load_rlx(&from->late_sends));
	bump(&into->error_status, load_rlx(&from->error_status));
	bump(&into->error_protocol, load_rlx(&from->error_protocol));
	bump(&into->error_closed, load_rlx(&from->error_closed));
	bump(&into->error_connect, load_rlx(&from->error_connect));
	bump(&into->reconnects, load_rlx(&from->reconnects));
	bump(&into->strays, load_rlx(&from->strays));
}

void load_result_merge(struct load_result *into, const struct load_result *from)
{
	add_counts(&into->counts, &from->counts);
	histogram_merge(&into->latency, &from->latency);
	histogram_merge(&into->lateness, &from->lateness);
	histogram_merge(&into->rest, &from->rest);
	histogram_merge(&into->gaps, &from->gaps);
	if (from->measured_seconds > into->measured_seconds)
		into->measured_seconds = from->measured_seconds;
	into->user_us += from->user_us;
	into->system_us += from->system_us;
	if (!into->first_error[0])
		memcpy(into->first_error, from->first_error, sizeof into->first_error);
}
