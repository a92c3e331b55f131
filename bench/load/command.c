#include "bench/load/report.h"
#include "lockfree/tsc.h"
#include "tuning/command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	THREADS_MAX = 256,
	SPARE_DESCRIPTORS = 32,
	TCP_SIZE_MAX = 16 << 20,
	UDP_SIZE_MIN = 8, /* the number of the request */
	UDP_SIZE_MAX = 65507,
	HEAD_START_NS = 1000000, /* from the decision to start to the start */
};

static const char name[] = "weft load";
static const char help[] =
    "usage: weft load URL [OPTION ...]\n\n"
    "Sends requests at a fixed rate and measures their latency from the intended time of sending.\n"
    "URL: http://HOST[:PORT][/PATH] (GET), tcp://HOST:PORT or udp://HOST:PORT (echo).\n\n"
    "  --rate N              requests per second, open loop; without it the loop is closed\n"
    "  --closed              closed loop: an answer sends the next request; leaves out queueing\n"
    "  --arrivals KIND       poisson (default) or constant\n"
    "  --seed N              of the arrivals (default 1)\n"
    "  --connections N       (default 64)\n"
    "  --threads N           (default 1)\n"
    "  --cpu LIST            bind the threads to these CPUs, as in 0,2-3\n"
    "  --duration S          seconds measured (default 10)\n"
    "  --warmup S            seconds before, not measured (default 1)\n"
    "  --timeout S           give a request up at this age (default 2)\n"
    "  --size BYTES          payload of an echo (default 64)\n"
    "  --expect-body TEXT    http: an answer with another body is wrong\n"
    "  --pacing poll|sleep   wait by polling (open loop's default) or asleep (closed loop's)\n"
    "  --hdr FILE            write the latencies, in us, as HdrHistogram's percentile text\n"
    "  --histogram FILE      write them, in ns, in a form that can be merged\n"
    "  --json                one JSON object instead of the table\n"
    "  --help                this text\n\n"
    "A percentile with fewer than 100 samples beyond it is not shown. SIGINT and SIGTERM stop the "
    "run\n"
    "and print what there is. Status: 0 ran to its end (also when the run is marked invalid),\n"
    "1 interrupted, not connected, or nothing was answered, 2 wrong usage.\n";

struct options {
	struct load_settings set;
	int cpus[THREADS_MAX], cpu_count;
	long size;
	const char *hdr, *histogram;
	bool json, closed, arrivals_given, size_given, pacing_given;
};

/* Options */

static enum arrivals parse_arrivals(const char *text)
{
	if (!strcmp(text, "poisson"))
		return ARRIVALS_POISSON;
	if (strcmp(text, "constant"))
		command_misused(name, "--arrivals '%s': want poisson or constant", text);
	return ARRIVALS_CONSTANT;
}

static enum load_pacing parse_pacing(const char *text)
{
	if (!strcmp(text, "poll"))
		return PACING_POLL;
	if (strcmp(text, "sleep"))
		command_misused(name, "--pacing '%s': want poll or sleep", text);
	return PACING_SLEEP;
}

static void take_option(struct options *o, int c)
{
	struct load_settings *s = &o->set;
	switch (c) {
	case 'r':
		s->rate = command_number(name, "--rate", optarg, 0.001, 1e7);
		break;
	case 'C':
		o->closed = true;
		break;
	case 'a':
		s->arrivals = parse_arrivals(optarg);
		o->arrivals_given = true;
		break;
	case 's':
		s->seed = (uint64_t)command_integer(name, "--seed", optarg, 0, INT64_MAX);
		break;
	case 'n':
		s->connections = (int)command_integer(name, "--connections", optarg, 1, 1000000);
		break;
	case 't':
		s->threads = (int)command_integer(name, "--threads", optarg, 1, THREADS_MAX);
		break;
	case 'c':
		o->cpu_count = command_cpus(name, "--cpu", optarg, o->cpus, THREADS_MAX);
		break;
	case 'd':
		s->seconds = command_number(name, "--duration", optarg, 0.001, 86400);
		break;
	case 'w':
		s->warmup = command_number(name, "--warmup", optarg, 0, 86400);
		break;
	case 'T':
		s->timeout = command_number(name, "--timeout", optarg, 0.001, 3600);
		break;
	case 'b':
		o->size = command_integer(name, "--size", optarg, 1, TCP_SIZE_MAX);
		o->size_given = true;
		break;
	case 'e':
		s->expect = (struct http_expect){optarg, strlen(optarg)};
		break;
	case 'p':
		s->pacing = parse_pacing(optarg);
		o->pacing_given = true;
		break;
	case 'H':
		o->hdr = optarg;
		break;
	case 'g':
		o->histogram = optarg;
		break;
	default:
		o->json = true;
	}
}

