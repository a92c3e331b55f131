/* The watchdog of real-time runs: gives the kernel's setting back, whatever happens.
 *
 * With server and load under SCHED_RR and the real-time throttle off, two spinning threads can take
 * a two-core machine away from everybody, the driver included. So the throttle is never turned off
 * by the driver itself: this program does it, from a priority above both, and undoes it (kills the
 * process groups it was told about, restores the old value) when the first of these happens:
 *   - the driver writes `end`, or its end of the pipe closes, however the driver died;
 *   - the deadline passes;
 *   - either of the two processes that this program consists of dies, SIGKILL included.
 * The invariant: while kernel.sched_rt_runtime_us is -1, two processes are alive that would restore
 * it.
 *
 *   main                                   twin
 *   fork, then turn the throttle off       wait: pipe of main | main's death | deadline + 1 s
 *   wait: stdin | twin's death | deadline  main dead and not `finished`: undo
 *   undo, set `finished`, leave            `finished`: leave
 *
 * Undoing twice is harmless: killing a dead group fails, and the old value is written again.
 * Rejected: a signal handler or atexit (neither runs on SIGKILL); a cgroup (not everywhere
 * writable). An abstract socket is the lock: two guards would remember each other's -1 as the old
 * value. The kernel drops the name with the last of the two processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS_MAX = 64, VALUE_MAX = 64, LINE_MAX_BYTES = 4096, TWIN_PATIENCE_MS = 1000 };

/* Shared by main, which writes, and twin, which reads once main is dead. */
struct shared {
	_Atomic int finished;
	_Atomic int group[GROUPS_MAX];
	char old[VALUE_MAX]; /* written before the fork */
};

struct options {
	double deadline_s;
	int priority; /* 0: keep ordinary scheduling, for tests without privileges */
	const char *setting;
	const char *lock;
};

static struct shared *shared;
static struct options opt = {
    .priority = 3,
    .setting = "/proc/sys/kernel/sched_rt_runtime_us",
    .lock = "weft-bench-guard",
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int write_setting(const char *value)
{
	int fd = open(opt.setting, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, value, strlen(value));
	int err = n == (ssize_t)strlen(value) ? 0 : n < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

static int read_setting(char *value)
{
	int fd = open(opt.setting, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, value, VALUE_MAX - 1);
	close(fd);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	value[n] = 0;
	return 0;
}

static void undo(void)
{
	for (int i = 0; i < GROUPS_MAX; i++) {
		int group = atomic_load(&shared->group[i]);
		if (group > 1)
			kill(-group, SIGKILL);
	}
	for (int attempt = 0; attempt < 3; attempt++)
		if (write_setting(shared->old) == 0)
			return;
	fprintf(stderr, "guard: could not restore %s to %s\n", opt.setting, shared->old);
}

/* A line from the driver. True: it wants the end. */
static bool obey(const char *line)
{
	int group;
	if (sscanf(line, "add %d", &group) == 1 && group > 1) {
		for (int i = 0; i < GROUPS_MAX; i++)
			if (atomic_load(&shared->group[i]) == 0) {
				atomic_store(&shared->group[i], group);
				return false;
			}
		return true; /* more than can be watched: end the run rather than lose one */
	}
	if (sscanf(line, "drop %d", &group) == 1) {
		for (int i = 0; i < GROUPS_MAX; i++)
			if (atomic_load(&shared->group[i]) == group)
				atomic_store(&shared->group[i], 0);
		return false;
	}
	return true; /* "end", and whatever is not understood */
}

/* Reads what the driver sent and obeys whole lines. True: the end, asked for or by a closed pipe.
 */
static bool hear_driver(void)
{
	static char buf[LINE_MAX_BYTES];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, buf + len, sizeof buf - 1 - len);
	if (n < 0 && errno == EINTR)
		return false;
	if (n <= 0)
		return true;
	len += (size_t)n;
	buf[len] = 0;
	char *line = buf;
	for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = 0;
		if (obey(line))
			return true;
	}
	len -= (size_t)(line - buf);
	memmove(buf, line, len);
	return len == sizeof buf - 1;
}

