#include "alloc/stack.h"
#include "alloc/os.h"
#include "tests/test.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static struct stack_cache cache;
static struct stack_list *const common = &cache.of[STACK_COMMON];

static struct stack *take(size_t size)
{
	struct stack *s = stack_take(&cache, size);
	CHECK(s);
	return s;
}

TEST(a_stack_is_as_large_as_asked)
{
	static const size_t sizes[][2] = { /* asked for, and had */
		{0, STACK_DEFAULT},
		{1, STACK_LEAST},
		{STACK_LEAST, STACK_LEAST},
		{STACK_LEAST + 1, 2 * STACK_LEAST},
		{50000, 64 * 1024},
		{128 * 1024, 128 * 1024},
		{128 * 1024 + 1, STACK_DEFAULT},
		{STACK_DEFAULT, STACK_DEFAULT},
		{STACK_DEFAULT + 1, STACK_DEFAULT + OS_PAGE},
		{1 << 20, 1 << 20},
		{(64 << 20) + 5, (64 << 20) + OS_PAGE},
	};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct stack *s = take(sizes[i][0]);
		CHECK_EQ(stack_size(s), sizes[i][1]);
		CHECK_EQ((uintptr_t)s->base % OS_PAGE, 0);
		CHECK_EQ((uintptr_t)s->top % OS_PAGE, 0);
		CHECK(s->colour < OS_PAGE && s->colour % 16 == 0);
		*s->base = 1;
		s->top[-1] = 1;
		stack_give(&cache, s);
	}
}

TEST(the_last_one_given_is_the_next_one_taken)
{
	for (unsigned class = 0; class < STACK_CLASSES; class++) {
		size_t size = stack_class_size(class);
		struct stack *a = take(size), *b = take(size);
		CHECK(a != b);
		CHECK(a->top <= b->base - STACK_GUARD || b->top <= a->base - STACK_GUARD);
		stack_give(&cache, a);
		stack_give(&cache, b);
		stack_give(&cache, take(size * 2)); /* another class's is no answer */
		CHECK(take(size) == b);
		CHECK(take(size) == a);
	}
}

TEST(neighbours_begin_at_different_colours)
{
	unsigned seen[STACK_COLOURS] = {0}, kinds = 0;
	for (int i = 0; i < 4 * STACK_COLOURS; i++) {
		unsigned colour = take(0)->colour / 64;
		CHECK(colour < STACK_COLOURS);
		kinds += seen[colour]++ == 0;
	}
	CHECK_EQ(kinds, STACK_COLOURS);
}

static bool is_resident(struct stack *s)
{
	unsigned char page = 0;
	CHECK(mincore(s->top - OS_PAGE, OS_PAGE, &page) == 0);
	return page & 1;
}

/* What one P's list cannot hold goes to the depot; what the depot does not keep warm gives its pages up. */
TEST(a_long_list_shrinks_and_cold_stacks_have_no_pages)
{
	enum { MANY = STACK_CACHE_MAX + STACK_DEPOT_WARM + 1000 };
	static struct stack *s[MANY];
	for (int i = 0; i < MANY; i++) {
		s[i] = take(0);
		s[i]->top[-1] = 1;
	}
	size_t reserved = stack_bytes_reserved();
	CHECK(reserved >= (size_t)MANY * STACK_DEFAULT);
	for (int i = 0; i < MANY; i++) {
		stack_give(&cache, s[i]);
		CHECK(common->n <= STACK_CACHE_MAX);
	}
	stack_flush(&cache);
	CHECK(common->n == 0 && !common->first);
	int resident = 0;
	for (int i = 0; i < MANY; i++)
		resident += is_resident(s[i]);
	CHECK(resident <= STACK_DEPOT_WARM);
	for (int i = 0; i < MANY; i++)
		take(0);
	CHECK_EQ(stack_bytes_reserved(), reserved); /* the same ones */
}

/* How many of its pages are there. */
static int resident_pages(struct stack *s)
{
	static unsigned char page[STACK_DEFAULT / OS_PAGE];
	CHECK_EQ(mincore(s->base, stack_size(s), page), 0);
	int n = 0;
	for (size_t i = 0; i < sizeof page; i++)
		n += page[i] & 1;
	return n;
}

TEST(a_trim_leaves_the_newest_alone_and_of_some_others_their_tops)
{
	enum { MANY = 100, PAGES = STACK_DEFAULT / OS_PAGE, KEPT = STACK_KEPT / OS_PAGE };
	struct stack *s[MANY];
	for (int i = 0; i < MANY; i++)
		s[i] = take(0);
	for (int i = 0; i < MANY; i++) {
		memset(s[i]->base, 1, stack_size(s[i]));
		stack_give(&cache, s[i]);
	}
	stack_trim(&cache, 1);
	int trimmed = 0;
	for (int i = 0; i < MANY; i++)
		trimmed += resident_pages(s[i]) == KEPT;
	CHECK(trimmed > 0 && trimmed < MANY / 2); /* it takes no longer than a scheduling step may */
	stack_trim(&cache, 2); /* too soon */
	for (int i = 0; i < MANY; i++)
		trimmed -= resident_pages(s[i]) == KEPT;
	CHECK_EQ(trimmed, 0);
	for (int64_t now = 1; now < MANY; now++)
		stack_trim(&cache, now * 1000000000);
	CHECK_EQ(common->n, STACK_HOT);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(resident_pages(s[i]), i < MANY - STACK_HOT ? KEPT : PAGES);
	CHECK(take(0) == s[MANY - 1]);
}

