/* Where the Ms of a running program are, by what the kernel says of their threads, and how they follow a mask or a
 * quota that changes. */
#include "runtime/call.h"
#include "runtime/placement.h"
#include "alloc/os.h"
#include "runtime/sched.h"
#include "tests/test.h"

#include "lockfree/assert.h"

#include <weft/weft.h>

#include <dirent.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PS_MOST = 8, PATIENCE_S = 40 };

static int cpus[1024], ncpus;

static int (*body)(void);

static int app(int argc, char **argv)
{
	(void)argc, (void)argv;
	return body();
}

/* Runs fn in a process of its own, and cleans up behind it whatever comes of it. */
static void and_then(void (*clean)(void), void (*fn)(void))
{
	static struct test_child child;
	test_in_child(&child, fn);
	clean();
	if (child.status)
		test_fail(__FILE__, __LINE__, "status %d: %s", child.status, child.err);
}

static void need_two_cpus(void)
{
	ncpus = os_affinity(cpus, 1024);
	if (ncpus < 2)
		test_skip("one CPU only");
}

/* Settings: NULL leaves the default. */
static void run(const char *procs, const char *pin, int (*fn)(void))
{
	need_two_cpus();
	setenv("WEFT_PROCS", procs ? procs : "", 1);
	setenv("WEFT_PIN", pin ? pin : "", 1);
	body = fn;
	CHECK_EQ(weft_main(0, NULL, app), 0);
}

/* ---- what the kernel says ---- */

static weft_chan *answers;

static void tell_thread(void *unused)
{
	(void)unused;
	int thread = os_thread();
	weft_send(answers, &thread);
}

/* What a goroutine on P i answers. */
static int ask(int i, void (*tell)(void *))
{
	int answer;
	answers = weft_chan_make(sizeof answer, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = i + 1}, tell, NULL), 0);
	weft_recv(answers, &answer);
	weft_chan_free(answers);
	return answer;
}

/* The thread that runs P i now. */
static int thread_of(int i)
{
	return ask(i, tell_thread);
}

/* Cpus_allowed_list of a thread's status file. */
static const char *mask_of(int thread)
{
	static char line[512];
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
	FILE *f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, "Cpus_allowed_list:", 18))
			break;
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	return line + 18 + strspn(line + 18, " \t");
}

/* The only CPU of the mask; -1: there are several. */
static int bound_to(int thread)
{
	const char *mask = mask_of(thread);
	return strspn(mask, "0123456789") == strlen(mask) ? atoi(mask) : -1;
}

static int on_cpu(int i)
{
	return bound_to(thread_of(i));
}

static bool all_bound(void)
{
	for (int i = 0; i < weft_procs(); i++)
		if (on_cpu(i) < 0)
			return false;
	return true;
}

static bool none_bound(void)
{
	for (int i = 0; i < weft_procs(); i++)
		if (on_cpu(i) >= 0)
			return false;
	return true;
}

/* ---- at the start ---- */

static int each_p_has_a_cpu(void)
{
	CHECK_EQ(weft_procs(), ncpus < PS_MOST ? ncpus : weft_procs());
	for (int i = 0; i < weft_procs(); i++)
		for (int j = 0; j < i; j++)
			CHECK(on_cpu(i) >= 0 && on_cpu(i) != on_cpu(j));
	CHECK_EQ(on_cpu(0), load_rlx(&sched.ps[0]->cpu));
	return 0;
}

static int nobody_is_bound(void)
{
	CHECK(none_bound());
	return 0;
}

TEST(ps_that_take_the_whole_mask_are_bound)
{
	os_cpu_quota_root("/nowhere");
	run(NULL, NULL, each_p_has_a_cpu);
}

TEST(fewer_ps_than_cpus_are_not_bound)
{
	run("1", "auto", nobody_is_bound);
}

static int one_is_bound(void)
{
	CHECK_EQ(weft_procs(), 1);
	CHECK(all_bound());
	return 0;
}

TEST(fewer_ps_than_cpus_are_bound_if_wanted)
{
	run("1", "on", one_is_bound);
}

