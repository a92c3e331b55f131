/* A line of /proc/self/maps is `from-to rwxp offset device inode name`. Of a private mapping only what the process has written to is of interest,
 * and a page that it has written to is present or swapped out, as /proc/self/pagemap says: so a terabyte that is reserved and not touched is
 * not touched here either. Without pagemap all of it is read. */
#include "runtime/mapping.h"
#include "alloc/os.h"
#include "lockfree/sanitize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum {
	LINES = MAPPING_BUFFER / 2, /* of the buffer; the rest is for pagemap */
	PAGES = (MAPPING_BUFFER - LINES) / sizeof(uint64_t),
	SMALL = 16 * OS_PAGE, /* is seen as a whole */
};

/* Bits of an entry of pagemap. */
static const uint64_t present = (uint64_t)1 << 63, swapped = (uint64_t)1 << 62;

/* Sanitizers keep shadows of terabytes, in which there are no pointers of the program's. */
static const uintptr_t shadow_least = (uintptr_t)1 << 36;

struct mappings {
	void (*see)(void *, uintptr_t, uintptr_t);
	void *arg;
	int pagemap; /* -1: there is none */
	uint64_t *pages;
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

static const char *name_of(const char *line)
{
	for (int field = 0; field < 5 && *line; field++) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return line;
}

/* The pages of one reading of pagemap, runs of them. */
static void see_pages(const struct mappings *m, uintptr_t from, size_t n)
{
	size_t begun = n;
	for (size_t i = 0; i <= n; i++) {
		bool there = i < n && m->pages[i] & (present | swapped);
		if (there && begun == n) {
			begun = i;
		} else if (!there && begun < n) {
			m->see(m->arg, from + begun * OS_PAGE, from + i * OS_PAGE);
			begun = n;
		}
	}
}

static void see_private(const struct mappings *m, uintptr_t from, uintptr_t to)
{
	while (to - from > SMALL && m->pagemap >= 0) {
		size_t n = (to - from) / OS_PAGE < PAGES ? (to - from) / OS_PAGE : PAGES;
		ssize_t got = pread(m->pagemap, m->pages, n * sizeof *m->pages, (off_t)(from / OS_PAGE * sizeof *m->pages));
		if (got <= 0)
			break;
		n = (size_t)got / sizeof *m->pages;
		see_pages(m, from, n);
		from += n * OS_PAGE;
	}
	if (from < to)
		m->see(m->arg, from, to);
}

static void see_line(const struct mappings *m, const char *line)
{
	uintptr_t from, to;
	const char *rights = hex(hex(line, &from) + 1, &to) + 1;
	if (rights[0] != 'r' || rights[1] != 'w' || is_device(name_of(line)))
		return;
	if ((WEFT_ASAN || WEFT_TSAN) && to - from >= shadow_least)
		return;
	if (rights[3] == 'p')
		see_private(m, from, to);
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
	struct mappings m = {see, arg, open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), (uint64_t *)(void *)(buf + LINES)};
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
