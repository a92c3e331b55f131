/* A round begins when bystander_round becomes odd. The threads of the process are listed (/proc/self/task), and each that is not known to
 * stand gets the signal; again and again, until all that are listed stand, since threads start threads.
 *
 *     who stops them                       the handler
 *     slot.tid := the thread's             looks for its slot
 *     signal                               sp, frame, then xstands := round   (R1)
 *     xstands is the round? (A1)           sleeps as long as it is that round
 *
 * Who blocks the signal is waited for: a thread blocks all of them for a moment when it starts another one or a process. libc blocks its own two as
 * well, and lets no program do so; of one that has those unblocked the program itself may have blocked the rest for good (to wait for them, say), and
 * after a while it is let go on.
 *
 * Rejected: ptrace from a process made for it, as LeakSanitizer does: containers forbid it, and a debugger excludes it.
 *
 * R1 stand: store_rel(xstands)  ->  A1 stands: load_acq(xstands)   where its stack and registers are
 * R2 add: store_rel(tid)        ->  A2 slot_of: load_acq(tid)      the slot */
#include "runtime/bystander.h"
#include "alloc/os.h"
#include "runtime/attach.h"
#include "runtime/gcstack.h"
#include "runtime/sched.h"
#include "runtime/world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	MOST = 4096,
	PAUSE_NS = 20000,
	AGAIN_NS = 1000000,
	BLOCKS_NS = 20000000, /* a moment */
	IN_TIME_NS = 2000000000,
	TEXT = 4096,
};

static struct {
	_Atomic uint32_t round;	  /* odd: they are to stand */
	_Atomic uint32_t xinside; /* threads in the handler: the slots are as they were for them */
	_Atomic uint32_t n;
	struct bystander *all; /* MOST of them; only who stops them makes it */
	uint32_t pass;
	uint32_t seen[MOST];	/* the pass in which each was listed last */
	int64_t due[MOST];	/* when it is sent the signal */
	int64_t blocks_from[MOST]; /* since when it has been seen to block the signal; 0: it has not been looked at */
	bool goes_on[MOST];	/* it blocks the signal for good, or is about to end */
	char text[TEXT];
	int waits;
	bool is_known;
} bystanders;

/* ---- the handler's half ---- */

static NOT_INSTRUMENTED struct bystander *slot_of(int tid)
{
	for (uint32_t i = 0, n = load_acq(&bystanders.n); i < n; i++)
		if (load_acq(&bystanders.all[i].tid) == tid) /* A2 */
			return &bystanders.all[i];
	return NULL;
}

static NOT_INSTRUMENTED bool stand(const ucontext_t *context)
{
	uint32_t round = load_seq(&bystanders.round);
	struct bystander *b = round & 1 ? slot_of(os_thread()) : NULL;
	struct section here;
	if (!b)
		return false;
	section_of_interrupt(&here, context, (void *)UINTPTR_MAX, SIZE_MAX);
	b->sp = (uintptr_t)load_rlx(&here.sp);
	b->own = (uintptr_t)pthread_self();
	b->frame = here.frame;
	b->frame_end = here.frame_end;
	store_rel(&b->xstands, round); /* R1 */
	while (load_acq(&bystanders.round) == round)
		os_futex_wait(&bystanders.round, round, -1);
	return true;
}

NOT_INSTRUMENTED bool bystander_waits(const ucontext_t *context)
{
	(void)add_seq(&bystanders.xinside, 1);
	bool stood = stand(context);
	(void)sub_seq(&bystanders.xinside, 1);
	return stood;
}

/* ---- who is one ---- */

struct known {
	int tid;
	struct m *m;
};

static void look_for_m(void *object, void *arg)
{
	struct m *m = object;
	struct known *k = arg;
	if (load_acq(&m->tid) == k->tid)
		k->m = m;
}

static void look_for_attached(void *object, void *arg)
{
	struct attached *a = object;
	const struct known *k = arg;
	bystanders.is_known |= load_acq(&a->tid) == k->tid;
}

/* Stopped with the world, or with nothing to run; *m: an M whose goroutine is in a blocking section, or comes back from one. */
static bool stands_already(int tid, struct m **m)
{
	struct known k = {.tid = tid};
	bystanders.is_known = tid == os_thread() || tid == bystanders.waits;
	if (!sim_on)
		m_each(look_for_m, &k);
	attached_each(look_for_attached, &k);
	*m = k.m;
	return bystanders.is_known || (k.m && (!m_g(k.m) || world_holds(&k.m->section)));
}

/* The line of /proc/self/task/TID/status that begins like this; NULL: there is none. */
static const char *line_of(const char *text, const char *name)
{
	size_t n = strlen(name);
	for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (strncmp(text, name, n) == 0)
			return text + n;
	return NULL;
}

enum takes { TAKES, BLOCKS, BLOCKS_FOR_LIBC, ENDS };

static enum takes takes(int tid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bystanders.text, TEXT - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return ENDS;
	bystanders.text[n] = 0;
	const char *state = line_of(bystanders.text, "State:\t"), *blocked = line_of(bystanders.text, "SigBlk:\t");
	static const unsigned long long of_libc = UINT64_C(3) << (32 - 1), urgent = UINT64_C(1) << (SIGURG - 1);
	unsigned long long mask = 0;
	if (!state || *state == 'Z' || *state == 'X' || !blocked || sscanf(blocked, "%llx", &mask) != 1)
		return ENDS;
	if (!(mask & urgent))
		return TAKES;
	return (mask & of_libc) == of_libc ? BLOCKS_FOR_LIBC : BLOCKS;
}