TEST(nobody_is_bound_if_not_wanted)
{
	os_cpu_quota_root("/nowhere");
	run(NULL, "off", nobody_is_bound);
}

static int cpus_are_shared_evenly(void)
{
	int most = 0, least = PS_MOST;
	CHECK_EQ(weft_procs(), 2 * ncpus + 1);
	CHECK(all_bound());
	for (int c = 0; c < ncpus; c++) {
		int n = 0;
		for (int i = 0; i < weft_procs(); i++)
			n += on_cpu(i) == cpus[c];
		most = n > most ? n : most;
		least = n < least ? n : least;
	}
	CHECK_EQ(most, 3);
	CHECK_EQ(least, 2);
	return 0;
}

/* Narrows this process's own mask, so that any machine has two CPUs. */
static void use_two_cpus(void)
{
	need_two_cpus();
	CHECK_EQ(os_allow(cpus, 2), 0);
}

TEST(more_ps_than_cpus_share_them)
{
	use_two_cpus();
	run("5", "on", cpus_are_shared_evenly);
}

TEST(more_ps_than_cpus_are_not_bound)
{
	use_two_cpus();
	run("3", "auto", nobody_is_bound);
}

/* ---- the mask changes ---- */

static bool has_waited_long(int64_t since)
{
	return weft_now() - since > PATIENCE_S * WEFT_S;
}

#define AWAIT(e)                                                                                   \
	do {                                                                                       \
		for (int64_t since_ = weft_now(); !(e); weft_sleep(20 * WEFT_MS))                  \
			if (has_waited_long(since_))                                               \
				test_fail(__FILE__, __LINE__, "never: %s", #e);                    \
	} while (0)

/* As `taskset -ap` does. */
static void set_mask_of_all_threads(const int *mask, int n)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int i = 0; i < n; i++)
		CPU_SET((size_t)mask[i], &set);
	DIR *d = opendir("/proc/self/task");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			CHECK(sched_setaffinity(atoi(e->d_name), sizeof set, &set) == 0 || errno == ESRCH);
	closedir(d);
}

static unsigned active(void)
{
	return load_rlx(&sched.active);
}

static int follow_the_mask(void)
{
	CHECK_EQ(weft_procs(), 2);
	CHECK_EQ(active(), 2);
	int first = on_cpu(0), second = on_cpu(1);
	CHECK(first >= 0 && second >= 0 && first != second);
	set_mask_of_all_threads(&second, 1);
	AWAIT(active() == 1);
	AWAIT(on_cpu(0) == second && on_cpu(1) == second);
	set_mask_of_all_threads(cpus, 2);
	AWAIT(active() == 2);
	AWAIT(on_cpu(0) == first && on_cpu(1) == second); /* home again */
	return 0;
}

TEST(ms_follow_a_mask_that_is_set_for_all_threads)
{
	use_two_cpus();
	os_cpu_quota_root("/nowhere");
	run(NULL, NULL, follow_the_mask);
}

/* As `taskset -p` does. */
static void set_mask_of_first_thread(int a, int b)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)a, &set);
	CPU_SET((size_t)b, &set);
	CHECK_EQ(sched_setaffinity(getpid(), sizeof set, &set), 0);
}

static int follow_the_first_thread(void)
{
	int first = on_cpu(0), second = on_cpu(1);
	set_mask_of_first_thread(second, second);
	AWAIT(active() == 1);
	AWAIT(on_cpu(0) == second && on_cpu(1) == second);
	set_mask_of_first_thread(first, second);
	AWAIT(active() == 2);
	AWAIT(on_cpu(0) == first && on_cpu(1) == second);
	return 0;
}

TEST(a_mask_that_is_set_for_the_first_thread_is_meant_for_all)
{
	use_two_cpus();
	os_cpu_quota_root("/nowhere");
	run(NULL, NULL, follow_the_first_thread);
}

static int keep_all_ps(void)
{
	int one = cpus[1];
	set_mask_of_all_threads(&one, 1);
	AWAIT(on_cpu(0) == one && on_cpu(1) == one && on_cpu(2) == one);
	CHECK_EQ(active(), 3);
	return 0;
}

