/* The seqlock (lockfree/seqlock.h and seqlock.c), the same source: a writer, and one or two readers of two words.
 *
 * What must hold: words of one write, no older one than was read before, none older than the last write that the reader
 * knows to be over; and who waits for a writer gets it in the end.
 */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "lockfree/seqlock.h"

#include "lockfree/seqlock.c"

#include MODEL_EDGES

enum { THREADS = 3, WORDS = 2, WRITES_MAX = 4 };

static struct seqlock lock;
static seqlock_word words[WORDS];
static uint32_t over_at[WRITES_MAX]; /* the writer's step; write n is the number n + 1 */
static int writes, last[THREADS];

static const struct scenario {
	const char *script[THREADS]; /* w writes, t tries to read, r reads */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"ww", "ttt"}, 5, 3},
	{{"www", "tt"}, 4, 3},
	{{"ww", "r"}, 3, 2},
	{{"w", "t", "r"}, 3, 2},
	{{"ww", "t", "t"}, 3, 2},
}, *scenario;

static void start(void)
{
	memset(&lock, 0, sizeof lock);
	memset(words, 0, sizeof words);
	memset(over_at, 0, sizeof over_at);
	memset(last, 0, sizeof last);
	writes = 0;
}

static void write_next(void)
{
	int n = ++writes;
	uint64_t from[WORDS] = {(uint64_t)n, ~(uint64_t)n};
	seqlock_write(&lock, words, from, sizeof from);
	over_at[n - 1] = explorer_step();
}

static void read_one(int which, char how)
{
	uint64_t to[WORDS];
	if (how == 'r')
		seqlock_read(&lock, words, to, sizeof to);
	else if (!seqlock_try_read(&lock, words, to, sizeof to))
		return;
	int n = (int)to[0];
	explorer_check(n >= 0 && n <= writes, "what is read was written");
	explorer_check(to[1] == (n ? ~(uint64_t)n : 0), "the words are of one write");
	explorer_check(n >= last[which], "nobody reads an older write than before");
	for (int i = 0; i < writes; i++)
		explorer_check(n > i || !over_at[i] || !explorer_has_seen(0, over_at[i]),
			       "nobody reads an older write than one that is known to be over");
	explorer_check(n == 0 || n > writes || !over_at[n - 1] || explorer_has_seen(0, over_at[n - 1]),
		       "who reads a write comes after it");
	last[which] = n;
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++)
		*s == 'w' ? write_next() : read_one(which, *s);
}

static void end(void)
{
	uint64_t to[WORDS];
	explorer_check(seqlock_try_read(&lock, words, to, sizeof to) && (int)to[0] == writes, "the last write is there");
}

static int threads(void)
{
	return scenario->script[2] ? 3 : 2;
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {threads(), start, thread, end, scenario->preemptions, scenario->stale_reads,
					     NULL, false};
		if ((m || test_is_slow()) && p.preemptions > 2)
			p.preemptions = 2;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %zu: %lld executions\n", (size_t)(scenario - scenarios), (long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(readers_get_whole_writes)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

TEST(the_number_must_be_odd_meanwhile_and_looked_at_twice)
{
	static const struct explorer_mutation spoilt[] = {
		{"the number is not moved", "seqlock_write", VERB_STORE, "xnumber", OMIT},
		{"the number is not looked at", "seqlock_try_read", VERB_LOAD, "xnumber", BLIND},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
