#include "alloc/os.h"
#include "runtime/heapdump.h"
#include "tests/unit/collected.h"
#include "tests/unit/go.h"
#include "tests/unit/still.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* What the script that reads dumps is tried on as well (tests/tuning/heap.py): a list, an object that says its type itself, and garbage. */
struct wide {
	struct thing *first;
	uint64_t words[70];
	struct thing *last;
};
WEFT_TYPE(wide, struct wide, first, last);

static struct thing *list;
WEFT_ROOT(list);
static struct wide *wide;
WEFT_ROOT(wide);

enum { THINGS = 1000 };

static __attribute__((noinline)) void fill(void)
{
	for (int i = 0; i < THINGS; i++) {
		struct thing *t = weft_new(thing);
		t->next = weft_get(&list);
		weft_set(&list, t);
	}
	struct wide *w = weft_new(wide);
	w->last = weft_new(thing);
	weft_set(&wide, w);
	for (int i = 0; i < 100; i++)
		weft_new_bytes(48);
}

static int dump_fd;

static int fill_and_dump(void)
{
	fill();
	clean_stack();
	return weft_heap_dump(dump_fd);
}

static char *text_of(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);
	CHECK(size > 0 && text);
	CHECK_EQ(pread(fd, text, (size_t)size, 0), size);
	return text;
}

