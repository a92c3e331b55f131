#include "lockfree/seqlock.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

enum { SIZE_MAX_HERE = 40 };

static struct {
	struct seqlock lock;
	seqlock_word word[SIZE_MAX_HERE / 8 + 1];
} cell;

TEST(what_is_written_is_read_whatever_its_size)
{
	for (size_t size = 1; size <= SIZE_MAX_HERE; size++) {
		unsigned char from[SIZE_MAX_HERE], to[SIZE_MAX_HERE + 8];
		for (size_t i = 0; i < size; i++)
			from[i] = (unsigned char)(size + i);
		memset(to, 0xee, sizeof to);
		cell.word[(size + 7) / 8] = 0x1122334455667788;
		seqlock_write(&cell.lock, cell.word, from, size);
		CHECK(seqlock_try_read(&cell.lock, cell.word, to, size));
		CHECK(!memcmp(from, to, size));
		CHECK_EQ(to[size], 0xee);
		CHECK(cell.word[(size + 7) / 8] == 0x1122334455667788);
	}
}

TEST(before_the_first_write_all_is_zero)
{
	struct {
		int a, b, c;
	} to = {1, 2, 3};
	CHECK_EQ(SEQLOCK_WORDS(to), 2);
	CHECK(seqlock_try_read(&cell.lock, cell.word, &to, sizeof to));
	CHECK(!to.a && !to.b && !to.c);
}

TEST(words_hold_a_type)
{
	CHECK_EQ(SEQLOCK_WORDS(char), 1);
	CHECK_EQ(SEQLOCK_WORDS(uint64_t), 1);
	CHECK_EQ(SEQLOCK_WORDS(char[9]), 2);
	CHECK_EQ(SEQLOCK_WORDS(char[16]), 2);
}

TEST(in_the_middle_of_a_write_there_is_nothing_to_read)
{
	uint64_t to, from = 5;
	seqlock_write(&cell.lock, cell.word, &from, sizeof from);
	cell.lock.xnumber++;
	cell.word[0] = 6;
	CHECK(!seqlock_try_read(&cell.lock, cell.word, &to, sizeof to));
	cell.lock.xnumber++;
	CHECK(seqlock_try_read(&cell.lock, cell.word, &to, sizeof to));
	CHECK_EQ(to, 6);
}

static _Atomic bool waits;

static void *write_late(void *arg)
{
	uint64_t from = 8;
	(void)arg;
	while (!load_acq(&waits))
		sched_yield();
	for (int i = 0; i < 1000; i++)
		sched_yield();
	cell.lock.xnumber--; /* as if the write that stands in the middle were this one */
	seqlock_write(&cell.lock, cell.word, &from, sizeof from);
	return NULL;
}

TEST(a_reader_waits_for_a_writer_that_stands_in_the_middle)
{
	pthread_t writer;
	uint64_t to;
	cell.lock.xnumber = 7;
	CHECK(!pthread_create(&writer, NULL, write_late, NULL));
	store_rel(&waits, true);
	do {
		to = 1;
		seqlock_read(&cell.lock, cell.word, &to, sizeof to);
		CHECK(to == 8 || to == 0); /* where the number has been taken back for a moment, it is what was there before */
	} while (to == 0);
	CHECK(!pthread_join(writer, NULL));
}
