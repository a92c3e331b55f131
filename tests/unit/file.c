#include "tests/unit/outside.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

static weft_waitgroup join;

/* A file without a name. */
static int scratch_file(void)
{
	char path[] = "/tmp/weft-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	CHECK(fd >= 0);
	unlink(path);
	return fd;
}

/* A FIFO without a name, held open without a writer; path is where it can be opened again. */
static int scratch_fifo(char path[32])
{
	char name[64];
	snprintf(name, sizeof name, "/tmp/weft-test-fifo-%d", (int)getpid());
	CHECK_EQ(mkfifo(name, 0600), 0);
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unlink(name);
	CHECK(fd >= 0);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

TEST_GO(files_are_read_and_written_where_asked)
{
	char got[16] = "";
	int fd = scratch_file();
	CHECK_EQ(weft_file_write(fd, "abcdef", 6), 6);
	CHECK_EQ(weft_file_write_at(fd, "XY", 2, 1), 2);
	CHECK_EQ(weft_file_write(fd, "gh", 2), 2); /* the position has stayed */
	CHECK_EQ(weft_file_read_at(fd, got, 3, 2), 3);
	CHECK(!memcmp(got, "Yde", 3));
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(weft_file_read(fd, got, sizeof got), 8);
	CHECK(!memcmp(got, "aXYdefgh", 8));
	CHECK_EQ(weft_file_read(fd, got, sizeof got), 0);
	CHECK_EQ(weft_file_read_at(fd, got, sizeof got, 100), 0);
	CHECK_EQ(weft_file_write(fd, "", 0), 0);
	CHECK_EQ(weft_file_sync(fd), 0);
	CHECK_EQ(weft_file_close(fd), 0);
	CHECK_EQ(weft_file_close(fd), -EBADF);
	return 0;
}

TEST_GO(files_are_opened_close_on_exec)
{
	char path[] = "/tmp/weft-test-XXXXXX";
	struct stat st;
	CHECK(mkdtemp(path));
	char name[64];
	snprintf(name, sizeof name, "%s/file", path);
	umask(022);
	int fd = weft_file_open(name, O_CREAT | O_EXCL | O_WRONLY, 0640);
	int again = weft_file_open(name, O_CREAT | O_EXCL | O_WRONLY, 0640);
	unlink(name);
	rmdir(path);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK_EQ(again, -EEXIST);
	CHECK_EQ(weft_file_open(name, O_RDONLY, 0), -ENOENT);
	CHECK_EQ(weft_file_close(fd), 0);
	return 0;
}

TEST_GO(errors_are_returned_and_errno_stays_as_it_was)
{
	char byte = 0;
	int closed = dup(0), file = scratch_file();
	close(closed);
	set_error(77);
	CHECK_EQ(weft_file_open("/no/such", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(weft_file_read(closed, &byte, 1), -EBADF);
	CHECK_EQ(weft_file_write(closed, &byte, 1), -EBADF);
	CHECK_EQ(weft_file_read_at(file, &byte, 1, -1), -EINVAL);
	CHECK_EQ(weft_file_write_at(file, &byte, 1, -1), -EINVAL);
	CHECK_EQ(weft_file_sync(closed), -EBADF);
	CHECK_EQ(weft_wait_fd(closed, POLLIN, WEFT_NEVER), -EBADF);
	struct pipe_ends p = pipe_open(0);
	CHECK_EQ(weft_wait_fd(p.out, POLLIN, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_file_read_at(p.out, &byte, 1, 0), -ESPIPE);
	close(p.out);
	CHECK_EQ(weft_file_write(p.in, &byte, 1), -EPIPE);
	CHECK_EQ(last_error(), 77);
	return 0;
}

/* The file may not grow beyond 100 bytes: the write is cut there, and the next one says why. */
TEST_GO(a_write_that_is_cut_short_says_so_next_time)
{
	static char bytes[150];
	int fd = scratch_file();
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100}), 0);
	CHECK_EQ(weft_file_write(fd, bytes, sizeof bytes), 100);
	CHECK_EQ(weft_file_write(fd, bytes, 1), -EFBIG);
	CHECK_EQ(weft_file_write_at(fd, bytes, sizeof bytes, 60), 40);
	return 0;
}

/* ---- what blocks ---- */

static void open_writer(void *path)
{
	int fd = weft_file_open(path, O_WRONLY, 0);
	struct meanwhile m = {.fd = fd};
	CHECK(fd >= 0);
	weft_waitgroup_add(&m.ended, 1);
	tick(&m);
	weft_file_close(fd);
	weft_waitgroup_done(&join);
}

static void open_writer_later(void *path)
{
	for (int i = 0; i < TICKS; i++)
		weft_sleep(WEFT_MS / 10);
	open_writer(path);
}

/* Opening blocks until there is a writer, reading until it has written; both have to go on running. */
TEST_GO(a_fifo_stops_nobody)
{
	static char path[32];
	char got[4];
	int held = scratch_fifo(path);
	weft_waitgroup_add(&join, 1);
	weft_go(open_writer_later, path);
	int fd = weft_file_open(path, O_RDONLY, 0);
	CHECK(fd >= 0);
	CHECK_EQ(weft_file_read(fd, got, sizeof got), 1);
	CHECK_EQ(weft_file_read(fd, got, sizeof got), 0);
	weft_waitgroup_wait(&join);
	close(held);
	return 0;
}

static _Atomic int reading;
static pthread_t reader_thread;
static int reader_fd;

static void read_a_byte(void *arg)
{
	char byte;
	(void)arg;
	reader_thread = pthread_self();
	reading = 1;
	CHECK_EQ(weft_file_read(reader_fd, &byte, 1), 1);
	reading = 2;
	weft_waitgroup_done(&join);
}

static _Atomic int interrupted;

static void on_signal(int signo)
{
	(void)signo;
	interrupted++;
}

/* Each signal is waited for, so that some of them meet the read; there is no telling which from here. */
TEST_GO(a_signal_that_interrupts_is_no_error)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* without SA_RESTART */
	struct pipe_ends p = pipe_open(0);
	sigaction(SIGUSR1, &sa, NULL);
	reader_fd = p.out;
	weft_waitgroup_add(&join, 1);
	weft_go(read_a_byte, NULL);
	while (!reading)
		weft_sleep(WEFT_MS);
	for (int i = 1; i <= 20; i++) {
		weft_sleep(WEFT_MS);
		CHECK_EQ(pthread_kill(reader_thread, SIGUSR1), 0);
		while (interrupted < i)
			weft_sleep(WEFT_MS / 10);
	}
	CHECK_EQ(reading, 1);
	CHECK_EQ(write(p.in, "x", 1), 1);
	weft_waitgroup_wait(&join);
	return 0;
}