static int remaining_ms(int64_t until_ms)
{
	int64_t left = until_ms - now_ms();
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int run_twin(int main_alive_fd, int64_t until_ms)
{
	struct pollfd main_alive = {.fd = main_alive_fd, .events = POLLIN};
	while (remaining_ms(until_ms) > 0 && poll(&main_alive, 1, remaining_ms(until_ms)) < 0)
		;
	if (!atomic_load(&shared->finished))
		undo();
	return 0;
}

static int run_main(int twin_alive_fd, int64_t until_ms)
{
	struct pollfd fds[2] = {
	    {.fd = STDIN_FILENO, .events = POLLIN},
	    {.fd = twin_alive_fd, .events = POLLIN},
	};
	const char *why = "deadline";
	while (remaining_ms(until_ms) > 0) {
		int n = poll(fds, 2, remaining_ms(until_ms));
		if (n > 0 && fds[1].revents) {
			why = "twin lost";
			break;
		}
		if (n > 0 && fds[0].revents && hear_driver()) {
			why = NULL;
			break;
		}
	}
	undo();
	atomic_store(&shared->finished, 1);
	if (why)
		fprintf(stderr, "guard: ended the run: %s\n", why);
	return why ? 1 : 0;
}

/* Nothing was changed: says why, and stays until the driver lets go, so that both ways look alike.
 */
static int stand_by(const char *why)
{
	printf("ordinary: %s\n", why);
	fflush(stdout);
	int64_t until_ms = now_ms() + (int64_t)(opt.deadline_s * 1e3);
	struct pollfd driver = {.fd = STDIN_FILENO, .events = POLLIN};
	while (remaining_ms(until_ms) > 0)
		if (poll(&driver, 1, remaining_ms(until_ms)) > 0 && hear_driver())
			break;
	return 0;
}

/* 0, or -EADDRINUSE when another guard is at work. The descriptor stays open in both processes. */
static int take_lock(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s", opt.lock);
	socklen_t len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name.sun_path + 1));
	return bind(fd, (struct sockaddr *)&name, len) < 0 ? -errno : 0;
}

static int raise_priority(void)
{
	struct sched_param p = {.sched_priority = opt.priority};
	if (opt.priority == 0)
		return 0;
	return sched_setscheduler(0, SCHED_RR, &p) < 0 ? -errno : 0;
}

static _Noreturn void usage(const char *wrong)
{
	fprintf(
	    stderr,
	    "guard: %s; usage: guard --deadline S [--priority N] [--setting FILE] [--lock NAME]\n",
	    wrong);
	exit(2);
}

static double number(const char *text, double low, double high)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end || !(v >= low && v <= high))
		usage("bad number");
	return v;
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {
	    {"deadline", required_argument, NULL, 'd'},
	    {"priority", required_argument, NULL, 'p'},
	    {"setting", required_argument, NULL, 's'},
	    {"lock", required_argument, NULL, 'l'},
	    {NULL, 0, NULL, 0},
	};
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		switch (c) {
		case 'd':
			opt.deadline_s = number(optarg, 0.001, 86400);
			break;
		case 'p':
			opt.priority = (int)number(optarg, 0, 99);
			break;
		case 's':
			opt.setting = optarg;
			break;
		case 'l':
			opt.lock = optarg;
			break;
		default:
			usage("unknown option");
		}
	}
	if (opt.deadline_s == 0 || optind != argc)
		usage("no deadline");
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	signal(SIGINT, SIG_IGN); /* the terminal's, meant for the driver */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	shared =
	    mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return stand_by("no memory");
	if (take_lock() < 0)
		return stand_by("another guard is at work");
	if (read_setting(shared->old) < 0)
		return stand_by("the real-time throttle cannot be read");
	if (raise_priority() < 0)
		return stand_by("no permission for real-time scheduling");

	int64_t until_ms = now_ms() + (int64_t)(opt.deadline_s * 1e3);
	int main_alive[2], twin_alive[2]; /* nobody writes: the end closes with its holder */
	if (pipe2(main_alive, O_CLOEXEC) < 0 || pipe2(twin_alive, O_CLOEXEC) < 0)
		return stand_by("no pipe");
	pid_t twin = fork();
	if (twin < 0)
		return stand_by("no process for the twin");
	if (twin == 0) {
		setsid();
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(main_alive[1]);
		close(twin_alive[0]);
		mlockall(MCL_CURRENT);
		return run_twin(main_alive[0], until_ms + TWIN_PATIENCE_MS);
	}
	close(main_alive[0]);
	close(twin_alive[1]);
	mlockall(MCL_CURRENT);
	if (write_setting("-1\n") < 0) {
		atomic_store(&shared->finished, 1);
		close(main_alive[1]);
		waitpid(twin, NULL, 0);
		return stand_by("no permission to turn the real-time throttle off");
	}
	printf("realtime twin=%d\n", (int)twin);
	fflush(stdout);
	int status = run_main(twin_alive[0], until_ms);
	close(main_alive[1]);
	waitpid(twin, NULL, 0);
	return status;
}
