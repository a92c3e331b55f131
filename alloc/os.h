/* The operating system's memory and scheduling calls, each in one place.
 *
 * Everything here returns 0 or a pointer, and a negative errno or NULL when the kernel refuses, so that
 * callers decide. Every call can be made to fail on its Nth use (os_fail_at), which is how tests reach the
 * error paths.
 */
#ifndef ALLOC_OS_H
#define ALLOC_OS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_PAGE = 4096 };

/* Reserves address space, readable and writable, that costs memory only where it is touched. */
void *os_reserve(size_t bytes);
/* The same, to be opened part by part: until then it faults, or reads as zeroes. So locked memory (mlockall), which is there at once, is no more
 * than what is used. */
enum os_closed { OS_FAULTS, OS_READS };
void *os_reserve_closed(size_t bytes, enum os_closed);
/* 0, or a negative errno: there is no memory. */
int os_open(void *base, size_t bytes);
void os_release(void *base, size_t bytes);

/* Memory that is not listed below. */
void *os_map(size_t bytes);
void os_unmap(void *base, size_t bytes);

/* Calls see(arg, from, to) for each range that was reserved, in either way, and is not released: memory of weft's own, and none that a program
 * writes to as it likes. What is reserved or released meanwhile may be among them or not; nobody is held up. */
void os_each_reserved(void (*see)(void *arg, uintptr_t from, uintptr_t to), void *arg);

/* Has a range that is not touched yet come page by page, also where the system prefers huge ones: a touch then zeroes 4 KiB
 * and not 2 MiB. A hint. */
void os_small_pages(void *base, size_t bytes);

/* Makes [base, base + bytes) fault: with a lightweight guard region (Linux 6.13), which splits no mapping,
 * otherwise with mprotect. */
int os_guard(void *base, size_t bytes);

/* The same for n ranges that begin `stride` apart, by one call where the kernel takes many ranges of one's own memory
 * (process_madvise(2), Linux 6.13). How many of them, from the first; a negative errno if that is none. */
int os_guard_many(void *base, size_t bytes, size_t stride, int n);

/* Puts pages into n ranges before they are touched, which saves the faults. A hint: where it is refused, the touch
 * brings the page. */
void os_populate_many(void *base, size_t bytes, size_t stride, int n);

/* Which of the two ways os_guard went the last time: "guard regions", "mprotect", or "none". */
const char *os_guard_way(void);

/* Where the last of the pages [from, to), all of one os_reserve, ends that has been written to since it was marked, by whomever, the kernel too, but
 * not by a device that had them before; `from`: none has. OS_MARK: all are marked from here on, and who writes there next has a fault. May wait for
 * who changes the address space. 0, or a negative errno: the system does not tell, which Linux does from 6.7 on, and nothing is known of what was
 * marked. userfaultfd(2), ioctl_userfaultfd(2), and "Examining Process Page Tables" in the kernel's documentation. */
enum os_writes { OS_ASK, OS_MARK };
int os_written(const void *from, const void *to, enum os_writes, const void **end);

/* Gives the pages back; the range reads as zeroes afterwards. */
int os_discard(void *base, size_t bytes);

/* Has the pages of [base, base + bytes), which are whole ones and not touched yet, come from a NUMA node if it has any
 * left. A preference: who is refused goes on without. 0, or a negative errno. */
int os_prefer_node(void *base, size_t bytes, int node);

/* How many were refused. */
long os_nodes_refused(void);

/* Binds the calling thread to one CPU. */
int os_pin(int cpu);

/* The same for another thread of the process. */
int os_pin_thread(int thread, int cpu);

/* The CPUs on which the calling thread may run, into cpus, ascending; how many, or a negative errno. Remembers them. */
int os_affinity(int *cpus, int max);

/* The same for any thread of the process; remembers nothing. */
int os_affinity_of(int thread, int *cpus, int max);

/* Lets the calling thread run on these CPUs. */
int os_allow(const int *cpus, int n);

/* The kernel's number of the calling thread. */
int os_thread(void);

/* The CPU quota of the process in thousandths of a core, the least of its cgroup's and those above, from cgroup v2 or v1;
 * 0: none. */
int os_cpu_quota(void);

/* Sends a signal to a thread of this process; one that has ended gets none. */
void os_signal(int tid, int signo);

/* Tests put a directory in the place of / where os_cpu_quota looks. */
void os_cpu_quota_root(const char *directory);

/* A full fence on every core where a thread of this process runs (membarrier(2), private and expedited): 1 to 15 µs, and an
 * interruption for each. The first makes it ready; a negative errno: there is none. */
int os_membarrier_init(void);
void os_membarrier(void);

/* The calling thread asks for short slices of a core that it shares (Linux 6.12): one that wakes up then runs before
 * one with a longer slice, instead of after it. Only under the ordinary policy; a hint. */
void os_short_slice(void);

/* Under a real-time policy the calling thread gets one priority more, as far as there is one: who watches the others must
 * come before them. */
void os_go_before_equals(void);

/* Puts a thread of this process behind others, for good: SCHED_BATCH, nice 10, long slices, on any core of the
 * process. As much of it as is allowed. */
void os_lower(int tid);

/* Wakes sooner: timers of the calling thread are not coalesced. */
void os_exact_timers(void);

/* Sleeps while *word is `expected`, at most timeout_ns (negative: for ever), or until woken; may return for no
 * reason. */
void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
void os_futex_wake(_Atomic uint32_t *word); /* one who sleeps there */
void os_futex_wake_all(_Atomic uint32_t *word);

/* The word at an address of this process, which may not be mapped, or be written meanwhile. 0, or a negative errno. */
int os_peek(uintptr_t address, uintptr_t *word);

/* Copies memory of this process that may not be mapped: how many bytes, from the first; a negative errno if that is none. */
long os_copy(void *to, uintptr_t from, size_t bytes);

/* How many threads the process has; 0 if that cannot be found out. */
int os_threads(void);

/* The calls that can fail on purpose. */
enum os_call { OS_RESERVE, OS_OPEN, OS_GUARD, OS_MANY, OS_WRITTEN, OS_DISCARD, OS_NODE, OS_PIN, OS_MEMBARRIER, OS_CALLS };

/* The nth use from now (1: the next) of the call fails with the given errno; 0 takes that back. */
void os_fail_at(enum os_call, int nth, int err);

#endif