TEST(a_number_of_ps_that_was_asked_for_is_kept)
{
	use_two_cpus();
	run("3", "on", keep_all_ps);
}

static int stay_unbound(void)
{
	int one = cpus[0];
	set_mask_of_all_threads(&one, 1);
	AWAIT(active() == 1);
	set_mask_of_all_threads(cpus, 2);
	AWAIT(active() == 2);
	CHECK(none_bound());
	return 0;
}

TEST(who_is_not_bound_is_not_bound_by_a_change)
{
	use_two_cpus();
	os_cpu_quota_root("/nowhere");
	run(NULL, "off", stay_unbound);
}

static int lose_a_binding(void)
{
	int one = cpus[0];
	set_mask_of_all_threads(&one, 1);
	AWAIT(active() == 1 && on_cpu(0) == one && on_cpu(1) == one);
	weft_sleep(4 * WEFT_S); /* all is settled */
	os_fail_at(OS_PIN, 1, EINVAL); /* the CPU is gone again */
	set_mask_of_all_threads(cpus, 2);
	AWAIT(active() == 2 && on_cpu(0) != on_cpu(1) && all_bound());
	return 0;
}

TEST(a_binding_that_fails_is_tried_again)
{
	use_two_cpus();
	os_cpu_quota_root("/nowhere");
	run(NULL, NULL, lose_a_binding);
}

/* ---- the quota changes ---- */

static char root[] = "/tmp/weft-placement-XXXXXX";

static void remove_root(void)
{
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", root);
	if (system(command))
		perror(command);
}

/* In one step, as the kernel would. */
static void write_file(const char *path, const char *text)
{
	char whole[256], made[256];
	snprintf(whole, sizeof whole, "%s/%s", root, path);
	snprintf(made, sizeof made, "%s/new", root);
	FILE *f = fopen(made, "w");
	CHECK(f && fputs(text, f) >= 0);
	fclose(f);
	CHECK_EQ(rename(made, whole), 0);
}

static void set_quota(const char *text)
{
	write_file("sys/fs/cgroup/cpu.max", text);
}

static void use_quota(const char *text)
{
	static const char *const directories[] = {"proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup"};
	char path[256];
	need_two_cpus();
	CHECK(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		snprintf(path, sizeof path, "%s/%s", root, directories[i]);
		CHECK_EQ(mkdir(path, 0700), 0);
	}
	write_file("proc/self/cgroup", "0::/\n");
	set_quota(text);
	os_cpu_quota_root(root);
}

static enum spin_mode spin(void)
{
	return load_rlx(&sched.spin);
}

static int follow_the_quota(void)
{
	CHECK(active() == 2 && spin() == SPIN_AUTO);
	set_quota("150000 100000\n");
	AWAIT(active() == 2 && spin() == SPIN_OFF);
	set_quota("100000 100000\n");
	AWAIT(active() == 1 && spin() == SPIN_AUTO);
	set_quota("max 100000\n");
	AWAIT(active() == 2 && spin() == SPIN_AUTO);
	return 0;
}

static void run_follow_the_quota(void)
{
	use_two_cpus();
	run(NULL, NULL, follow_the_quota);
}

TEST(ps_and_spinning_follow_the_quota)
{
	use_quota("max 100000\n");
	and_then(remove_root, run_follow_the_quota);
}

static int one_p(void)
{
	CHECK(weft_procs() == 1 && spin() == SPIN_OFF);
	CHECK(none_bound()); /* it does not own the mask */
	set_quota("max 100000\n");
	AWAIT(spin() == SPIN_AUTO);
	CHECK_EQ(active(), 1);
	return 0;
}

static void run_one_p(void)
{
	use_two_cpus();
	run(NULL, NULL, one_p);
}

TEST(a_quota_at_the_start_limits_the_ps_for_good)
{
	use_quota("50000 100000\n");
	and_then(remove_root, run_one_p);
}

/* ---- the kernel's own groups (cgroup v1) ---- */

static char group[512];

static void remove_group(void)
{
	if (rmdir(group))
		perror(group);
}

