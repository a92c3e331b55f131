#include "alloc/os.h"
#include "lockfree/atomic.h"
#include "lockfree/sanitize.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* What is reserved: a table in parts, each twice as large as the one before, that are added and stay. It has no lock: a signal's handler reserves, and
 * it may have interrupted who does; and while the world stands somebody may stand right here. What finds no room goes unlisted. */
enum { FIRST_PART = 64, PARTS = 24 };

static struct range {
	_Atomic uintptr_t from; /* 0: free; TAKEN: about to be written */
	_Atomic uintptr_t to;	/* whoever has taken it writes */
} few[FIRST_PART];

enum { TAKEN = 1 };

static struct {
	_Atomic(struct range *) part[PARTS];
	_Atomic size_t near; /* where to look first: behind what was listed, or at what was unlisted */
} reserved = {.part = {few}};

static void *map(size_t bytes, int protection)
{
	void *base = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return base == MAP_FAILED ? NULL : base;
}

void *os_map(size_t bytes)
{
	return planned_failure(OS_RESERVE) ? NULL : map(bytes, PROT_READ | PROT_WRITE);
}

void os_unmap(void *base, size_t bytes)
{
	munmap(base, bytes);
}

static size_t size_of(unsigned part)
{
	return (size_t)FIRST_PART << part;
}

/* The nth of all; NULL: its part is not there. */
static struct range *nth(size_t n)
{
	unsigned part = 63 - (unsigned)__builtin_clzll(n / FIRST_PART + 1);
	struct range *first = part < PARTS ? load_acq(&reserved.part[part]) : NULL;
	return first ? &first[n - (size_of(part) - FIRST_PART)] : NULL;
}

static bool add_part(unsigned part)
{
	struct range *none = NULL, *first = map(size_of(part) * sizeof *first, PROT_READ | PROT_WRITE);
	if (first && !cas_rel(&reserved.part[part], &none, first))
		munmap(first, size_of(part) * sizeof *first);
	return first;
}

/* How many there are; how many parts that is. */
static size_t places(unsigned *parts)
{
	for (*parts = 0; *parts < PARTS && load_acq(&reserved.part[*parts]); ++*parts)
		;
	return size_of(*parts) - FIRST_PART;
}

static bool take(struct range *r)
{
	uintptr_t none = 0;
	return load_rlx(&r->from) == 0 && cas_acq(&r->from, &none, TAKEN);
}

/* One in [from, to) is the caller's; NULL: none is free. */
static struct range *take_between(size_t from, size_t to)
{
	for (; from < to; from++) {
		struct range *r = nth(from);
		if (take(r)) {
			store_rlx(&reserved.near, from + 1);
			return r;
		}
	}
	return NULL;
}

static struct range *take_place(void)
{
	for (;;) {
		unsigned parts;
		size_t n = places(&parts), near = load_rlx(&reserved.near);
		near = near < n ? near : n;
		struct range *r = take_between(near, n);
		if (!r)
			r = take_between(0, near);
		if (r || parts == PARTS || !add_part(parts))
			return r;
	}
}

static void list(void *base, size_t bytes)
{
	struct range *r = take_place();
	if (!r)
		return;
	store_rel(&r->to, (uintptr_t)base + bytes);
	store_rel(&r->from, (uintptr_t)base);
}

static bool unlist_at(size_t at, const void *base)
{
	struct range *r = nth(at);
	if (load_rlx(&r->from) != (uintptr_t)base)
		return false;
	store_rlx(&reserved.near, at);
	store_rel(&r->from, 0);
	return true;
}

/* Only who releases it looks for it. The youngest goes first, mostly, or the neighbour of the one before. */
static void unlist(const void *base)
{
	unsigned parts;
	size_t n = places(&parts), near = load_rlx(&reserved.near);
	near = near < n ? near : n;
	for (size_t i = 0; i < n; i++)
		if ((i < near && unlist_at(near - 1 - i, base)) || (near + i < n && unlist_at(near + i, base)))
			return;
}