enum { MANY = 40 };

static void read_pipe(void *arg)
{
	char byte;
	reading++;
	CHECK_EQ(weft_file_read((int)(intptr_t)arg, &byte, 1), 1);
	weft_waitgroup_done(&join);
}

TEST_GO(non_blocking_descriptors_hold_no_threads)
{
	struct pipe_ends p[MANY];
	weft_waitgroup_add(&join, MANY);
	for (int i = 0; i < MANY; i++) {
		p[i] = pipe_open(O_NONBLOCK);
		weft_go(read_pipe, (void *)(intptr_t)p[i].out);
	}
	while (reading < MANY)
		weft_yield();
	weft_sleep(5 * WEFT_MS);
	int threads = os_threads();
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(weft_file_write(p[i].in, "x", 1), 1);
	weft_waitgroup_wait(&join);
	CHECK(threads > 0 && threads < MANY / 2);
	return 0;
}

enum { LONG = 1 << 20 };

static void read_slowly(void *arg)
{
	static char buf[50000];
	int fd = (int)(intptr_t)arg;
	size_t total = 0;
	for (ssize_t n; (n = weft_file_read(fd, buf, sizeof buf)) > 0; total += (size_t)n)
		for (ssize_t i = 0; i < n; i++)
			CHECK_EQ((unsigned char)buf[i], (total + (size_t)i) % 251);
	CHECK_EQ(total, LONG);
	weft_waitgroup_done(&join);
}

static void write_whole_through(int flags)
{
	static char bytes[LONG];
	struct pipe_ends p = pipe_open(flags);
	for (int i = 0; i < LONG; i++)
		bytes[i] = (char)(i % 251);
	weft_waitgroup_add(&join, 1);
	weft_go(read_slowly, (void *)(intptr_t)p.out);
	CHECK_EQ(weft_file_write(p.in, bytes, LONG), LONG);
	CHECK_EQ(weft_file_close(p.in), 0);
	weft_waitgroup_wait(&join);
	weft_file_close(p.out);
}

TEST_GO(everything_is_written)
{
	write_whole_through(0);
	write_whole_through(O_NONBLOCK);
	return 0;
}

/* ---- any descriptor ---- */

