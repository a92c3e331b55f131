/* A line of /proc/self/maps is `from-to rwxp offset device inode name`. Of a mapping only what the process has written to is of interest:
 *
 *     private         a page that it has written to is present or swapped out, as /proc/self/pagemap says; where it may not write any more (a
 *                     shared object's tables after relocation), and is none of the file's
 *     shared memory   a page that somebody has written to is resident (mincore(2)), unless some are swapped out
 *     shared files    all of them: to read a page that is not resident costs no memory that the system does not get back
 *
 * So a terabyte that is reserved and not touched is not touched here either. Where the kernel does not say, all is read. */
#include "runtime/mapping.h"
#include "alloc/os.h"
#include "lockfree/sanitize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
	LINES = MAPPING_BUFFER / 2, /* of the buffer; the rest is for pagemap */
	PAGES = (MAPPING_BUFFER - LINES) / sizeof(uint64_t), /* at a time */
	SMALL = 16 * OS_PAGE, /* is seen as a whole */
};

/* Bits of an entry of pagemap. */
static const uint64_t present = (uint64_t)1 << 63, swapped = (uint64_t)1 << 62, of_file = (uint64_t)1 << 61;

/* Sanitizers keep shadows of terabytes, in which there are no pointers of the program's. */
static const uintptr_t shadow_least = (uintptr_t)1 << 36;

struct mappings {
	void (*see)(void *, uintptr_t, uintptr_t);
	void *arg;
	int pagemap; /* -1: there is none */
	bool swaps;
	uint64_t *pages; /* PAGES entries of pagemap, or as many bytes of mincore's */
};

static const char *hex(const char *at, uintptr_t *value)
{
	for (*value = 0;; at++) {
		unsigned digit = *at >= 'a' ? (unsigned)(*at - 'a') + 10 : (unsigned)(*at - '0');
		if (digit > 15)
			return at;
		*value = *value << 4 | digit;
	}
}

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* To read a device may do something. */
static bool is_device(const char *name)
{
	if (begins_with(name, "/dev/"))
		return !begins_with(name, "/dev/shm/") && !begins_with(name, "/dev/zero") && !begins_with(name, "/dev/hugepages");
	return begins_with(name, "/sys/") || begins_with(name, "anon_inode:");
}

/* Files that are nowhere but in memory. */
static bool is_memory(const char *name)
{
	static const char *const names[] = {"/dev/zero", "/dev/shm/", "/dev/hugepages/", "/memfd:", "/SYSV", "/anon_hugepage"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (begins_with(name, names[i]))
			return true;
	return false;
}

/* Some memory is swapped out, or nobody knows. */
static bool swaps(void)
{
	struct sysinfo s;
	return sysinfo(&s) || s.totalswap != s.freeswap;
}

static const char *name_of(const char *line)
{
	for (int field = 0; field < 5 && *line; field++) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return line;
}

/* Runs of those pages of which `there` says that they are. */
static void see_pages(const struct mappings *m, uintptr_t from, size_t n, bool (*there)(const struct mappings *, size_t i))
{
	size_t begun = n;
	for (size_t i = 0; i <= n; i++) {
		bool one = i < n && there(m, i);
		if (one && begun == n) {
			begun = i;
		} else if (!one && begun < n) {
			m->see(m->arg, from + begun * OS_PAGE, from + i * OS_PAGE);
			begun = n;
		}
	}
}

static bool may_be_written(const struct mappings *m, size_t i)
{
	return m->pages[i] & (present | swapped);
}

static bool was_written(const struct mappings *m, size_t i)
{
	return m->pages[i] & swapped || (m->pages[i] & (present | of_file)) == present;
}

static bool is_resident(const struct mappings *m, size_t i)
{
	return ((const unsigned char *)m->pages)[i] & 1;
}

static size_t some_pages(uintptr_t from, uintptr_t to)
{
	return (to - from) / OS_PAGE < PAGES ? (to - from) / OS_PAGE : PAGES;
}

static void see_private(const struct mappings *m, uintptr_t from, uintptr_t to, bool writable)
{
	while (from < to && (to - from > SMALL || !writable) && m->pagemap >= 0) {
		size_t n = some_pages(from, to) * sizeof *m->pages;
		ssize_t got = pread(m->pagemap, m->pages, n, (off_t)(from / OS_PAGE * sizeof *m->pages));
		if (got <= 0)
			break;
		n = (size_t)got / sizeof *m->pages;
		see_pages(m, from, n, writable ? may_be_written : was_written);
		from += n * OS_PAGE;
	}
	if (from < to)
		m->see(m->arg, from, to);
}

static void see_shared_memory(const struct mappings *m, uintptr_t from, uintptr_t to)
{
	while (from < to) {
		size_t n = some_pages(from, to);
		if (mincore((void *)from, n * OS_PAGE, (unsigned char *)m->pages))
			break;
		see_pages(m, from, n, is_resident);
		from += n * OS_PAGE;
	}
	if (from < to)
		m->see(m->arg, from, to);
}

static void see_line(const struct mappings *m, const char *line)
{
	uintptr_t from, to;
	const char *rights = hex(hex(line, &from) + 1, &to) + 1, *name = name_of(line);
	bool writable = rights[1] == 'w', private = rights[3] == 'p';
	if (rights[0] != 'r' || is_device(name) || (!writable && !private))
		return;
	if ((WEFT_ASAN || WEFT_TSAN) && to - from >= shadow_least)
		return;
	if (private)
		see_private(m, from, to, writable);
	else if (is_memory(name) && !m->swaps)
		see_shared_memory(m, from, to);
	else
		m->see(m->arg, from, to);
}

/* Whole lines; the rest, of which there is less than a line, is moved to the front: how much that is. */
static size_t see_lines(const struct mappings *m, char *lines, size_t n)
{
	char *line = lines, *end;
	while ((end = memchr(line, '\n', n - (size_t)(line - lines)))) {
		*end = 0;
		see_line(m, line);
		line = end + 1;
	}
	size_t rest = n - (size_t)(line - lines);
	memmove(lines, line, rest);
	return rest;
}

int mapping_each(void (*see)(void *, uintptr_t, uintptr_t), void *arg, char *buf)
{
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (maps < 0)
		return -errno;
	struct mappings m = {see, arg, open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), swaps(),
			     (uint64_t *)(void *)(buf + LINES)};
	size_t have = 0;
	ssize_t got;
	while ((got = read(maps, buf + have, LINES - have)) > 0)
		have = see_lines(&m, buf, have + (size_t)got);
	int err = got < 0 ? -errno : have ? -EIO : 0;
	if (m.pagemap >= 0)
		close(m.pagemap);
	close(maps);
	return err;
}