/* Its end is of the same range if it has the same beginning before and after. */
void os_each_reserved(void (*see)(void *arg, uintptr_t from, uintptr_t to), void *arg)
{
	unsigned parts;
	size_t n = places(&parts);
	for (size_t i = 0; i < n; i++) {
		struct range *r = nth(i);
		uintptr_t from = load_acq(&r->from), to = load_acq(&r->to);
		if (from > TAKEN && load_rlx(&r->from) == from)
			see(arg, from, to);
	}
}

static void *reserve(size_t bytes, int protection)
{
	if (planned_failure(OS_RESERVE))
		return NULL;
	void *base = map(bytes, protection);
	if (base)
		list(base, bytes);
	return base;
}

void *os_reserve(size_t bytes)
{
	return reserve(bytes, PROT_READ | PROT_WRITE);
}

void *os_reserve_closed(size_t bytes, enum os_closed how)
{
	return reserve(bytes, how == OS_READS ? PROT_READ : PROT_NONE);
}

int os_open(void *base, size_t bytes)
{
	int err = planned_failure(OS_OPEN);
	if (err)
		return -err;
	return mprotect(base, bytes, PROT_READ | PROT_WRITE) ? -errno : 0;
}

void os_small_pages(void *base, size_t bytes)
{
	madvise(base, bytes, MADV_NOHUGEPAGE);
}

/* Off the list first: the address may be somebody else's right afterwards. */
void os_release(void *base, size_t bytes)
{
	unlist(base);
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

/* ---- who has written ---- */

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

enum { WRITES_UNNOTICED = 1 << 15 }; /* UFFD_FEATURE_WP_ASYNC: nobody is told of a write, the page is marked no more */

struct pages_found {
	uint64_t from, to, what;
};

/* struct pm_scan_arg, which the system's headers may be too old for, as for what is below. */
struct pages_query {
	uint64_t size, flags, from, to, walked_to, found, room, most, inverted, all_of, any_of, say;
};

enum { QUERY_MARKS = 1, QUERY_MUST_KNOW = 2, PAGE_WRITTEN = 2, FOUND_AT_ONCE = 16 };

#define QUERY_PAGES _IOWR('f', 16, struct pages_query)

static struct {
	pthread_once_t once;
	int faults, pages; /* descriptors; negative: the system does not tell */
} writes = {.once = PTHREAD_ONCE_INIT};

static void open_writes(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = WRITES_UNNOTICED};
	writes.pages = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	writes.faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (writes.faults < 0 || ioctl(writes.faults, UFFDIO_API, &api) == 0)
		return;
	close(writes.faults);
	writes.faults = -1;
}

struct around {
	uintptr_t at, from, to;
};

static void find_around(void *arg, uintptr_t from, uintptr_t to)
{
	struct around *a = arg;
	if (a->at - from < to - from) {
		a->from = from;
		a->to = to;
	}
}

/* All that was reserved with it, at once: each part would be a mapping by itself, and of those there may be 65,530. */
static bool has_writes_noticed(const void *at)
{
	struct around a = {.at = (uintptr_t)at};
	os_each_reserved(find_around, &a);
	struct uffdio_register r = {.range = {a.from, a.to - a.from}, .mode = UFFDIO_REGISTER_MODE_WP};
	return a.to && ioctl(writes.faults, UFFDIO_REGISTER, &r) == 0;
}

/* A goroutine goes from thread to thread, and ThreadSanitizer takes errno for what another left there. */
static NO_TSAN int last_error(void)
{
	return errno;
}

