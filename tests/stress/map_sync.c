/* The concurrent map under all verbs at once. What is checked is order, not only counts: a key's values ascend for each who looks, a value
 * is handed on once, and who takes it stands after who put it there; and nothing is lost while the map grows, is gone
 * through, or cleared.
 */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <string.h>

static weft_waitgroup busy, watching;

static void start_tasks(weft_waitgroup *group, int n, void (*task)(void *))
{
	weft_waitgroup_add(group, n);
	for (uintptr_t i = 0; i < (uintptr_t)n; i++)
		weft_go(task, (void *)i);
}

/* ---- values that ascend ---- */

enum { KEYS = 64, WRITERS = 4, READERS = 4 };

/* Not to be torn. */
struct stamp {
	int64_t n, again, key;
};

WEFT_MAP_SYNC_OF(int, int64_t, numbers);
WEFT_MAP_SYNC_OF(int, struct stamp, stamps);
WEFT_MAP_SYNC_OF(int64_t, int, strays);

static numbers small;
static stamps large;
static strays others;
static _Atomic bool stop;

static struct stamp stamp_of(int key, int64_t n)
{
	return (struct stamp){n, ~n, key};
}

/* Each has keys of its own, deletes them now and then, and sees them as it left them. Keys that come and go make both maps grow meanwhile. */
static void ascend(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg + 1;
	int64_t last[KEYS] = {0}, n = 0, value;
	bool there[KEYS] = {false};
	struct stamp stamp;
	for (int64_t i = test_rounds(100000); i > 0; i--) {
		int key = (int)(draw_below(&random, KEYS / WRITERS) * WRITERS + (uint64_t)(uintptr_t)arg);
		CHECK_EQ(numbers_load(&small, key, &value), there[key]);
		CHECK(stamps_load(&large, key, &stamp) == there[key] && stamp.n == value);
		CHECK(!there[key] || value == last[key]);
		if (draw_below(&random, 8) == 0) {
			CHECK(numbers_load_and_delete(&small, key, &value) == there[key] && (!there[key] || value == last[key]));
			CHECK(stamps_del(&large, key) == there[key]);
			there[key] = false;
			continue;
		}
		last[key] = ++n;
		if (there[key] && draw_below(&random, 2))
			CHECK(numbers_compare_and_swap(&small, key, value, n) &&
			      !numbers_compare_and_swap(&small, key, value, -1));
		else
			numbers_store(&small, key, n);
		CHECK(stamps_swap(&large, key, stamp_of(key, n), &stamp) == there[key]);
		CHECK(!there[key] || (stamp.n == value && stamp.again == ~value));
		there[key] = true;
		strays_store(&others, (int64_t)(draw(&random) >> 1), key);
		if (draw_below(&random, 256) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&busy);
}

/* What it sees of a key never goes back. */
static void look(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg + 100;
	int64_t last[KEYS] = {0}, last_large[KEYS] = {0}, value;
	struct stamp stamp;
	while (!load_rlx(&stop)) {
		int key = (int)draw_below(&random, KEYS);
		if (numbers_load(&small, key, &value)) {
			CHECK(value >= last[key]);
			last[key] = value;
		}
		if (stamps_load(&large, key, &stamp)) {
			CHECK(stamp.again == ~stamp.n && stamp.key == key && stamp.n >= last_large[key]);
			last_large[key] = stamp.n;
		}
		if (draw_below(&random, 64) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&watching);
}

struct going {
	bool seen[KEYS];
	int64_t last[KEYS];
};

static bool visit(int key, struct stamp stamp, void *going)
{
	struct going *g = going;
	CHECK(key >= 0 && key < KEYS && !g->seen[key]);
	CHECK(stamp.again == ~stamp.n && stamp.key == key && stamp.n >= g->last[key]);
	g->seen[key] = true;
	g->last[key] = stamp.n;
	if (stamp.n % 64 == 0)
		weft_yield();
	return true;
}

static void go_through(void *arg)
{
	struct going g = {{false}, {0}};
	(void)arg;
	while (!load_rlx(&stop)) {
		memset(g.seen, 0, sizeof g.seen);
		stamps_range(&large, visit, &g);
		weft_yield();
	}
	weft_waitgroup_done(&watching);
}

static int values_ascend(void)
{
	start_tasks(&watching, READERS, look);
	start_tasks(&watching, 1, go_through);
	start_tasks(&busy, WRITERS, ascend);
	weft_waitgroup_wait(&busy);
	store_rlx(&stop, true);
	weft_waitgroup_wait(&watching);
	size_t there = 0;
	for (int key = 0; key < KEYS; key++)
		there += numbers_load(&small, key, NULL);
	CHECK(numbers_len(&small) == there && stamps_len(&large) == there);
	CHECK(strays_len(&others) > (size_t)test_rounds(100000));
	numbers_fini(&small);
	stamps_fini(&large);
	strays_fini(&others);
	return 0;
}

TEST(values_ascend)
{
	CHECK_EQ(run_weft(2, values_ascend), 0);
}

TEST(values_ascend_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, values_ascend), 0);
}

/* ---- who stores a key has it ---- */

enum { OWNERS = 6, THINGS = 8 };

