#include "alloc/os.h"
#include "lockfree/atomic.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* LeakSanitizer reads every mapping that says it is readable, and would fault on a guard region. */
#if defined(__SANITIZE_ADDRESS__)
#define GUARDS_MUST_SHOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARDS_MUST_SHOW 1
#endif
#endif
#ifndef GUARDS_MUST_SHOW
#define GUARDS_MUST_SHOW 0
#endif

static struct {
	_Atomic int countdown, err;
} planned[OS_CALLS];

static cpu_set_t allowed;

void os_fail_at(enum os_call call, int nth, int err)
{
	store_rlx(&planned[call].err, err);
	store_rlx(&planned[call].countdown, nth);
}

static int planned_failure(enum os_call call)
{
	if (load_rlx(&planned[call].countdown) <= 0)
		return 0;
	return sub_rlx(&planned[call].countdown, 1) == 1 ? load_rlx(&planned[call].err) : 0;
}

void *os_reserve(size_t bytes)
{
	if (planned_failure(OS_RESERVE))
		return NULL;
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return base == MAP_FAILED ? NULL : base;
}

void os_release(void *base, size_t bytes)
{
	munmap(base, bytes);
}

static _Atomic(const char *) guard_way = "none";

static int guard(void *base, size_t bytes)
{
	if (!GUARDS_MUST_SHOW && madvise(base, bytes, MADV_GUARD_INSTALL) == 0) {
		store_rlx(&guard_way, "guard regions");
		return 0;
	}
	if (mprotect(base, bytes, PROT_NONE))
		return -errno;
	store_rlx(&guard_way, "mprotect");
	return 0;
}

int os_guard(void *base, size_t bytes)
{
	int err = planned_failure(OS_GUARD);
	return err ? -err : guard(base, bytes);
}

enum { RANGES_MOST = 64 };

static _Atomic bool many_refused;

/* process_madvise(2) on the process itself. How many of the ranges, from the first, were done. */
static int advise_many(char *base, size_t bytes, size_t stride, int n, int advice)
{
	struct iovec range[RANGES_MOST];
	if (load_rlx(&many_refused) || n > RANGES_MOST)
		return 0;
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0); /* not kept: after a fork it would be the parent */
	if (self < 0)
		return 0;
	for (int i = 0; i < n; i++)
		range[i] = (struct iovec){base + (size_t)i * stride, bytes};
	int err = planned_failure(OS_MANY);
	long done = err ? -1 : syscall(SYS_process_madvise, self, range, n, advice, 0);
	if (done < 0 && !err)
		err = errno;
	if (err == EINVAL || err == ENOSYS || err == EPERM)
		store_rlx(&many_refused, true);
	close(self);
	return done < 0 ? 0 : (int)((size_t)done / bytes);
}

int os_guard_many(void *base, size_t bytes, size_t stride, int n)
{
	char *low = base;
	int err = 0, done = 0;
	for (int i = 0; i < n && !err; i++)
		if ((err = planned_failure(OS_GUARD)))
			n = i;
	if (n > 1 && !GUARDS_MUST_SHOW && (done = advise_many(low, bytes, stride, n, MADV_GUARD_INSTALL)))
		store_rlx(&guard_way, "guard regions");
	for (; done < n; done++)
		if ((err = -guard(low + (size_t)done * stride, bytes)))
			break;
	return done ? done : -err;
}

void os_populate_many(void *base, size_t bytes, size_t stride, int n)
{
	advise_many(base, bytes, stride, n, MADV_POPULATE_WRITE);
}

const char *os_guard_way(void)
{
	return load_rlx(&guard_way);
}

int os_discard(void *base, size_t bytes)
{
	int err = planned_failure(OS_DISCARD);
	if (err)
		return -err;
	return madvise(base, bytes, MADV_DONTNEED) ? -errno : 0;
}

int os_affinity(int *cpus, int max)
{
	if (sched_getaffinity(0, sizeof allowed, &allowed))
		return -errno;
	int n = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			cpus[n++] = cpu;
	return n;
}

int os_pin(int cpu)
{
	int err = planned_failure(OS_PIN);
	if (err)
		return -err;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	return sched_setaffinity(0, sizeof one, &one) ? -errno : 0;
}

int os_unpin(void)
{
	return sched_setaffinity(0, sizeof allowed, &allowed) ? -errno : 0;
}

void os_exact_timers(void)
{
	prctl(PR_SET_TIMERSLACK, 1UL);
}

int os_tid(void)
{
	return (int)syscall(SYS_gettid);
}

int os_membarrier_init(void)
{
	int err = planned_failure(OS_MEMBARRIER);
	if (err)
		return -err;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) ? -errno : 0;
}

void os_membarrier(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* sched_setattr(2); glibc 2.36 has neither. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

enum { SHORT_SLICE = 100000, LONG_SLICE = 100000000, NICE_LOWERED = 10 };

void os_short_slice(void)
{
	struct attributes a = {.size = sizeof a};
	if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) || a.policy != SCHED_OTHER)
		return;
	a.size = sizeof a;
	a.flags = 0;
	a.runtime = SHORT_SLICE;
	syscall(SYS_sched_setattr, 0, &a, 0);
}

void os_lower(int tid)
{
	struct attributes a = {.size = sizeof a, .policy = SCHED_BATCH, .nice = NICE_LOWERED, .runtime = LONG_SLICE};
	struct attributes now = {.size = sizeof now};
	if (!syscall(SYS_sched_getattr, tid, &now, sizeof now, 0) && now.nice > a.nice)
		a.nice = now.nice;
	syscall(SYS_sched_setattr, tid, &a, 0);
	sched_setaffinity(tid, sizeof allowed, &allowed);
}

static long long read_number(const char *path, int field)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return -1;
	char word[64];
	long long value = -1;
	for (int i = 0; i <= field && fscanf(f, "%63s", word) == 1; i++)
		if (i == field)
			value = strcmp(word, "max") ? atoll(word) : -1;
	fclose(f);
	return value;
}

/* Only the controller's root is looked at, which inside a container is the container's own group. */
int os_cpu_quota(void)
{
	long long quota = read_number("/sys/fs/cgroup/cpu.max", 0);
	long long period = read_number("/sys/fs/cgroup/cpu.max", 1);
	if (quota <= 0) {
		quota = read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", 0);
		period = read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us", 0);
	}
	return quota > 0 && period > 0 ? (int)(quota * 1000 / period) : 0;
}

void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	struct timespec t = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? NULL : &t, NULL, 0);
}

void os_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

int os_threads(void)
{
	return (int)read_number("/proc/self/stat", 19);
}