static int find_written(const void *from, const void *to, enum os_writes what, const void **end)
{
	struct pages_found found[FOUND_AT_ONCE];
	struct pages_query q = {.size = sizeof q, .flags = QUERY_MUST_KNOW | (what == OS_MARK ? QUERY_MARKS : 0), .from = (uintptr_t)from, .to = (uintptr_t)to,
				.found = (uintptr_t)found, .room = FOUND_AT_ONCE, .all_of = PAGE_WRITTEN, .say = PAGE_WRITTEN};
	for (*end = from; q.from < q.to; q.from = q.walked_to) {
		int n = ioctl(writes.pages, QUERY_PAGES, &q);
		if (n < 0)
			return -last_error();
		if (n > 0)
			*end = (const void *)(uintptr_t)found[n - 1].to;
	}
	return 0;
}

int os_written(const void *from, const void *to, enum os_writes what, const void **end)
{
	int err = planned_failure(OS_WRITTEN);
	if (err)
		return -err;
	pthread_once(&writes.once, open_writes);
	if (writes.faults < 0 || writes.pages < 0)
		return -ENOSYS;
	err = find_written(from, to, what, end);
	if (err != -EPERM || !has_writes_noticed(from))
		return err;
	const void *before = *end; /* those are marked already, and not found once more */
	err = find_written(from, to, what, end);
	*end = before > *end ? before : *end;
	return err;
}

int os_discard(void *base, size_t bytes)
{
	int err = planned_failure(OS_DISCARD);
	if (err)
		return -err;
	return madvise(base, bytes, MADV_DONTNEED) ? -errno : 0;
}

static _Atomic long nodes_refused;

int os_prefer_node(void *base, size_t bytes, int node)
{
	enum { WORD = 8 * sizeof(unsigned long), NODES = 1024 };
	unsigned long mask[NODES / WORD] = {0};
	int err = planned_failure(OS_NODE);
	if (!err && (node < 0 || node >= NODES))
		err = EINVAL;
	if (!err) {
		mask[(unsigned)node / WORD] = 1ul << (unsigned)node % WORD;
		/* The kernel takes one bit less than it is told of. */
		if (syscall(SYS_mbind, base, bytes, MPOL_PREFERRED, mask, (unsigned long)NODES + 1, 0))
			err = errno;
	}
	if (err)
		add_rlx(&nodes_refused, 1);
	return -err;
}

long os_nodes_refused(void)
{
	return load_rlx(&nodes_refused);
}

static int list_cpus(const cpu_set_t *set, int *cpus, int max)
{
	int n = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++)
		if (CPU_ISSET(cpu, set))
			cpus[n++] = cpu;
	return n;
}

int os_affinity(int *cpus, int max)
{
	if (sched_getaffinity(0, sizeof allowed, &allowed))
		return -errno;
	return list_cpus(&allowed, cpus, max);
}

int os_affinity_of(int thread, int *cpus, int max)
{
	cpu_set_t set;
	if (sched_getaffinity(thread, sizeof set, &set))
		return -errno;
	return list_cpus(&set, cpus, max);
}

int os_allow(const int *cpus, int n)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int i = 0; i < n; i++)
		CPU_SET((size_t)cpus[i], &set);
	return sched_setaffinity(0, sizeof set, &set) ? -errno : 0;
}

int os_pin_thread(int thread, int cpu)
{
	int err = planned_failure(OS_PIN);
	if (err)
		return -err;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	return sched_setaffinity(thread, sizeof one, &one) ? -errno : 0;
}

int os_pin(int cpu)
{
	return os_pin_thread(os_thread(), cpu);
}

void os_signal(int tid, int signo)
{
	syscall(SYS_tgkill, getpid(), tid, signo);
}

int os_thread(void)
{
	return (int)syscall(SYS_gettid);
}

