#include "alloc/slab.h"
#include "alloc/os.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

static struct slab slab;

/* As slab_take, the count beside. */
static struct slab_free *take(size_t want, size_t *got)
{
	struct slab_list list = slab_take(&slab, want);
	*got = list.n;
	return list.first;
}

static size_t length(const struct slab_free *o)
{
	size_t n = 0;
	for (; o; o = o->next)
		n++;
	return n;
}

static struct slab_free *last_of(struct slab_free *o)
{
	while (o->next)
		o = o->next;
	return o;
}

TEST(objects_are_zeroed_apart_and_on_lines_of_their_own)
{
	slab_init(&slab, 100, CHUNK);
	CHECK_EQ(slab.object_size, 128);
	char *before = NULL;
	for (int i = 0; i < 2000; i++) {
		size_t got;
		struct slab_free *o = take(1, &got);
		CHECK(o && got == 1 && !o->next);
		CHECK_EQ((uintptr_t)o % 64, 0);
		for (size_t at = 0; at < 128; at++)
			CHECK_EQ(((char *)o)[at], 0);
		memset(o, 0xff, 128);
		CHECK((char *)o != before);
		before = (char *)o;
	}
}

TEST(lists_are_as_long_as_they_say)
{
	slab_init(&slab, 64, CHUNK);
	size_t got, total = 0;
	for (size_t want = 1; want < 3000; want += 37) {
		struct slab_free *o = take(want, &got);
		CHECK(o && got >= 1 && got <= want);
		CHECK_EQ(length(o), got);
		total += got;
	}
	CHECK(total > 2 * CHUNK / 64); /* over several chunks */
}

TEST(what_is_given_back_is_taken_first)
{
	slab_init(&slab, 64, CHUNK);
	size_t got;
	struct slab_free *list = take(10, &got), *first = list;
	CHECK_EQ(got, 10);
	slab_give(&slab, list, last_of(list), 10);
	CHECK_EQ(slab.nfree, 10);
	struct slab_free *some = take(4, &got);
	CHECK_EQ(got, 4);
	CHECK(some == first && length(some) == 4);
	CHECK_EQ(slab.nfree, 6);
	CHECK(take(100, &got));
	CHECK_EQ(got, 6); /* no more than there are, rather than new ones */
	CHECK_EQ(slab.nfree, 0);
}

static void count(void *object, void *arg)
{
	CHECK_EQ((uintptr_t)object % 64, 0);
	++*(size_t *)arg;
}

TEST(each_sees_all_that_were_ever_handed_out)
{
	slab_init(&slab, 200, CHUNK);
	size_t seen = 0, got, total = 0;
	slab_each(&slab, count, &seen);
	CHECK_EQ(seen, 0);
	for (int i = 0; i < 100; i++) {
		struct slab_free *o = take(17, &got);
		total += got;
		if (i % 3 == 0) { /* taken again by the next one */
			slab_give(&slab, o, last_of(o), got);
			total -= got;
		}
		seen = 0;
		slab_each(&slab, count, &seen);
		CHECK_EQ(seen, total + slab.nfree);
	}
}

TEST(without_memory_it_says_so_and_goes_on_later)
{
	slab_init(&slab, 64, CHUNK);
	size_t got = 99;
	os_fail_at(OS_RESERVE, 1, ENOMEM);
	CHECK(!take(1, &got));
	CHECK_EQ(got, 0);
	CHECK(take(1, &got));
	CHECK_EQ(got, 1);
}

/* ---- threads ---- */

static int64_t rounds;

static void *take_and_give(void *arg)
{
	uintptr_t mine = (uintptr_t)arg;
	for (int64_t i = 0; i < rounds; i++) {
		size_t got;
		struct slab_free *list = take(1 + (size_t)i % 8, &got);
		CHECK(list && length(list) == got);
		for (struct slab_free *o = list; o; o = o->next)
			((uintptr_t *)(void *)o)[1] = mine;
		for (struct slab_free *o = list; o; o = o->next)
			CHECK_EQ(((uintptr_t *)(void *)o)[1], mine);
		slab_give(&slab, list, last_of(list), got);
	}
	return NULL;
}

static _Atomic bool finished;

static void *look(void *arg)
{
	(void)arg;
	while (!finished) {
		size_t seen = 0;
		slab_each(&slab, count, &seen);
	}
	return NULL;
}

TEST(no_object_has_two_owners)
{
	pthread_t thread[3], looker;
	slab_init(&slab, 64, CHUNK);
	rounds = test_rounds(100000);
	CHECK(!pthread_create(&looker, NULL, look, NULL));
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(!pthread_create(&thread[i], NULL, take_and_give, (void *)(i + 1)));
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(thread[i], NULL));
	finished = true;
	CHECK(!pthread_join(looker, NULL));
}
