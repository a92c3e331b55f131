/* The calls of alloc/os.c about CPUs, NUMA nodes and quotas, and stacks on their nodes. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "tests/test.h"

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- quota ---- */

static char root[] = "/tmp/weft-os-XXXXXX";

static void remove_root(void)
{
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", root);
	if (system(command))
		perror(command);
}

/* Runs fn, with an empty root, in a process of its own. */
static void with_root(void (*fn)(void))
{
	static struct test_child child;
	CHECK(mkdtemp(root));
	os_cpu_quota_root(root);
	test_in_child(&child, fn);
	remove_root();
	if (child.status)
		test_fail(__FILE__, __LINE__, "status %d: %s", child.status, child.err);
}

/* Writes a file below the root, with the directories on its way. */
static void put(const char *path, const char *text)
{
	char whole[512];
	snprintf(whole, sizeof whole, "%s%s", root, path);
	for (char *slash = whole + strlen(root); (slash = strchr(slash + 1, '/'));) {
		*slash = 0;
		mkdir(whole, 0700);
		*slash = '/';
	}
	FILE *f = fopen(whole, "w");
	CHECK(f && fputs(text, f) >= 0);
	fclose(f);
}

TEST(the_quota_of_this_process_is_read)
{
	CHECK(os_cpu_quota() >= 0);
}

static void nested_groups(void)
{
	CHECK_EQ(os_cpu_quota(), 0); /* nothing there */
	put("/proc/self/cgroup", "0::/a/b\n");
	CHECK_EQ(os_cpu_quota(), 0);
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	CHECK_EQ(os_cpu_quota(), 0);
	put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
	CHECK_EQ(os_cpu_quota(), 1500);
	put("/sys/fs/cgroup/a/b/cpu.max", "200000 50000\n");
	CHECK_EQ(os_cpu_quota(), 1500);
	put("/sys/fs/cgroup/a/b/cpu.max", "25000 50000\n");
	CHECK_EQ(os_cpu_quota(), 500);
	put("/sys/fs/cgroup/cpu.max", "1 1000000\n"); /* the root, as a container sees its own group */
	CHECK_EQ(os_cpu_quota(), 1);
	put("/proc/self/cgroup", "0::/elsewhere\n"); /* moved */
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	CHECK_EQ(os_cpu_quota(), 0);
}

TEST(the_quota_of_a_group_and_those_above_it_is_the_least)
{
	with_root(nested_groups);
}