static void check_together(const struct options *o)
{
	const struct load_settings *s = &o->set;
	if (o->closed && s->rate > 0)
		command_misused(name, "--closed and --rate exclude each other");
	if (o->arrivals_given && !(s->rate > 0))
		command_misused(name, "--arrivals needs --rate: a closed loop has no arrivals");
	if (s->threads > s->connections)
		command_misused(name, "--threads '%d': more than the %d connections", s->threads,
				s->connections);
	if (s->target.protocol == PROTOCOL_HTTP && o->size_given)
		command_misused(name, "--size is for tcp:// and udp://");
	if (s->target.protocol != PROTOCOL_HTTP && s->expect.body)
		command_misused(name, "--expect-body is for http://; an echo is always compared");
	if (s->target.protocol == PROTOCOL_UDP &&
	    (o->size < UDP_SIZE_MIN || o->size > UDP_SIZE_MAX))
		command_misused(name, "--size '%ld': want a whole number from %d to %d for udp://",
				o->size, UDP_SIZE_MIN, UDP_SIZE_MAX);
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"rate", required_argument, NULL, 'r'},
					      {"closed", no_argument, NULL, 'C'},
					      {"arrivals", required_argument, NULL, 'a'},
					      {"seed", required_argument, NULL, 's'},
					      {"connections", required_argument, NULL, 'n'},
					      {"threads", required_argument, NULL, 't'},
					      {"cpu", required_argument, NULL, 'c'},
					      {"duration", required_argument, NULL, 'd'},
					      {"warmup", required_argument, NULL, 'w'},
					      {"timeout", required_argument, NULL, 'T'},
					      {"size", required_argument, NULL, 'b'},
					      {"expect-body", required_argument, NULL, 'e'},
					      {"pacing", required_argument, NULL, 'p'},
					      {"hdr", required_argument, NULL, 'H'},
					      {"histogram", required_argument, NULL, 'g'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	char why[TARGET_WHY_MAX];
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
		if (c == 'h') {
			fputs(help, stdout);
			exit(COMMAND_DONE);
		}
		if (c == '?' || c == ':')
			command_bad_option(name, c, argv);
		take_option(o, c);
	}
	if (optind == argc)
		command_misused(name, "want a URL; 'weft load --help' says more");
	if (optind + 1 < argc)
		command_misused(name, "unknown argument '%s' beside the URL", argv[optind + 1]);
	if (target_parse(&o->set.target, argv[optind], why))
		command_misused(name, "URL '%s': %s", argv[optind], why);
	check_together(o);
}

/* Raises the limit on descriptors to what is allowed, and refuses what is more. */
static void reserve_descriptors(int connections, int threads)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)connections + (rlim_t)threads + SPARE_DESCRIPTORS;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max != RLIM_INFINITY && wanted > limit.rlim_max)
		command_misused(name, "--connections '%d': this process may open %llu files",
				connections, (unsigned long long)limit.rlim_max);
}

/* A file that cannot be written is found out before the run, not after it. */
static void check_writable(const char *option, const char *path)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
	if (fd >= 0)
		close(fd);
	else if (path)
		command_misused(name, "%s '%s': %s", option, path, strerror(errno));
}

