/* The test harness: one process per test.
 *
 * A program in tests/ is a list of TEST(name) bodies. Its main, in test.c, forks a child for each one,
 * because weft_main runs once per process and because a failing check must be able to end the test
 * from any goroutine, thread or stack. Results are printed as TAP; `--list` prints the names.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *);

#define TEST(name_)                                                                                \
	static void test_##name_(void);                                                            \
	static struct test entry_##name_ = {#name_, test_##name_, NULL};                           \
	__attribute__((constructor)) static void register_##name_(void)                            \
	{                                                                                          \
		test_register(&entry_##name_);                                                     \
	}                                                                                          \
	static void test_##name_(void)

/* Ends the test with a line that names the place. Callable from any thread or goroutine. */
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the test as skipped: the platform lacks what it needs. Never counted as passed. */
_Noreturn void test_skip(const char *why);

#define CHECK(e) ((e) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #e))
#define CHECK_EQ(got, want)                                                                        \
	do {                                                                                       \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                            \
		if (got_ != want_)                                                                 \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got,                \
				  (long long)got_, (long long)want_);                              \
	} while (0)
#define CHECK_STR(got, want) test_check_str(__FILE__, __LINE__, #got, got, want)
void test_check_str(const char *file, int line, const char *expr, const char *got, const char *want);

/* How a child process ended: its exit status (128 + signal when it was killed) and the first
 * bytes of what it wrote. */
struct test_child {
	int status;
	char out[16384];
	char err[65536];
};

/* Runs fn in a child process, and waits for its end. */
void test_in_child(struct test_child *, void (*fn)(void));

/* Runs a program with its arguments (argv[0] is its path, NULL ends them), and waits for its end. */
void test_program(struct test_child *, const char *const argv[]);

/* fn must end its process with status 2 and say `words` on stderr. */
void test_dies(void (*fn)(void), const char *words);

/* How many rounds a stress test runs: `normal`, fewer under a sanitizer, more when WEFTTEST_SOAK
 * (a factor) is set; the time after which a test is ended grows with it. */
int64_t test_rounds(int64_t normal);

/* True in the flavours whose every access costs ten times as much. */
bool test_is_slow(void);

#endif