/* One class at a time, and one that fills up again each time does not hold up the others. */
TEST(classes_are_trimmed_in_turns)
{
	enum { MANY = STACK_HOT + 5 };
	struct stack_cache elsewhere = {0};
	struct stack *s[STACK_CLASSES][MANY];
	for (unsigned class = 0; class < STACK_CLASSES; class++)
		for (int i = 0; i < MANY; i++)
			s[class][i] = take(stack_class_size(class));
	for (unsigned class = 0; class < STACK_CLASSES; class++) {
		for (int i = 0; i < MANY; i++)
			stack_give(&cache, s[class][i]);
		while (cache.of[class].n > MANY) /* those that came with them */
			take(stack_class_size(class));
	}
	struct stack *more[MANY - STACK_HOT];
	for (int i = 0; i < MANY - STACK_HOT; i++)
		more[i] = stack_take(&elsewhere, STACK_LEAST);
	unsigned refilled = 0;
	for (unsigned turn = 1; turn <= STACK_CLASSES; turn++) {
		CHECK(stack_trim_due(&cache) < INT64_MAX);
		stack_trim(&cache, turn * 1000000000ll);
		unsigned trimmed = 0;
		for (unsigned class = 0; class < STACK_CLASSES; class++)
			trimmed += cache.of[class].n == STACK_HOT;
		CHECK_EQ(trimmed + refilled, turn);
		for (; cache.of[0].n == STACK_HOT; refilled++)
			for (int i = 0; i < MANY - STACK_HOT; i++)
				stack_give(&cache, more[i]);
	}
	CHECK_EQ(refilled, 1);
}

TEST(small_ones_cost_as_much_address_space_as_they_have)
{
	enum { MANY = 1000 };
	for (unsigned class = 0; class < STACK_CLASSES; class++) {
		size_t before = stack_bytes_reserved();
		for (int i = 0; i < MANY; i++)
			take(stack_class_size(class));
		size_t each = (stack_bytes_reserved() - before) / MANY;
		CHECK(each >= stack_class_size(class) + STACK_GUARD && each < stack_class_size(class) + 2 * STACK_GUARD);
	}
}

TEST(another_p_finds_what_was_flushed)
{
	struct stack_cache other = {0};
	for (unsigned class = 0; class < STACK_CLASSES; class++) {
		size_t size = stack_class_size(class);
		struct stack *s = take(size);
		stack_give(&cache, s);
		stack_flush(&cache);
		bool found = false;
		for (int i = 0; i < 64 && !found; i++)
			found = stack_take(&other, size) == s;
		CHECK(found);
	}
}

TEST(a_large_one_is_unmapped)
{
	size_t before = stack_bytes_reserved();
	struct stack *s = take(8 << 20);
	CHECK_EQ(stack_bytes_reserved() - before, (8 << 20) + STACK_GUARD);
	char *page = s->base;
	unsigned char there;
	CHECK(mincore(page, OS_PAGE, &there) == 0);
	stack_give(&cache, s);
	CHECK_EQ(stack_bytes_reserved(), before);
	CHECK(mincore(page, OS_PAGE, &there) == -1 && errno == ENOMEM);
}

/* ---- guards ---- */

static char *touched;

static void touch(void)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)touched = 1;
}

static void check_guard(struct stack *s)
{
	static struct test_child child;
	const ptrdiff_t below[] = {1, OS_PAGE, OS_PAGE + 1, STACK_GUARD};
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		touched = s->base - below[i];
		test_in_child(&child, touch);
		CHECK_EQ(child.status, 128 + SIGSEGV);
	}
	touched = s->base;
	test_in_child(&child, touch);
	CHECK_EQ(child.status, 0);
}

TEST(below_a_stack_everything_faults)
{
	for (unsigned class = 0; class < STACK_CLASSES; class++)
		for (int i = 0; i < 3; i++)
			check_guard(take(stack_class_size(class)));
	check_guard(take(1 << 20));
	CHECK(strcmp(os_guard_way(), "none"));
}

TEST(a_recycled_stack_keeps_its_guard)
{
	struct stack *s = take(0);
	memset(s->base, 1, stack_size(s));
	stack_give(&cache, s);
	CHECK(take(0) == s);
	check_guard(s);
}