/* Threads that poll need a CPU each, and the server another. */
static void choose_pacing(struct options *o)
{
	struct load_settings *s = &o->set;
	cpu_set_t allowed;
	int mine = sched_getaffinity(0, sizeof allowed, &allowed) ? 1 : CPU_COUNT(&allowed);
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	s->mode = s->rate > 0 ? LOAD_OPEN : LOAD_CLOSED;
	if (o->cpu_count && o->cpu_count < mine)
		mine = o->cpu_count;
	if (o->pacing_given)
		return;
	s->pacing = s->mode == LOAD_OPEN ? PACING_POLL : PACING_SLEEP;
	if (s->pacing == PACING_POLL && (online < 2 || s->threads > mine)) {
		fprintf(
		    stderr,
		    "weft load: %d polling thread%s and %ld CPU%s (%d to run on): sleeping between "
		    "arrivals instead, so sends will be late\n",
		    s->threads, s->threads == 1 ? "" : "s", online, online == 1 ? "" : "s", mine);
		s->pacing = PACING_SLEEP;
	}
}

/* The run */

struct worker {
	pthread_t thread;
	int part, cpu; /* cpu -1: anywhere */
	struct generator *_Atomic generator;
	int error; /* negative errno, from before the start */
	const char *doing;
};

static struct {
	struct load_settings *set;
	struct worker workers[THREADS_MAX];
	pthread_barrier_t connected, decided;
	pthread_t main_thread;
	uint64_t start; /* written between the barriers */
	bool aborted;	/* likewise */
	_Atomic int stop, running;
} run;

static int bind_to(int cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof one, &one) ? -errno : 0;
}

static int set_up(struct worker *w)
{
	prctl(PR_SET_TIMERSLACK, 1);
	w->doing = "bind a thread to its CPU";
	int error = w->cpu >= 0 ? bind_to(w->cpu) : 0;
	if (error)
		return error;
	w->doing = "get memory and descriptors";
	struct generator *g = generator_make(run.set, w->part);
	if (!g)
		return -ENOMEM;
	store_rel(&w->generator, g);
	w->doing = "connect";
	return generator_connect(g);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	w->error = set_up(w);
	pthread_barrier_wait(&run.connected);
	pthread_barrier_wait(&run.decided);
	if (!run.aborted)
		generator_run(load_rlx(&w->generator), run.start, &run.stop);
	if (sub_acqrel(&run.running, 1) == 1)
		pthread_kill(run.main_thread, SIGUSR1); /* blocked there, and waited for */
	return NULL;
}

/* Waits for the threads, or for a signal that ends the run early. Says how it goes when somebody
 * watches. */
static enum run_end wait_for_end(const sigset_t *signals)
{
	const struct load_settings *s = run.set;
	enum run_end end = RUN_COMPLETE;
	bool watched = isatty(STDERR_FILENO);
	struct timespec second = {1, 0};
	for (int seconds = 1;; seconds++) {
		int signal = sigtimedwait(signals, NULL, &second);
		if (signal == SIGUSR1)
			break;
		if (signal > 0) {
			end = RUN_INTERRUPTED;
			store_rlx(&run.stop, 1);
		} else if (watched) {
			uint64_t answers = 0;
			for (int i = 0; i < s->threads; i++)
				answers +=
				    load_rlx(&generator_result(load_acq(&run.workers[i].generator))
						  ->counts.answered);
			fprintf(stderr, "\rweft load: %d of %.0f s, %llu answers ", seconds,
				s->warmup + s->seconds, (unsigned long long)answers);
		}
	}
	if (watched)
		fputs("\r                                                  \r", stderr);
	return end;
}

static int report_abort(int threads)
{
	for (int i = 0; i < threads; i++) {
		const struct worker *w = &run.workers[i];
		if (!w->error)
			continue;
		fprintf(stderr, "weft load: cannot %s%s%s: %s\n", w->doing,
			strcmp(w->doing, "connect") ? "" : " to ",
			strcmp(w->doing, "connect") ? "" : run.set->target.url,
			strerror(-w->error));
		break;
	}
	return COMMAND_FAILED;
}

