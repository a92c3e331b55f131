#include "lockfree/spin.h"
#include "tests/test.h"

#include <pthread.h>

enum { THREADS = 4 };

static struct spin lock;
static struct {
	int64_t a, b; /* plain: the lock is all that orders them */
} guarded;
static int64_t each;

static void *add(void *arg)
{
	for (int64_t i = 0; i < each; i++) {
		if (arg && i % 3 == 0) {
			while (!spin_try_lock(&lock))
				cpu_relax();
		} else {
			spin_lock(&lock);
		}
		CHECK_EQ(guarded.a, guarded.b);
		guarded.a++;
		guarded.b++;
		spin_unlock(&lock);
	}
	return NULL;
}

TEST(the_lock_excludes)
{
	pthread_t thread[THREADS];
	each = test_rounds(200000);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, add, (void *)(i % 2)));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(guarded.a, THREADS * each);
}

TEST(a_held_lock_is_not_to_be_had)
{
	CHECK(spin_try_lock(&lock));
	CHECK(!spin_try_lock(&lock));
	spin_unlock(&lock);
	CHECK(spin_try_lock(&lock));
	spin_unlock(&lock);
	spin_lock(&lock);
	CHECK(!spin_try_lock(&lock));
	spin_unlock(&lock);
}
