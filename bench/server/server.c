/* weft's server of the end-to-end rows: the raw class (a minimal scan for the end of the request) and echo, by the
 * protocol that every peer speaks (docs/bench-method.md). One goroutine per connection.
 */
#include <weft/weft.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BUFFER = 4096 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
enum { ANSWER = sizeof answer - 1, ANSWERS_AT_ONCE = 16 };

static struct {
	const char *listen;
	const char *mode;
	const char *threads;
	uint64_t *stats; /* nanoseconds spent spinning, for the driver to read */
} options = {.mode = "raw", .threads = "1"};

/* ---- raw ---- */

/* How many requests end in buf; *rest is where the one that does not begins. */
static int requests_in(const char *buf, size_t n, size_t *rest)
{
	int found = 0;
	const char *at = buf, *end;
	while ((end = memmem(at, n - (size_t)(at - buf), "\r\n\r\n", 4))) {
		at = end + 4;
		found++;
	}
	*rest = (size_t)(at - buf);
	return found;
}

static bool answer_all(weft_conn *c, int requests)
{
	static char many[ANSWER * ANSWERS_AT_ONCE];
	if (requests == 1)
		return weft_write(c, answer, ANSWER) == ANSWER;
	if (!many[0])
		for (int i = ANSWERS_AT_ONCE; i-- > 0;)
			memcpy(many + i * ANSWER, answer, ANSWER);
	for (; requests > 0; requests -= ANSWERS_AT_ONCE) {
		ssize_t n = ANSWER * (requests < ANSWERS_AT_ONCE ? requests : ANSWERS_AT_ONCE);
		if (weft_write(c, many, (size_t)n) != n)
			return false;
	}
	return true;
}

static void serve_raw(void *arg)
{
	weft_conn *c = arg;
	char buf[BUFFER];
	size_t held = 0, rest;
	for (;;) {
		ssize_t n = weft_read(c, buf + held, sizeof buf - held);
		if (n <= 0)
			break;
		held += (size_t)n;
		int requests = requests_in(buf, held, &rest);
		if (requests && !answer_all(c, requests))
			break;
		held -= rest;
		memmove(buf, buf + rest, held);
		if (held == sizeof buf)
			break; /* no request is that long */
	}
	weft_conn_close(c);
}

/* ---- echo ---- */

static void serve_echo(void *arg)
{
	weft_conn *c = arg;
	char buf[BUFFER];
	ssize_t n;
	while ((n = weft_read(c, buf, sizeof buf)) > 0)
		if (weft_write(c, buf, (size_t)n) != n)
			break;
	weft_conn_close(c);
}

/* ---- the program ---- */

static void show_spinning(void *arg)
{
	(void)arg;
	for (;;) {
		weft_schedstats s;
		weft_sched_stats(&s);
		__atomic_store_n(options.stats, s.spin_ns, __ATOMIC_RELAXED);
		weft_sleep(50 * WEFT_MS);
	}
}

static int serve(int argc, char **argv)
{
	(void)argc, (void)argv;
	weft_listener *l;
	weft_conn *c;
	char addr[128];
	bool echo = !strcmp(options.mode, "echo");
	snprintf(addr, sizeof addr, "tcp://%s", options.listen);
	int err = weft_listen(&l, addr, NULL);
	if (err) {
		fprintf(stderr, "weft-server: cannot listen on %s: %s\n", options.listen, strerror(-err));
		return err == -EINVAL ? 2 : 1;
	}
	weft_listener_addr(l, addr, sizeof addr);
	printf("listening on %s\n", addr + strlen("tcp://"));
	fflush(stdout);
	if (options.stats)
		weft_go(show_spinning, NULL);
	while ((err = weft_accept(l, &c)) == 0)
		weft_go(echo ? serve_echo : serve_raw, c);
	fprintf(stderr, "weft-server: accept: %s\n", strerror(-err));
	return 1;
}

static void end(int signo)
{
	(void)signo;
	_exit(0);
}

static _Noreturn void wrong(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "weft-server: %s %s: %s\n", option, value, why);
	exit(2);
}

static void map_stats(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof *options.stats))
		wrong("--stats", path, strerror(errno));
	void *p = mmap(NULL, sizeof *options.stats, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		wrong("--stats", path, strerror(errno));
	options.stats = p;
	close(fd);
}

static void read_options(int argc, char **argv)
{
	enum { LISTEN, MODE, STATS, THREADS, VERSION };
	static const struct option known[] = {{"listen", required_argument, NULL, LISTEN},
					      {"mode", required_argument, NULL, MODE},
					      {"stats", required_argument, NULL, STATS},
					      {"threads", required_argument, NULL, THREADS},
					      {"version", no_argument, NULL, VERSION},
					      {0}};
	for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (o == LISTEN) {
			options.listen = optarg;
		} else if (o == MODE) {
			options.mode = optarg;
			if (strcmp(optarg, "raw") && strcmp(optarg, "echo"))
				wrong("--mode", optarg, "raw or echo is wanted");
		} else if (o == STATS) {
			map_stats(optarg);
		} else if (o == THREADS) {
			options.threads = optarg; /* weft judges it: WEFT_PROCS */
		} else if (o == VERSION) {
			puts("weft " WEFT_VERSION " gcc " __VERSION__);
			exit(0);
		} else {
			exit(2);
		}
	}
	if (optind != argc)
		wrong("argument", argv[optind], "not understood");
	if (!options.listen)
		wrong("--listen", "ADDR:PORT", "is wanted");
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	setenv("WEFT_PROCS", options.threads, 1);
	return weft_main(argc, argv, serve);
}