static int report(const struct options *o, const struct load_result *r, enum run_end end)
{
	char why[REPORT_WHY_MAX];
	int status = end == RUN_INTERRUPTED || !load_rlx(&r->counts.answered) ? COMMAND_FAILED
									      : COMMAND_DONE;
	report_judge(&o->set, r, end, why);
	(o->json ? report_json : report_table)(&o->set, r, why);
	int error = o->hdr ? report_write_hdr(r, o->hdr) : 0;
	if (error) {
		fprintf(stderr, "weft load: --hdr '%s': %s\n", o->hdr, strerror(-error));
		status = COMMAND_FAILED;
	}
	error = o->histogram ? report_write_histogram(r, o->histogram) : 0;
	if (error) {
		fprintf(stderr, "weft load: --histogram '%s': %s\n", o->histogram,
			strerror(-error));
		status = COMMAND_FAILED;
	}
	return status;
}

/* Starts the threads, lets all connect, and starts them together, or none. */
static int run_threads(const struct options *o, struct load_result *total)
{
	int threads = o->set.threads, started = 0, error = 0;
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	run.main_thread = pthread_self();
	store_rlx(&run.running, threads);
	pthread_barrier_init(&run.connected, NULL, (unsigned)threads + 1);
	pthread_barrier_init(&run.decided, NULL, (unsigned)threads + 1);
	for (; started < threads; started++) {
		struct worker *w = &run.workers[started];
		w->part = started;
		w->cpu = o->cpu_count ? o->cpus[started % o->cpu_count] : -1;
		error = pthread_create(&w->thread, NULL, work, w);
		if (error) { /* the others wait at the barrier: end with the process */
			fprintf(stderr, "weft load: cannot start thread %d: %s\n", started,
				strerror(error));
			exit(COMMAND_FAILED);
		}
	}
	pthread_barrier_wait(&run.connected);
	for (int i = 0; i < threads; i++)
		run.aborted |= run.workers[i].error != 0;
	run.start = tsc_now() + tsc_ticks(HEAD_START_NS);
	pthread_barrier_wait(&run.decided);
	enum run_end end = wait_for_end(&signals);
	for (int i = 0; i < threads; i++) {
		pthread_join(run.workers[i].thread, NULL);
		if (!run.aborted)
			load_result_merge(total, generator_result(run.workers[i].generator));
	}
	int status = run.aborted ? report_abort(threads) : report(o, total, end);
	for (int i = 0; i < threads; i++)
		if (run.workers[i].generator)
			generator_free(run.workers[i].generator);
	pthread_barrier_destroy(&run.connected);
	pthread_barrier_destroy(&run.decided);
	return status;
}

static int run_load(int argc, char **argv)
{
	static struct options o = {.set = {.connections = 64,
					   .threads = 1,
					   .seconds = 10,
					   .warmup = 1,
					   .timeout = 2,
					   .seed = 1},
				   .size = 64};
	static struct load_result total;
	char why[TARGET_WHY_MAX];
	parse(&o, argc, argv);
	reserve_descriptors(o.set.connections, o.set.threads);
	check_writable("--hdr", o.hdr);
	check_writable("--histogram", o.histogram);
#ifndef __OPTIMIZE__
	fprintf(stderr, "weft load: built without optimisation: no numbers\n");
	return COMMAND_FAILED;
#endif
	choose_pacing(&o);
	tsc_init();
	if (target_resolve(&o.set.target, why)) {
		fprintf(stderr, "weft load: %s\n", why);
		return COMMAND_FAILED;
	}
	if (target_prepare(&o.set.target, (size_t)o.size) || load_result_init(&total)) {
		fprintf(stderr, "weft load: %s\n", strerror(ENOMEM));
		return COMMAND_FAILED;
	}
	run.set = &o.set;
	int status = run_threads(&o, &total);
	load_result_fini(&total);
	target_fini(&o.set.target);
	return status;
}

const struct command load_command = {
    "load", "the load generator: open loop, latency from the intended time", run_load};