void os_exact_timers(void)
{
	prctl(PR_SET_TIMERSLACK, 1UL);
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

void os_go_before_equals(void)
{
	struct sched_param priority;
	int policy = sched_getscheduler(0);
	if ((policy != SCHED_FIFO && policy != SCHED_RR) || sched_getparam(0, &priority))
		return;
	if (priority.sched_priority < sched_get_priority_max(policy))
		priority.sched_priority++;
	sched_setscheduler(0, policy, &priority);
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

static const char *quota_root = "";

void os_cpu_quota_root(const char *directory)
{
	quota_root = directory;
}

/* A number of a file of a group; -1: there is none. */
static long long number_in(const char *group, const char *file, int field)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", group, file);
	return n < (int)sizeof path ? read_number(path, field) : -1;
}

/* The quota of one group in thousandths of a core; 0: none. */
static long long quota_of(const char *group)
{
	long long quota = number_in(group, "cpu.max", 0), period = number_in(group, "cpu.max", 1);
	if (quota <= 0) {
		quota = number_in(group, "cpu.cfs_quota_us", 0);
		period = number_in(group, "cpu.cfs_period_us", 0);
	}
	if (quota <= 0 || period <= 0)
		return 0;
	long long least = quota * 1000 / period;
	return least ? least : 1;
}

/* The least of a group's and of those above it. Inside a container the path may be one that only the outside knows: its
 * own group is the root there, which comes last. */
static long long quota_along(const char *mount, char *path)
{
	long long least = 0;
	for (;;) {
		char group[PATH_MAX];
		int n = snprintf(group, sizeof group, "%s/sys/fs/cgroup%s%s", quota_root, mount, path);
		long long quota = n < (int)sizeof group ? quota_of(group) : 0;
		if (quota && (!least || quota < least))
			least = quota;
		char *slash = strrchr(path, '/');
		if (!slash)
			return least;
		*slash = 0;
	}
}

/* Does a line of /proc/self/cgroup, number:controllers:path, speak of the cpu controller? The path, or NULL. */
static char *path_of_cpu_group(char *line)
{
	line[strcspn(line, "\n")] = 0;
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return NULL;
	*controllers++ = 0;
	*path++ = 0;
	bool has_cpu = !*controllers && !strcmp(line, "0"); /* cgroup v2 */
	for (char *word; (word = strsep(&controllers, ","));)
		has_cpu |= !strcmp(word, "cpu");
	return has_cpu ? path : NULL;
}

/* Nothing is kept open: the process may be moved to another group. It costs some 30 µs. */
int os_cpu_quota(void)
{
	static const char *const mounts[] = {"", "/cpu", "/cpu,cpuacct"};
	char line[PATH_MAX], path[PATH_MAX];
	long long least = 0;
	snprintf(path, sizeof path, "%s/proc/self/cgroup", quota_root);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		char *group = path_of_cpu_group(line);
		for (size_t i = 0; group && i < sizeof mounts / sizeof *mounts; i++) {
			strcpy(path, group);
			long long quota = quota_along(mounts[i], path);
			if (quota && (!least || quota < least))
				least = quota;
		}
	}
	if (f)
		fclose(f);
	return least > INT_MAX ? INT_MAX : (int)least;
}

int os_peek(uintptr_t address, uintptr_t *word)
{
	struct iovec to = {word, sizeof *word}, from = {(void *)address, sizeof *word};
	ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	return n == (ssize_t)sizeof *word ? 0 : n < 0 ? -errno : -EFAULT;
}

long os_copy(void *to, uintptr_t from, size_t bytes)
{
	struct iovec here = {to, bytes}, there = {(void *)from, bytes};
	ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	return n < 0 ? -errno : n;
}

/* ThreadSanitizer keeps a signal until the one that it has interrupted makes a call that it knows, and a futex is none: who sleeps
 * on one would sleep on, with the handler yet to run. */
static void hear_signals(void)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	usleep(0);
#endif
#endif
}

void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	struct timespec t = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? NULL : &t, NULL, 0);
	hear_signals();
}

void os_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void os_futex_wake_all(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

int os_threads(void)
{
	return (int)read_number("/proc/self/stat", 19);
}