/* Below this process's own group of the controller. */
static void make_group(const char *controller)
{
	char line[512], *at, *path = NULL;
	FILE *f = fopen("/proc/self/cgroup", "r");
	while (f && !path && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		size_t n = strlen(controller);
		if ((at = strchr(line, ':')) && !strncmp(at + 1, controller, n) && at[n + 1] == ':')
			path = at + n + 2;
	}
	if (f)
		fclose(f);
	if (!path)
		test_skip("no such group");
	if (!strcmp(path, "/"))
		path = "";
	snprintf(group, sizeof group, "/sys/fs/cgroup/%.16s%.200s/weft-test-%d", controller, path, getpid());
	if (mkdir(group, 0755))
		test_skip("no groups can be made");
}

static void set_group(const char *file, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void set_group(const char *file, const char *fmt, ...)
{
	char path[600];
	va_list ap;
	snprintf(path, sizeof path, "%s/%s", group, file);
	FILE *f = fopen(path, "w");
	va_start(ap, fmt);
	CHECK(f && vfprintf(f, fmt, ap) > 0);
	va_end(ap);
	CHECK_EQ(fclose(f), 0);
}

static int follow_a_cpuset(void)
{
	int first = on_cpu(0), second = on_cpu(1);
	CHECK(active() == 2 && first >= 0 && second >= 0 && first != second);
	for (int round = 0; round < 2; round++) {
		set_group("cpuset.cpus", "%d", second);
		AWAIT(active() == 1);
		AWAIT(on_cpu(0) == second && on_cpu(1) == second);
		weft_sleep(5 * WEFT_S / 2); /* the watcher has looked again, and found nothing to make out */
		set_group("cpuset.cpus", "%d,%d", first, second);
		AWAIT(active() == 2);
		AWAIT(on_cpu(0) == first && on_cpu(1) == second);
	}
	return 0;
}

static void run_in_a_cpuset(void)
{
	char mems[64] = "";
	FILE *f = fopen("/sys/fs/cgroup/cpuset/cpuset.effective_mems", "r");
	CHECK(f && fgets(mems, sizeof mems, f));
	fclose(f);
	set_group("cpuset.mems", "%s", mems);
	set_group("cpuset.cpus", "%d,%d", cpus[0], cpus[1]);
	set_group("cgroup.procs", "%d", getpid());
	os_cpu_quota_root("/nowhere");
	run(NULL, NULL, follow_a_cpuset);
}

TEST(ms_follow_a_cpuset)
{
	need_two_cpus();
	make_group("cpuset");
	and_then(remove_group, run_in_a_cpuset);
}

static int follow_a_group(void)
{
	CHECK(active() == 2 && spin() == SPIN_AUTO);
	set_group("cpu.cfs_quota_us", "150000");
	AWAIT(active() == 2 && spin() == SPIN_OFF);
	set_group("cpu.cfs_quota_us", "50000");
	AWAIT(active() == 1 && spin() == SPIN_OFF);
	set_group("cpu.cfs_quota_us", "-1");
	AWAIT(active() == 2 && spin() == SPIN_AUTO);
	return 0;
}

static void run_in_a_group(void)
{
	use_two_cpus();
	set_group("cgroup.procs", "%d", getpid());
	run(NULL, NULL, follow_a_group);
}

TEST(ps_follow_the_quota_of_a_group)
{
	need_two_cpus();
	if (os_cpu_quota())
		test_skip("a quota leaves no other group without one");
	make_group("cpu");
	and_then(remove_group, run_in_a_group);
}

/* ---- a P that rests ---- */

enum { BATCH = 40, WORK_NS = 200000 };
static _Atomic long ran_on[2];

static int my_p(void)
{
	bool outermost = call_begin_blocking(); /* or the P might be taken while we look at it */
	int index = (int)m_p(m_self())->index;
	call_end_blocking(outermost);
	return index;
}

static void work(void *done)
{
	for (int64_t began = weft_now(); weft_now() - began < WORK_NS;)
		cpu_relax();
	add_rlx(&ran_on[my_p()], 1);
	weft_waitgroup_done(done);
}

static void nap_at_home(void *done)
{
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(my_p(), 1);
		weft_sleep(WEFT_MS);
	}
	weft_waitgroup_done(done);
}

