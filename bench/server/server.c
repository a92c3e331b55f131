/* weft's server of the end-to-end rows: the raw class (a minimal scan for the end of the request) and echo, by the
 * protocol that every peer speaks (docs/bench-method.md). One goroutine per connection.
 */
#include "tuning/command.h"

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

static const char name[] = "weft-server";
static const char help[] =
	"usage: weft-server --listen ADDR:PORT [OPTION ...]\n\n"
	"Prints 'listening on ADDR:PORT', the real one, and serves until SIGTERM or SIGINT.\n\n"
	"  --mode raw|echo   what it answers (raw)\n"
	"  --threads N       Ps (1)\n"
	"  --stats FILE      keep there how many nanoseconds were spent spinning\n"
	"  --version, --help\n";

static struct {
	const char *listen;
	const char *mode;
	int threads;
	uint64_t *stats; /* nanoseconds spent spinning, for the driver to read */
} options = {.mode = "raw", .threads = 1};

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

static int cannot_listen(int err)
{
	const char *why = err == -EINVAL ? "want ADDR:PORT" : err == -ENOENT ? "no such host" : strerror(-err);
	command_say(name, "--listen '%s': %s", options.listen, why);
	return err == -EINVAL ? COMMAND_MISUSED : COMMAND_FAILED;
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
	if (err)
		return cannot_listen(err);
	weft_listener_addr(l, addr, sizeof addr);
	printf("listening on %s\n", addr + strlen("tcp://"));
	if (fflush(stdout)) {
		command_say(name, "standard output: %s", strerror(errno));
		return COMMAND_FAILED;
	}
	if (options.stats)
		weft_go(show_spinning, NULL);
	while ((err = weft_accept(l, &c)) == 0)
		weft_go(echo ? serve_echo : serve_raw, c);
	command_say(name, "accept: %s", strerror(-err));
	return COMMAND_FAILED;
}

static void end(int signo)
{
	(void)signo;
	_exit(0);
}

static void map_stats(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof *options.stats))
		command_misused(name, "--stats '%s': %s", path, strerror(errno));
	void *p = mmap(NULL, sizeof *options.stats, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		command_misused(name, "--stats '%s': %s", path, strerror(errno));
	options.stats = p;
	close(fd);
}

static _Noreturn void tell(const char *text)
{
	fputs(text, stdout);
	exit(COMMAND_DONE);
}

static void take_option(int o)
{
	enum { THREADS_MAX = 1024 };
	switch (o) {
	case 'l':
		options.listen = optarg;
		break;
	case 'm':
		options.mode = optarg;
		if (strcmp(optarg, "raw") && strcmp(optarg, "echo"))
			command_misused(name, "--mode '%s': want raw or echo", optarg);
		break;
	case 's':
		map_stats(optarg);
		break;
	case 't':
		options.threads = (int)command_integer(name, "--threads", optarg, 1, THREADS_MAX);
		break;
	case 'v':
		tell("weft " WEFT_VERSION " gcc " __VERSION__ "\n");
	default:
		tell(help);
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {{"listen", required_argument, NULL, 'l'},
					      {"mode", required_argument, NULL, 'm'},
					      {"stats", required_argument, NULL, 's'},
					      {"threads", required_argument, NULL, 't'},
					      {"version", no_argument, NULL, 'v'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
		if (o == '?' || o == ':')
			command_bad_option(name, o, argv);
		take_option(o);
	}
	if (optind != argc)
		command_misused(name, "unknown argument '%s'; it takes options only", argv[optind]);
	if (!options.listen)
		command_misused(name, "--listen ADDR:PORT is wanted");
}

int main(int argc, char **argv)
{
	char procs[16];
	read_options(argc, argv);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	snprintf(procs, sizeof procs, "%d", options.threads);
	setenv("WEFT_PROCS", procs, 1);
	return weft_main(argc, argv, serve);
}
