#include "tests/unit/go.h"

#include <weft/slice.h>

#include <stdio.h>

struct pair {
	char letter;
	double number;
};

WEFT_SLICE_OF(int, ints);
WEFT_SLICE_OF(struct pair, pairs);
WEFT_SLICE_OF(const char *, strings);

static ints of(int n)
{
	ints s = {0};
	for (int i = 0; i < n; i++)
		ints_push(&s, i);
	return s;
}

static void check_is(const ints *s, size_t n, const int *want)
{
	CHECK_EQ(s->len, n);
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(ints_get(s, i), want[i]);
}

TEST(push_and_pop)
{
	ints s = of(100000);
	CHECK_EQ(s.len, 100000);
	for (int i = 0; i < 100000; i++)
		CHECK_EQ(*ints_at(&s, (size_t)i), i);
	for (int i = 100000; i-- > 0;)
		CHECK_EQ(ints_pop(&s), i);
	CHECK_EQ(s.len, 0);
	ints_free(&s);
	CHECK(!s.data && !s.cap);
	ints_free(&s);
}

TEST(insert_and_remove_keep_the_order)
{
	ints s = of(3);
	ints_insert(&s, 0, 10);
	ints_insert(&s, 2, 20);
	ints_insert(&s, 5, 30);
	check_is(&s, 6, (int[]){10, 0, 20, 1, 2, 30});
	ints_remove(&s, 5);
	ints_remove(&s, 0);
	ints_remove(&s, 1);
	check_is(&s, 3, (int[]){0, 1, 2});
	ints_free(&s);
}

TEST(append_may_take_from_itself)
{
	ints s = of(5);
	for (int i = 0; i < 10; i++)
		ints_append(&s, s.data + 1, s.len - 1); /* it moves under way */
	CHECK_EQ(s.len, 4 * 1024 + 1);
	for (size_t i = 1; i < s.len; i++)
		CHECK_EQ(ints_get(&s, i), (int)((i - 1) % 4 + 1));
	ints_append(&s, NULL, 0);
	ints none = {0};
	ints_append(&none, s.data, 3);
	check_is(&none, 3, (int[]){0, 1, 2});
	ints_free(&s);
	ints_free(&none);
}

TEST(resize_zeroes_what_is_new_and_clear_keeps_the_room)
{
	ints s = of(8);
	ints_resize(&s, 2);
	ints_resize(&s, 5);
	check_is(&s, 5, (int[]){0, 1, 0, 0, 0});
	size_t cap = s.cap;
	ints_clear(&s);
	CHECK(s.len == 0 && s.cap == cap);
	ints_reserve(&s, 1000);
	int *data = s.data;
	for (int i = 0; i < 1000; i++)
		ints_push(&s, i);
	CHECK(s.data == data);
	ints_free(&s);
}

TEST(growing_costs_few_copies_and_little_room)
{
	ints s = {0};
	size_t cap = 0, copied = 0, n = 1000000;
	for (size_t i = 0; i < n; i++) {
		ints_push(&s, 1);
		copied += s.cap != cap ? i : 0;
		cap = s.cap;
	}
	CHECK(copied < 6 * n);
	CHECK(cap < n + n / 2);
	ints_free(&s);
}

static int by_number(const struct pair *a, const struct pair *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

TEST(structs_and_strings)
{
	pairs s = {0};
	for (int i = 0; i < 5; i++)
		pairs_push(&s, (struct pair){.letter = (char)('a' + i), .number = (i * 3) % 5});
	pairs_sort(&s, by_number);
	for (size_t i = 0; i < 5; i++)
		CHECK_EQ((int)pairs_at(&s, i)->number, (int)i);
	CHECK_EQ(pairs_at(&s, 1)->letter, 'c');
	strings words = {0};
	strings_push(&words, "one");
	strings_set(&words, 0, "two");
	CHECK_STR(strings_get(&words, 0), "two");
	pairs_free(&s);
	strings_free(&words);
}

TEST(views)
{
	ints s = of(10), none = {0};
	ints_part v = ints_view(&s, 3, 6), empty = ints_view(&none, 0, 0);
	CHECK_EQ(v.len, 3);
	CHECK_EQ(*ints_view_at(v, 0), 3);
	CHECK_EQ(*ints_view_at(v, 2), 5);
	CHECK_EQ(empty.len, 0);
	CHECK_EQ(ints_view(&s, 10, 10).len, 0);
	ints_free(&s);
}

/* ---- misuse ---- */

static void get_beyond(void)
{
	ints s = of(3);
	ints_get(&s, 5);
}

static void insert_beyond(void)
{
	ints s = of(3);
	ints_insert(&s, 4, 0);
}

static void pop_of_nothing(void)
{
	ints s = {0};
	ints_pop(&s);
}

static void view_backwards(void)
{
	ints s = of(3);
	ints_view(&s, 2, 1);
}

static void view_beyond(void)
{
	ints s = of(3);
	ints_view_at(ints_view(&s, 0, 2), 2);
}

static void no_such_length(void)
{
	ints s = {0};
	ints_reserve(&s, SIZE_MAX);
}

TEST(misuse_is_told)
{
	test_dies(get_beyond, "panic: index out of range [5] with length 3");
	test_dies(insert_beyond, "panic: index out of range [4] with length 3");
	test_dies(pop_of_nothing, "panic: pop of an empty slice");
	test_dies(view_backwards, "panic: slice bounds out of range [2:1] with length 3");
	test_dies(view_beyond, "panic: index out of range [2] with length 2");
	test_dies(no_such_length, "panic: slice of 18446744073709551615 elements of 4 bytes: out of range");
}