static void groups_of_v1(void)
{
	put("/proc/self/cgroup", "3:cpuset:/x\n2:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(os_cpu_quota(), 0);
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n");
	CHECK_EQ(os_cpu_quota(), 2500);
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(os_cpu_quota(), 2000);
	put("/proc/self/cgroup", "3:cpuset:/a\n"); /* another controller's group has no say */
	CHECK_EQ(os_cpu_quota(), 0);
	put("/proc/self/cgroup", "nonsense\n:\n0:\n");
	CHECK_EQ(os_cpu_quota(), 0);
}

TEST(the_quota_of_cgroup_v1_is_read)
{
	with_root(groups_of_v1);
}

static void long_paths(void)
{
	static char line[9000];
	memset(line, 'x', sizeof line - 1);
	memcpy(line, "0::/", 4);
	put("/proc/self/cgroup", line);
	CHECK_EQ(os_cpu_quota(), 0);
}

TEST(paths_that_are_too_long_are_left_out)
{
	with_root(long_paths);
}

/* ---- affinity ---- */

static int cpus[1024], other[1024];

static void *pin_and_wait(void *go)
{
	(void)go;
	CHECK_EQ(os_pin(cpus[0]), 0);
	return NULL;
}

TEST(a_threads_mask_is_its_own)
{
	int n = os_affinity(cpus, 1024);
	CHECK(n >= 1);
	CHECK_EQ(os_affinity_of(os_thread(), other, 1024), n);
	CHECK(!memcmp(cpus, other, (size_t)n * sizeof cpus[0]));
	CHECK(os_affinity_of(1 << 30, other, 1024) < 0);
	CHECK_EQ(os_affinity(other, 1), 1); /* as many as there is room for */
	pthread_t thread;
	CHECK(!pthread_create(&thread, NULL, pin_and_wait, NULL) && !pthread_join(thread, NULL));
	CHECK_EQ(os_affinity_of(0, other, 1024), n); /* it was another one */
	CHECK_EQ(os_pin(cpus[n - 1]), 0);
	CHECK_EQ(os_affinity_of(0, other, 1024), 1);
	CHECK_EQ(os_pin_thread(getpid(), cpus[0]), 0);
	CHECK_EQ(os_affinity_of(0, other, 1024), 1);
	CHECK_EQ(other[0], cpus[0]);
	CHECK_EQ(os_allow(cpus, n), 0);
	CHECK_EQ(os_affinity_of(0, other, 1024), n);
	CHECK_EQ(os_allow(cpus, 1), 0);
	CHECK_EQ(os_affinity_of(0, other, 1024), 1);
	CHECK(os_allow(cpus, 0) < 0);
	os_fail_at(OS_PIN, 1, EPERM);
	CHECK_EQ(os_pin_thread(getpid(), cpus[0]), -EPERM);
}

/* ---- NUMA nodes ---- */

/* The policy of the page at `at`: the node that it prefers, -1 for none. */
static int preferred(const void *at)
{
	unsigned long nodes[16] = {0};
	int policy = -1;
	if (syscall(SYS_get_mempolicy, &policy, nodes, 1024ul, at, (unsigned long)MPOL_F_ADDR))
		test_fail(__FILE__, __LINE__, "get_mempolicy: %s", strerror(errno));
	if (policy != MPOL_PREFERRED)
		return -1;
	for (int i = 0; i < 1024; i++)
		if (nodes[i / 64] >> i % 64 & 1)
			return i;
	return -1;
}

TEST(pages_prefer_their_node)
{
	char *pages = os_reserve(4 * OS_PAGE);
	CHECK(pages);
	CHECK_EQ(preferred(pages), -1);
	CHECK_EQ(os_prefer_node(pages, 2 * OS_PAGE, 0), 0);
	CHECK_EQ(preferred(pages + OS_PAGE), 0);
	CHECK_EQ(preferred(pages + 2 * OS_PAGE), -1);
	CHECK_EQ(os_nodes_refused(), 0);
	CHECK(os_prefer_node(pages, 2 * OS_PAGE, 1023) < 0); /* there is no such node */
	CHECK_EQ(os_prefer_node(pages, 2 * OS_PAGE, 1024), -EINVAL);
	CHECK_EQ(os_prefer_node(pages, 2 * OS_PAGE, -1), -EINVAL);
	os_fail_at(OS_NODE, 1, EPERM);
	CHECK_EQ(os_prefer_node(pages, 2 * OS_PAGE, 0), -EPERM);
	CHECK_EQ(os_nodes_refused(), 4);
	memset(pages, 1, 4 * OS_PAGE);
	os_release(pages, 4 * OS_PAGE);
}

TEST(stacks_prefer_the_node_of_their_p)
{
	struct stack_cache here = {.node = 1}, anywhere = {0};
	struct stack *a = stack_take(&here, 0), *b = stack_take(&anywhere, 0), *large = stack_take(&here, 1 << 20);
	CHECK(a && b && large);
	CHECK_EQ(preferred(a->base), 0);
	CHECK_EQ(preferred(a->top - 1), 0);
	CHECK_EQ(preferred(b->base), -1);
	CHECK_EQ(preferred(large->top - 1), 0);
	stack_give(&here, large);
	/* One that came from a node goes back to it, whoever gives it back. */
	stack_give(&anywhere, a);
	stack_flush(&anywhere);
	struct stack_cache again = {.node = 1}, others = {0};
	CHECK(stack_take(&again, 0) == a);
	for (int i = 0; i < 64; i++) {
		struct stack *s = stack_take(&others, 0);
		CHECK(s && preferred(s->base) == -1);
	}
}

TEST(a_node_that_is_refused_costs_nothing_but_the_preference)
{
	struct stack_cache c = {.node = 1};
	os_fail_at(OS_NODE, 1, ENOSYS);
	struct stack *s = stack_take(&c, 0);
	CHECK(s);
	CHECK_EQ(preferred(s->base), -1);
	s->top[-1] = 1;
	CHECK_EQ(os_nodes_refused(), 1);
	struct stack_cache far = {.node = 1 << 20}; /* more nodes than there are lists */
	CHECK(stack_take(&far, 0));
}

TEST(a_peek_reads_what_is_mapped_and_refuses_the_rest)
{
	uintptr_t word = 7, got = 0;
	char *pages = os_reserve(2 * OS_PAGE);
	CHECK(pages);
	CHECK_EQ(os_peek((uintptr_t)&word, &got), 0);
	CHECK_EQ(got, 7);
	CHECK_EQ(os_guard(pages + OS_PAGE, OS_PAGE), 0);
	CHECK_EQ(os_peek((uintptr_t)pages, &got), 0);
	CHECK_EQ(got, 0);
	CHECK_EQ(os_peek((uintptr_t)pages + OS_PAGE, &got), -EFAULT);
	CHECK_EQ(os_peek((uintptr_t)pages + OS_PAGE - 4, &got), -EFAULT);
	os_release(pages, 2 * OS_PAGE);
	CHECK_EQ(os_peek((uintptr_t)pages, &got), -EFAULT);
	CHECK_EQ(os_peek(0, &got), -EFAULT);
}

/* ---- what is reserved ---- */

struct listed {
	const char *base;
	int times;
};

static void count_listed(void *arg, uintptr_t from, uintptr_t to)
{
	struct listed *l = arg;
	if (from != (uintptr_t)l->base)
		return;
	CHECK_EQ(to - from, 2 * OS_PAGE);
	l->times++;
}

static int listed(const char *base)
{
	struct listed l = {base, 0};
	os_each_reserved(count_listed, &l);
	return l.times;
}

TEST(what_is_reserved_is_listed_until_it_is_released)
{
	enum { MANY = 300 }; /* more than one part of the table has */
	static char *base[MANY];
	for (int round = 0; round < 3; round++) {
		for (int i = round ? 1 : 0; i < MANY; i += round ? 2 : 1)
			CHECK((base[i] = os_reserve(2 * OS_PAGE)));
		for (int i = 0; i < MANY; i++)
			CHECK_EQ(listed(base[i]), 1);
		for (int i = 1; i < MANY; i += 2)
			os_release(base[i], 2 * OS_PAGE);
		for (int i = 0; i < MANY; i++)
			CHECK_EQ(listed(base[i]), i % 2 ? 0 : 1);
	}
}

static _Atomic bool over;
static _Atomic int interrupted;

static void reserve_and_release(int signo)
{
	(void)signo;
	char *base = os_reserve(2 * OS_PAGE);
	CHECK(base && listed(base) == 1);
	os_release(base, 2 * OS_PAGE);
	(void)add_rlx(&interrupted, 1);
}

static void *reserve_all_the_time(void *arg)
{
	(void)arg;
	while (!load_rlx(&over)) {
		char *base[4];
		for (int i = 0; i < 4; i++)
			base[i] = os_reserve(2 * OS_PAGE);
		for (int i = 0; i < 4; i++)
			os_release(base[i], 2 * OS_PAGE);
	}
	return NULL;
}

/* As the handler that copies a goroutine's stack does. */
TEST(a_handler_reserves_where_it_has_interrupted_who_does)
{
	enum { TIMES = 20000 };
	pthread_t thread;
	struct sigaction action = {.sa_handler = reserve_and_release};
	sigaction(SIGURG, &action, NULL);
	CHECK_EQ(pthread_create(&thread, NULL, reserve_all_the_time, NULL), 0);
	for (int i = 0; i < TIMES; i++) {
		int before = load_rlx(&interrupted);
		CHECK_EQ(pthread_kill(thread, SIGURG), 0);
		while (load_rlx(&interrupted) == before)
			sched_yield();
	}
	store_rlx(&over, true);
	pthread_join(thread, NULL);
}

/* ---- who has written ---- */

enum { MARKED = 80 };

static char *marked_pages(void)
{
	const void *end;
	char *pages = os_reserve(MARKED * OS_PAGE);
	int err = os_written(pages, pages + MARKED * OS_PAGE, OS_MARK, &end);
	if (err)
		test_skip("the system does not tell which pages have been written to");
	CHECK(end == pages + MARKED * OS_PAGE); /* nobody has marked them before */
	return pages;
}

static size_t written_up_to(char *pages, enum os_writes what)
{
	const void *end;
	CHECK_EQ(os_written(pages, pages + MARKED * OS_PAGE, what, &end), 0);
	return (size_t)((const char *)end - pages) / OS_PAGE;
}

/* Each second one: they are more ranges than are asked for at once. */
TEST(the_last_page_that_was_written_to_is_known)
{
	char *pages = marked_pages();
	for (size_t i = 0; i < MARKED; i += 2) {
		pages[i * OS_PAGE] = 1;
		CHECK_EQ(written_up_to(pages, OS_ASK), i + 1);
	}
	CHECK_EQ(written_up_to(pages, OS_MARK), MARKED - 1);
	CHECK_EQ(written_up_to(pages, OS_ASK), 0);
	pages[3 * OS_PAGE] = pages[5 * OS_PAGE];
	CHECK_EQ(written_up_to(pages, OS_ASK), 4);
	os_release(pages, MARKED * OS_PAGE);
}

TEST(what_the_kernel_writes_is_written_and_so_is_what_was_discarded)
{
	char *pages = marked_pages();
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EQ(read(ends[0], pages + 7 * OS_PAGE, 1), 1);
	CHECK_EQ(written_up_to(pages, OS_MARK), 8);
	CHECK_EQ(os_discard(pages + 9 * OS_PAGE, OS_PAGE), 0);
	CHECK_EQ(written_up_to(pages, OS_ASK), 10);
	close(ends[0]);
	close(ends[1]);
	os_release(pages, MARKED * OS_PAGE);
}

TEST(of_what_was_not_reserved_it_is_not_known_who_has_written)
{
	const void *end;
	os_release(marked_pages(), MARKED * OS_PAGE);
	char *pages = os_map(OS_PAGE);
	CHECK_EQ(os_written(pages, pages + OS_PAGE, OS_MARK, &end), -EPERM);
	os_fail_at(OS_WRITTEN, 1, ENOMEM);
	CHECK_EQ(os_written(pages, pages + OS_PAGE, OS_ASK, &end), -ENOMEM);
	os_unmap(pages, OS_PAGE);
}