TEST_GO(waiting_for_a_descriptor_stops_nobody)
{
	struct meanwhile m;
	struct pipe_ends p = pipe_open(0);
	meanwhile_start(&m, p.in);
	CHECK_EQ(weft_wait_fd(p.out, POLLIN, WEFT_NEVER), POLLIN);
	meanwhile_end(&m);
	CHECK_EQ(weft_wait_fd(p.out, POLLIN, weft_at(0)), POLLIN); /* still so */
	return 0;
}

static char full[1 << 20];

static void drain_later(void *arg)
{
	for (int i = 0; i < TICKS; i++)
		weft_sleep(WEFT_MS / 10);
	while (read((int)(intptr_t)arg, full, sizeof full) > 0)
		;
	weft_waitgroup_done(&join);
}

TEST_GO(either_of_several_events_ends_the_wait)
{
	char byte;
	int pair[2];
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	CHECK_EQ(weft_wait_fd(pair[0], POLLIN | POLLOUT, WEFT_NEVER), POLLOUT);
	while (write(pair[0], full, sizeof full) > 0)
		;
	CHECK_EQ(weft_wait_fd(pair[0], POLLIN | POLLOUT, weft_in(WEFT_MS)), -ETIMEDOUT);
	struct meanwhile m;
	meanwhile_start(&m, pair[1]);
	CHECK_EQ(weft_wait_fd(pair[0], POLLIN | POLLOUT, WEFT_NEVER), POLLIN);
	meanwhile_end(&m);
	CHECK_EQ(read(pair[0], &byte, 1), 1);
	weft_waitgroup_add(&join, 1);
	weft_go(drain_later, (void *)(intptr_t)pair[1]);
	CHECK_EQ(weft_wait_fd(pair[0], POLLIN | POLLOUT, WEFT_NEVER), POLLOUT);
	weft_waitgroup_wait(&join);
	close(pair[1]);
	int found = weft_wait_fd(pair[0], POLLIN | POLLRDHUP, WEFT_NEVER);
	CHECK_EQ(found, POLLIN | POLLRDHUP | POLLHUP);
	close(pair[0]);
	return 0;
}

TEST_GO(kinds_of_descriptors_that_cannot_be_waited_for)
{
	int fd = scratch_file();
	CHECK_EQ(weft_wait_fd(fd, POLLIN | POLLOUT, WEFT_NEVER), POLLIN | POLLOUT);
	CHECK_EQ(weft_wait_fd(fd, POLLPRI, WEFT_NEVER), -EPERM);
	CHECK_EQ(weft_wait_fd(fd, POLLIN | POLLNVAL, WEFT_NEVER), -EINVAL);
	CHECK_EQ(weft_wait_fd(-1, POLLOUT, WEFT_NEVER), -EBADF);
	close(fd);
	return 0;
}

static void wait_too(void *arg)
{
	reading++;
	CHECK_EQ(weft_wait_fd((int)(intptr_t)arg, POLLIN, WEFT_NEVER), POLLIN);
	weft_waitgroup_done(&join);
}

TEST_GO(several_may_wait_for_one_descriptor)
{
	struct pipe_ends p = pipe_open(0);
	CHECK_EQ(weft_wait_fd(p.out, POLLIN, weft_in(WEFT_MS)), -ETIMEDOUT); /* the pollers are there */
	int before = open_descriptors();
	weft_waitgroup_add(&join, MANY);
	for (int i = 0; i < MANY; i++)
		weft_go(wait_too, (void *)(intptr_t)p.out);
	while (reading < MANY)
		weft_yield();
	weft_sleep(5 * WEFT_MS);
	CHECK_EQ(write(p.in, "x", 1), 1);
	weft_waitgroup_wait(&join);
	CHECK_EQ(open_descriptors(), before);
	return 0;
}

static void *on_a_thread(void *arg)
{
	struct pipe_ends *p = arg;
	char byte;
	CHECK_EQ(weft_wait_fd(p->out, POLLIN, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_file_write(p->in, "x", 1), 1);
	CHECK_EQ(weft_wait_fd(p->out, POLLIN, WEFT_NEVER), POLLIN);
	CHECK_EQ(weft_file_read(p->out, &byte, 1), 1);
	CHECK_EQ(weft_wait_fd(p->out, POLLPRI, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(weft_wait_fd(-1, POLLIN, WEFT_NEVER), -EBADF);
	return NULL;
}

TEST_GO(a_thread_outside_may_do_the_same)
{
	pthread_t thread;
	struct pipe_ends p = pipe_open(O_NONBLOCK);
	CHECK_EQ(pthread_create(&thread, NULL, on_a_thread, &p), 0);
	weft_block_begin();
	pthread_join(thread, NULL);
	weft_block_end();
	return 0;
}
