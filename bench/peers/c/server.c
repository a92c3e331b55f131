/* The part of the bare C servers that is not measured: options, sockets, threads; and the scan. */
#include "bench/peers/c/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, THREADS_MAX = 256 };

char answer_block[ANSWER_SIZE * ANSWERS];

struct thread {
	const struct server *server;
	int listener;
};

void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s%s%s\n", PEER_NAME, what, error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

static _Noreturn void usage(const char *what, const char *value)
{
	fprintf(stderr, "%s: %s '%s'\nusage: %s --mode raw|echo --listen IPV4:PORT [--threads N] [--stats FILE] | --version\n",
		PEER_NAME, what, value, PEER_NAME);
	exit(2);
}

/* Looks at every fourth byte: where it is neither CR nor LF, no end covers it. */
unsigned count_requests(struct carry *carry, char *text, size_t size)
{
	char *at = text - carry->size, *end = text + size;
	memcpy(at, carry->bytes, carry->size);

	unsigned requests = 0;
	char *from = at; /* the first byte that no request has claimed */
	at += 3;
	while (at < end) {
		if (*at == '\n') {
			if (at[-1] == '\r' && at[-2] == '\n' && at[-3] == '\r') {
				requests++;
				from = at + 1;
				at += 4;
			} else {
				at += 2;
			}
		} else {
			at += *at == '\r' ? 1 : 4;
		}
	}
	size_t left = (size_t)(end - from);
	carry->size = (uint8_t)(left < CARRY ? left : CARRY);
	memcpy(carry->bytes, end - carry->size, carry->size);
	return requests;
}

size_t owed_piece(const struct owed *owed, const char **piece)
{
	size_t room = sizeof answer_block - owed->phase;
	*piece = answer_block + owed->phase;
	return owed->bytes < room ? (size_t)owed->bytes : room;
}

void owed_sent(struct owed *owed, size_t size)
{
	owed->bytes -= size;
	owed->phase = (uint32_t)((owed->phase + size) % ANSWER_SIZE);
}

/* SO_REUSEPORT only where threads share the port: with it, a port in use would go unnoticed. */
static int open_listener(struct sockaddr_in *address, int threads)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("socket", errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (threads > 1)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
	socklen_t size = sizeof *address;
	if (bind(fd, (struct sockaddr *)address, size) || listen(fd, BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)address, &size))
		die("listen", errno);
	return fd;
}

static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[INET_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	long port = colon ? strtol(colon + 1, &end, 10) : -1;
	size_t length = colon ? (size_t)(colon - text) : 0;
	if (!colon || end == colon + 1 || *end || port < 0 || port > 65535 || length >= sizeof host)
		usage("not an address and port:", text);
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		usage("not an IPv4 address:", text);
	address.sin_port = htons((uint16_t)port);
	return address;
}

static _Atomic uint64_t *map_stats(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, 0) || ftruncate(fd, sizeof(uint64_t)))
		die(path, errno);
	void *at = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		die(path, errno);
	close(fd);
	return at;
}

static void on_term(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void *run_thread(void *argument)
{
	const struct thread *thread = argument;
	serve(thread->server, thread->listener);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"mode", required_argument, NULL, 'm'},  {"listen", required_argument, NULL, 'l'},
		{"stats", required_argument, NULL, 's'}, {"threads", required_argument, NULL, 't'},
		{"version", no_argument, NULL, 'v'},	 {0},
	};
	static _Atomic uint64_t nowhere;
	struct server server = {.spun_ns = &nowhere};
	const char *mode = "", *where = NULL, *stats = NULL;
	long threads = 1;
	char *end;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'm': mode = optarg; break;
		case 'l': where = optarg; break;
		case 's': stats = optarg; break;
		case 't':
			threads = strtol(optarg, &end, 10);
			if (*end || end == optarg || threads < 1 || threads > THREADS_MAX)
				usage("not a number of threads:", optarg);
			break;
		case 'v':
#ifdef __clang__
			printf("c %s clang %d.%d.%d\n", strchr(PEER_NAME, '-') + 1, __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
			printf("c %s gcc %d.%d.%d\n", strchr(PEER_NAME, '-') + 1, __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
			return 0;
		default: exit(2); /* getopt_long has said why */
		}
	}
	if (optind < argc)
		usage("unexpected argument", argv[optind]);
	if (strcmp(mode, "raw") == 0)
		server.mode = MODE_RAW;
	else if (strcmp(mode, "echo") == 0)
		server.mode = MODE_ECHO;
	else
		usage("no such mode here:", mode);
	if (!where)
		usage("needed:", "--listen");

	struct sockaddr_in address = parse_address(where);
	if (stats)
		server.spun_ns = map_stats(stats);
	for (int i = 0; i < ANSWERS; i++)
		memcpy(answer_block + i * ANSWER_SIZE, ANSWER, ANSWER_SIZE);
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	signal(SIGPIPE, SIG_IGN);

	struct thread thread[THREADS_MAX];
	for (long i = 0; i < threads; i++)
		thread[i] = (struct thread){&server, open_listener(&address, (int)threads)};
	printf("listening on %s:%u\n", inet_ntoa(address.sin_addr), ntohs(address.sin_port));
	fflush(stdout);
	for (long i = 1; i < threads; i++) {
		pthread_t id;
		int error = pthread_create(&id, NULL, run_thread, &thread[i]);
		if (error)
			die("pthread_create", error);
	}
	run_thread(&thread[0]);
}