static int scratch_file(void)
{
	char path[] = "/tmp/weft-heapdump-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	unlink(path);
	return fd;
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned n = 0;
	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

TEST(a_dump_names_types_roots_and_goroutines_and_has_every_object)
{
	const char *kept = getenv("WEFTTEST_HEAPDUMP");
	dump_fd = kept ? open(kept, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : scratch_file();
	CHECK(dump_fd >= 0);
	CHECK_EQ(run_weft(2, fill_and_dump), 0);
	char *text = text_of(dump_fd);
	unsigned objects = 0;
	CHECK(!strncmp(text, "weft heap 1\n", 12));
	CHECK(strstr(text, "\ntype thing size=16 shape=map:2:1 at "));
	CHECK(strstr(text, "\ntype wide size=576 shape=typed scan="));
	CHECK(strstr(text, "\nroot list at ") && strstr(text, "\nroot wide at "));
	CHECK(strstr(text, "\ngoroutine 1 >"));
	CHECK(strstr(text, "\nheld timers >") && strstr(text, "\nheld areas >") && strstr(text, "\nheld pools >"));
	const char *end = strstr(text, "\nend objects=");
	CHECK(end);
	CHECK_EQ(sscanf(end, "\nend objects=%u", &objects), 1);
	CHECK_EQ(count_of(text, "\no "), objects);
	CHECK(objects >= THINGS + 2);
	free(text);
}

enum { LONG = 3000 };

static void wait_to_go_on(void *go_on)
{
	weft_chan *c = go_on;
	weft_recv(c, NULL);
}

static int dump_odd_names(void)
{
	static void *odd_var;
	static char where[LONG + 1];
	memset(where, 'w', LONG);
	struct weft_root_ odd = {.at = &odd_var, .bytes = sizeof odd_var, .name = "odd\33[2J", .where = where};
	weft_chan *c = weft_chan_make(0, 0);
	weft_go_with(&(weft_go_opts){.name = "two\nlines\177"}, wait_to_go_on, c);
	weft_root_add_(&odd);
	int err = weft_heap_dump(dump_fd);
	weft_root_drop_(&odd);
	weft_close(c);
	return err;
}

TEST(names_of_any_length_are_written_and_no_control_characters)
{
	dump_fd = scratch_file();
	CHECK_EQ(run_weft(1, dump_odd_names), 0);
	char *text = text_of(dump_fd), *odd = strstr(text, "\nroot odd\\x1b[2J at www");
	CHECK(odd);
	CHECK_EQ(strspn(strchr(odd, 'w'), "w"), LONG);
	CHECK(!strncmp(strstr(odd, " at ") + 4 + LONG, " >\n", 3));
	CHECK(strstr(text, " name=two\\x0alines\\x7f >"));
	free(text);
}

static int dump_four_times(void)
{
	for (int i = 0; i < 4; i++)
		CHECK_EQ(fill_and_dump(), 0);
	return 0;
}

TEST(dumps_follow_each_other)
{
	dump_fd = scratch_file();
	CHECK_EQ(run_weft(2, dump_four_times), 0);
	char *text = text_of(dump_fd);
	CHECK_EQ(count_of(text, "weft heap 1\n"), 4);
	CHECK_EQ(count_of(text, "\nend objects="), 4);
	free(text);
}

static int dump_nowhere(void)
{
	fill();
	return weft_heap_dump(-1) == -EBADF ? 0 : 1;
}

TEST(where_nothing_can_be_written_the_error_is_told)
{
	CHECK_EQ(run_weft(1, dump_nowhere), 0);
}

/* ---- memory of a dump's own ---- */

enum { HELD = 100000 };

/* More than the dump has room for at first. */
static weft_chan *full_channel(void)
{
	struct thing *one = weft_new(thing);
	weft_chan *c = weft_chan_make(sizeof one, HELD);
	for (int i = 0; i < HELD; i++)
		weft_send(c, &one);
	return c;
}

static void count(void *n, uintptr_t from, uintptr_t to)
{
	(void)from, (void)to;
	++*(int *)n;
}

static int count_reserved(void)
{
	int n = 0;
	os_each_reserved(count, &n);
	return n;
}

static int dump_what_is_held(void)
{
	weft_chan *c = full_channel();
	weft_gc();
	weft_gc();
	int before = count_reserved();
	CHECK_EQ(weft_heap_dump(dump_fd), 0);
	CHECK(count_reserved() <= before + 1); /* another cycle's */
	char *text = text_of(dump_fd), *areas = strstr(text, "\nheld areas >");
	CHECK(areas && strstr(areas, "\nheld pools >") - areas > 2 * HELD);
	free(text);
	weft_chan_free(c);
	return 0;
}

TEST(what_a_dump_needs_is_given_back)
{
	dump_fd = scratch_file();
	CHECK_EQ(run_weft(1, dump_what_is_held), 0);
}

static int dump_without_memory(void)
{
	int refused = 0;
	weft_chan *c = full_channel();
	CHECK_EQ(weft_heap_dump(dump_fd), 0);
	for (int nth = 1; nth <= 3; nth++) {
		os_fail_at(OS_RESERVE, nth, ENOMEM);
		int err = weft_heap_dump(dump_fd);
		os_fail_at(OS_RESERVE, 0, 0);
		CHECK(err == 0 || err == -ENOMEM);
		refused += err != 0;
	}
	CHECK(refused >= 2);
	CHECK_EQ(weft_heap_dump(dump_fd), 0);
	weft_chan_free(c);
	return 0;
}

TEST(a_dump_without_memory_is_refused)
{
	dump_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK_EQ(run_weft(1, dump_without_memory), 0);
}

static void drop_words(struct gc_filling *f)
{
	CHECK(f->chunk->n <= GC_CHUNK_WORDS);
}

static int look_at_what_is_held(void)
{
	static struct gc_chunk chunk;
	struct gc_filling f = {.from = GC_EXACT, .chunk = &chunk, .take = drop_words};
	weft_chan *c = full_channel();
	weft_gc();
	uint64_t before = load_rlx(&collector.xroots);
	CHECK(before > HELD * sizeof(void *));
	bool outermost = call_begin();
	gc_roots_note_held(GC_HELD_AREAS, &f);
	gc_fill_end(&f);
	call_end(outermost);
	CHECK_EQ(load_rlx(&collector.xroots), before);
	weft_chan_free(c);
	return 0;
}

TEST(what_is_looked_at_beside_a_cycle_does_not_count_as_the_cycle_s)
{
	CHECK_EQ(run_weft(1, look_at_what_is_held), 0);
}

static _Atomic bool over;

/* ---- beside a cycle ---- */

static _Atomic bool ended;

static void dump_meanwhile(void *unused)
{
	(void)unused;
	CHECK_EQ(heap_dump(dump_fd), 0);
	ended = true;
}

static int dump_amid_a_cycle(void)
{
	weft_chan *c = full_channel();
	stand_still();
	CHECK(look());
	weft_go(dump_meanwhile, NULL);
	weft_sleep(50 * WEFT_MS);
	CHECK(!ended);
	go_on();
	while (!ended)
		weft_sleep(WEFT_MS);
	weft_chan_free(c);
	return 0;
}

/* It goes through them with the same cursors. */
TEST(a_dump_waits_while_a_cycle_looks_at_stacks_and_roots)
{
	dump_fd = scratch_file();
	CHECK_EQ(run_weft(2, dump_amid_a_cycle), 0);
	char *text = text_of(dump_fd);
	CHECK_EQ(count_of(text, "weft heap 1\n"), 1);
	CHECK_EQ(count_of(text, "\nend objects="), 1);
	free(text);
}

/* ---- beside libraries that come and go ---- */

/* What the constructors and destructors of a library with a WEFT_ROOT do. */
static void *var;
static struct weft_root_ root = {.at = &var, .bytes = sizeof var, .name = "var", .where = "library.c:1"};

static void load_and_unload(void *unused)
{
	(void)unused;
	while (!over) {
		weft_root_add_(&root);
		weft_root_drop_(&root);
	}
}

static int dump_beside_libraries(void)
{
	enum { DUMPS = 300 };
	weft_go(load_and_unload, NULL);
	for (int i = 0; i < DUMPS; i++)
		CHECK_EQ(weft_heap_dump(dump_fd), 0);
	over = true;
	return 0;
}

TEST(a_goroutine_that_loads_libraries_does_not_stop_with_the_roots_locked)
{
	dump_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK_EQ(run_weft(2, dump_beside_libraries), 0);
}

enum { MANY = 1 << 19 };
static struct thing *many[MANY];
WEFT_ROOT(many);

/* Each load is before a piece is read: there is room for what is written next. */
static void *load_and_read(void *fd)
{
	char piece[4096];
	ssize_t n;
	do {
		weft_root_add_(&root);
		n = read(*(int *)fd, piece, sizeof piece);
		weft_root_drop_(&root);
	} while (n > 0);
	CHECK_EQ(n, 0);
	return NULL;
}

static int dump_into_a_pipe(void)
{
	int pipe_fd[2];
	pthread_t reader;
	struct thing *one = weft_new(thing);
	for (int i = 0; i < MANY; i++)
		weft_set(&many[i], one);
	CHECK_EQ(pipe2(pipe_fd, O_CLOEXEC), 0);
	CHECK_EQ(pthread_create(&reader, NULL, load_and_read, &pipe_fd[0]), 0);
	CHECK_EQ(weft_heap_dump(pipe_fd[1]), 0);
	close(pipe_fd[1]);
	pthread_join(reader, NULL);
	return 0;
}

TEST(who_reads_a_dump_may_load_libraries_meanwhile)
{
	CHECK_EQ(run_weft(2, dump_into_a_pipe), 0);
}