static struct {
	int64_t uses; /* whoever has the key: plain, for ThreadSanitizer */
	int64_t left, right;
} thing[THINGS];

WEFT_MAP_SYNC_OF_STRING(int, owners);
static owners owner;
static _Atomic int64_t uses;

static void own(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg + 1;
	int me = (int)(uintptr_t)arg + 1, found;
	char key[16];
	for (int64_t i = test_rounds(100000); i > 0; i--) {
		uint64_t which = draw_below(&random, THINGS);
		snprintf(key, sizeof key, "thing %d", (int)which);
		if (owners_load_or_store(&owner, key, me, &found)) {
			CHECK(found != me && !owners_compare_and_delete(&owner, key, me));
			weft_yield();
			continue;
		}
		CHECK(found == me && thing[which].left == thing[which].right);
		thing[which].left++;
		if (draw_below(&random, 16) == 0)
			weft_yield();
		thing[which].right++;
		thing[which].uses++;
		(void)add_rlx(&uses, 1);
		if (draw_below(&random, 2))
			CHECK(owners_compare_and_delete(&owner, key, me));
		else
			CHECK(owners_load_and_delete(&owner, key, &found) && found == me);
	}
	weft_waitgroup_done(&busy);
}

static int owners_are_alone(void)
{
	start_tasks(&busy, OWNERS, own);
	weft_waitgroup_wait(&busy);
	int64_t sum = 0;
	for (int i = 0; i < THINGS; i++)
		sum += thing[i].uses;
	CHECK_EQ(sum, load_rlx(&uses));
	CHECK(sum > 0 && owners_len(&owner) == 0);
	owners_fini(&owner);
	return 0;
}

TEST(who_stores_a_key_has_it_alone)
{
	CHECK_EQ(run_weft(2, owners_are_alone), 0);
}

/* ---- nothing is added twice, or lost ---- */

enum { ADDERS = 6, COUNTS = 16 };

static numbers counts;
static _Atomic int64_t added, taken;

static void add_one(int key)
{
	int64_t value;
	while (numbers_load_or_store(&counts, key, 1, &value))
		if (numbers_compare_and_swap(&counts, key, value, value + 1))
			return;
}

static void add(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg + 1;
	int64_t value;
	for (int64_t i = test_rounds(50000); i > 0; i--) {
		int key = (int)draw_below(&random, COUNTS);
		if (draw_below(&random, 16) == 0) {
			if (numbers_load_and_delete(&counts, key, &value))
				(void)add_rlx(&taken, value);
		} else {
			add_one(key);
			(void)add_rlx(&added, 1);
		}
	}
	weft_waitgroup_done(&busy);
}

static bool take(int key, int64_t value, void *unused)
{
	(void)value, (void)unused;
	CHECK(numbers_load_and_delete(&counts, key, &value));
	(void)add_rlx(&taken, value);
	return true;
}

static int what_is_added_is_taken(void)
{
	start_tasks(&busy, ADDERS, add);
	weft_waitgroup_wait(&busy);
	numbers_range(&counts, take, NULL);
	CHECK_EQ(load_rlx(&taken), load_rlx(&added));
	CHECK_EQ(numbers_len(&counts), 0);
	numbers_fini(&counts);
	return 0;
}

TEST(what_is_added_is_taken_once)
{
	CHECK_EQ(run_weft(2, what_is_added_is_taken), 0);
}

/* ---- clearing ---- */

static stamps cleared;
static _Atomic int64_t clearings, clearings_over; /* begun, and done */

static bool look_whole(int key, struct stamp stamp, void *unused)
{
	(void)unused;
	CHECK(stamp.key == key && stamp.again == ~stamp.n);
	return true;
}

/* What has been stored is missing only if a clearing was under way, or has begun since. */
static void store_and_clear(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg + 1;
	struct stamp stamp;
	for (int64_t i = test_rounds(30000); i > 0; i--) {
		int key = (int)draw_below(&random, 300);
		int64_t over = load_acq(&clearings_over);
		stamps_store(&cleared, key, stamp_of(key, i));
		bool there = stamps_load(&cleared, key, &stamp);
		CHECK(there ? look_whole(key, stamp, NULL) : load_acq(&clearings) > over);
		if (draw_below(&random, 1000) == 0) {
			(void)add_acqrel(&clearings, 1);
			stamps_clear(&cleared);
			(void)add_acqrel(&clearings_over, 1);
		}
		if (draw_below(&random, 3000) == 0)
			stamps_range(&cleared, look_whole, NULL);
	}
	weft_waitgroup_done(&busy);
}

static bool count_one(int key, struct stamp stamp, void *count)
{
	++*(size_t *)count;
	return look_whole(key, stamp, NULL);
}

static int a_map_is_cleared(void)
{
	size_t count = 0;
	start_tasks(&busy, 4, store_and_clear);
	weft_waitgroup_wait(&busy);
	stamps_range(&cleared, count_one, &count);
	CHECK_EQ(stamps_len(&cleared), count);
	stamps_fini(&cleared);
	return 0;
}

TEST(a_map_is_cleared_while_it_is_used)
{
	CHECK_EQ(run_weft(2, a_map_is_cleared), 0);
}