/* Does the second P help with what the first one has too much of? */
static bool second_p_helps(void)
{
	long before = load_rlx(&ran_on[1]);
	weft_waitgroup done = {0};
	weft_waitgroup_add(&done, BATCH);
	for (int i = 0; i < BATCH; i++)
		weft_go(work, &done);
	weft_waitgroup_wait(&done);
	return load_rlx(&ran_on[1]) != before;
}

static void rest_on_the_first(void *all_done)
{
	weft_waitgroup done = {0};
	AWAIT(second_p_helps());
	set_quota("100000 100000\n");
	AWAIT(active() == 1);
	AWAIT(!second_p_helps()); /* what it looked for already */
	for (int i = 0; i < 20; i++)
		CHECK(!second_p_helps());
	weft_waitgroup_add(&done, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, nap_at_home, &done), 0);
	weft_waitgroup_wait(&done);
	CHECK(!second_p_helps());
	set_quota("max 100000\n");
	AWAIT(active() == 2);
	AWAIT(second_p_helps());
	weft_waitgroup_done(all_done);
}

static int rest(void)
{
	weft_waitgroup done = {0};
	weft_waitgroup_add(&done, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 1}, rest_on_the_first, &done), 0);
	weft_waitgroup_wait(&done);
	return 0;
}

static void run_rest(void)
{
	use_two_cpus();
	run(NULL, NULL, rest);
}

TEST(a_p_that_rests_does_what_is_pinned_to_it_and_nothing_else)
{
	use_quota("max 100000\n");
	and_then(remove_root, run_rest);
}

/* ---- memory ---- */

static int preferred(const void *at)
{
	unsigned long nodes[16] = {0};
	int policy = -1;
	CHECK_EQ(syscall(SYS_get_mempolicy, &policy, nodes, 1024ul, at, (unsigned long)MPOL_F_ADDR), 0);
	return policy == MPOL_PREFERRED ? __builtin_ctzl(nodes[0]) : -1;
}

static void tell_node_of_stack(void *unused)
{
	int node = preferred(&unused);
	weft_send(answers, &node);
}

static int memory_is_near(void)
{
	CHECK_EQ(weft_procs(), 2);
	for (int i = 0; i < 2; i++)
		CHECK_EQ((uintptr_t)sched.ps[i] % OS_PAGE, 0);
	CHECK_EQ(preferred(sched.ps[0]), 0);
	CHECK_EQ(preferred(&sched.ps[0]->wheel), 0);
	CHECK_EQ(preferred(sched.ps[0]->victims), 0);
	CHECK_EQ(sched.ps[1]->ring_end[0], 1);
	CHECK_EQ(ask(0, tell_node_of_stack), 0);
	return 0;
}

/* The two CPUs lie on so many nodes, as hwloc is told. */
static void pretend_nodes(int n)
{
	char text[64];
	snprintf(text, sizeof text, "numa:%d core:%d pu:1(indexes=%d,%d)", n, 2 / n, cpus[0], cpus[1]);
	setenv("HWLOC_SYNTHETIC", text, 1);
}

/* Where there is one node only, the kernel refuses the other. */
TEST(a_ps_memory_is_on_its_node)
{
	use_two_cpus();
	os_cpu_quota_root("/nowhere");
	pretend_nodes(2);
	run(NULL, NULL, memory_is_near);
}

static int memory_is_anywhere(void)
{
	CHECK_EQ(preferred(sched.ps[0]), -1);
	CHECK_EQ(ask(0, tell_node_of_stack), -1);
	CHECK_EQ(os_nodes_refused(), 0);
	return 0;
}

TEST(one_node_is_not_asked_for)
{
	use_two_cpus();
	pretend_nodes(1);
	run("2", NULL, memory_is_anywhere);
}

static int nothing_is_lost(void)
{
	CHECK_EQ(os_nodes_refused(), 1);
	CHECK_EQ(preferred(sched.ps[0]), -1);
	return 0;
}

TEST(a_node_that_is_refused_is_counted)
{
	use_two_cpus();
	pretend_nodes(2);
	os_fail_at(OS_NODE, 1, EPERM);
	run("1", NULL, nothing_is_lost);
}