/* False: there is no room. */
static bool add(int tid, struct m *m)
{
	uint32_t n = load_rlx(&bystanders.n);
	if (n == MOST)
		return false;
	struct bystander *b = &bystanders.all[n];
	b->m = m;
	store_rlx(&b->xstands, 0);
	bystanders.seen[n] = bystanders.pass;
	bystanders.goes_on[n] = false;
	bystanders.due[n] = bystanders.blocks_from[n] = 0;
	store_rel(&b->tid, tid); /* R2 */
	store_rel(&bystanders.n, n + 1);
	return true;
}

/* Once is enough: it is pending while it is blocked. Who waits for signals is not sent one. ThreadSanitizer keeps one that has met a goroutine for
 * that goroutine, though its thread goes on as another of its fibers. */
static void push(uint32_t i, int64_t now)
{
	int tid = load_rlx(&bystanders.all[i].tid);
	enum takes t = takes(tid);
	if (t != BLOCKS || !bystanders.blocks_from[i])
		bystanders.blocks_from[i] = now;
	if (t == ENDS || (t == BLOCKS && now - bystanders.blocks_from[i] >= BLOCKS_NS)) {
		bystanders.goes_on[i] = true;
	} else if (t != BLOCKS && now >= bystanders.due[i]) {
		bystanders.due[i] = WEFT_TSAN ? now + AGAIN_NS : INT64_MAX;
		os_signal(tid, SIGURG);
	}
}

static bool meet(int tid)
{
	struct m *m;
	struct bystander *b = slot_of(tid);
	if (b) {
		bystanders.seen[b - bystanders.all] = bystanders.pass;
		return true;
	}
	return stands_already(tid, &m) || add(tid, m);
}

/* ---- all of them ---- */

struct entry { /* getdents64(2) */
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static int tid_of(const char *name)
{
	int tid = 0;
	for (; *name >= '0' && *name <= '9'; name++)
		tid = 10 * tid + (*name - '0');
	return tid;
}

/* 0, or a negative errno. */
static int meet_all(int tasks)
{
	static _Alignas(struct entry) char entries[TEXT];
	long got;
	bystanders.pass++;
	if (lseek(tasks, 0, SEEK_SET) < 0)
		return -errno;
	while ((got = syscall(SYS_getdents64, tasks, entries, sizeof entries)) > 0)
		for (long at = 0; at < got;) {
			const struct entry *e = (const struct entry *)(const void *)(entries + at);
			int tid = tid_of(e->name);
			if (tid && !meet(tid))
				return -ENOMEM;
			at += e->length;
		}
	return got < 0 ? -errno : 0;
}

static bool stands(uint32_t i)
{
	return load_acq(&bystanders.all[i].xstands) == load_rlx(&bystanders.round); /* A1 */
}

/* It has become an M meanwhile, or has come back from its section, and waits for the world. */
static bool stands_with_the_world(uint32_t i)
{
	struct m *m;
	return stands_already(load_rlx(&bystanders.all[i].tid), &m);
}

/* By the clock, in a simulation too. */
static int64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* All that were listed the last time. */
static bool all_stand(int64_t now)
{
	bool all = true;
	for (uint32_t i = 0; i < load_rlx(&bystanders.n); i++) {
		if (bystanders.seen[i] != bystanders.pass || bystanders.goes_on[i] || stands(i) || stands_with_the_world(i))
			continue;
		push(i, now);
		all &= bystanders.goes_on[i];
	}
	return all;
}

/* Those that stand have started nobody since: when a list has nobody new, and all of it stand, that is all. */
static int stop(int tasks)
{
	int64_t now = clock_ns(), until = now + IN_TIME_NS;
	for (;; now = clock_ns()) {
		uint32_t before = load_rlx(&bystanders.n);
		bool stood = all_stand(now);
		int err = meet_all(tasks);
		if (err || (stood && load_rlx(&bystanders.n) == before && all_stand(now)))
			return err;
		if (now > until)
			return -EBUSY;
		struct timespec pause = {.tv_nsec = PAUSE_NS};
		nanosleep(&pause, NULL);
	}
}

/* One that stood the last time may not have woken up yet. Who comes from now on sees an even round. */
static bool all_have_left(void)
{
	for (int64_t until = clock_ns() + IN_TIME_NS; load_seq(&bystanders.xinside); sched_yield())
		if (clock_ns() > until)
			return false;
	return true;
}

int bystanders_stop(int waits)
{
	if (!bystanders.all)
		bystanders.all = os_reserve(MOST * sizeof *bystanders.all);
	if (!bystanders.all)
		return -ENOMEM;
	int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tasks < 0)
		return -errno;
	bystanders.waits = waits;
	if (!all_have_left()) {
		close(tasks);
		return -EBUSY;
	}
	store_rel(&bystanders.n, 0);
	store_seq(&bystanders.round, load_rlx(&bystanders.round) + 1);
	int err = stop(tasks);
	close(tasks);
	if (err)
		bystanders_go_on();
	return err;
}

void bystanders_go_on(void)
{
	store_seq(&bystanders.round, load_rlx(&bystanders.round) + 1);
	os_futex_wake_all(&bystanders.round);
}

void bystanders_each(void (*see)(void *arg, const struct bystander *), void *arg)
{
	for (uint32_t i = 0; i < load_rlx(&bystanders.n); i++)
		if (stands(i))
			see(arg, &bystanders.all[i]);
}
