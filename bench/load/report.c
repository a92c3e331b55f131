#include "bench/load/report.h"
#include "lockfree/tsc.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

enum { SHORTFALL_SLACK = 10, CURVE_TICKS = 5 };

struct quantile {
	const char *key, *label;
	double at;
};
static const struct quantile quantiles[] = {{"p50", "p50", 0.5},
					    {"p90", "p90", 0.9},
					    {"p99", "p99", 0.99},
					    {"p999", "p99.9", 0.999},
					    {"p9999", "p99.99", 0.9999}};
enum { FIRST_OF_TAIL = 2 };

static uint64_t errors(const struct load_counts *c)
{
	return load_rlx(&c->error_status) + load_rlx(&c->error_protocol) +
	       load_rlx(&c->error_closed) + load_rlx(&c->error_connect);
}

static double per_second(uint64_t n, const struct load_result *r)
{
	return r->measured_seconds > 0 ? (double)n / r->measured_seconds : 0;
}

static double us(uint64_t ns)
{
	return (double)ns / 1e3;
}

/* Validity */

static void add_reason(char why[REPORT_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void add_reason(char why[REPORT_WHY_MAX], const char *fmt, ...)
{
	size_t at = strlen(why);
	if (at + 3 >= REPORT_WHY_MAX)
		return;
	if (at) {
		strcpy(why + at, "; ");
		at += 2;
	}
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why + at, REPORT_WHY_MAX - at, fmt, ap);
	va_end(ap);
}

/* The generator explains a tail if, its own delay taken off each request, less than half is left.
 */
static void judge_delay(const struct load_result *r, char why[REPORT_WHY_MAX])
{
	uint64_t count = histogram_count(&r->latency);
	for (size_t i = FIRST_OF_TAIL; i < ARRAY_LEN(quantiles); i++) {
		double with = us(histogram_quantile(&r->latency, quantiles[i].at));
		double without = us(histogram_quantile(&r->rest, quantiles[i].at));
		if (!histogram_shows(count, quantiles[i].at) || without >= REST_SHARE_MIN * with)
			continue;
		add_reason(
		    why,
		    "the generator's own delay explains the tail: %s %.1f us, without it %.1f us",
		    quantiles[i].label, with, without);
		return;
	}
}

static void judge_answers(const struct load_settings *s, const struct load_result *r,
			  char why[REPORT_WHY_MAX])
{
	const struct load_counts *c = &r->counts;
	uint64_t count = histogram_count(&r->latency);
	uint64_t offered = load_rlx(&c->offered), in_window = load_rlx(&c->in_window);
	if (count < SAMPLES_MIN)
		add_reason(why, "%" PRIu64 " samples are too few, %d are needed", count,
			   SAMPLES_MIN);
	if (errors(c))
		add_reason(why, "%" PRIu64 " errors (first: %s)", errors(c), r->first_error);
	if (load_rlx(&c->mismatches))
		add_reason(why, "%" PRIu64 " wrong bodies", load_rlx(&c->mismatches));
	if (s->mode == LOAD_OPEN && (double)in_window < ACHIEVED_SHARE_MIN * (double)offered &&
	    in_window + SHORTFALL_SLACK < offered)
		add_reason(why, "achieved %.0f/s of %.0f/s offered", per_second(in_window, r),
			   per_second(offered, r));
	else if (s->mode == LOAD_CLOSED && load_rlx(&c->timeouts))
		add_reason(why, "%" PRIu64 " time-outs", load_rlx(&c->timeouts));
}

void report_judge(const struct load_settings *s, const struct load_result *r, enum run_end end,
		  char why[REPORT_WHY_MAX])
{
	why[0] = 0;
	if (end == RUN_INTERRUPTED)
		add_reason(why, "interrupted");
	if (!strcmp(WEFT_FLAVOUR, "asan") || !strcmp(WEFT_FLAVOUR, "tsan"))
		add_reason(why, "built with a sanitizer (%s)", WEFT_FLAVOUR);
	judge_answers(s, r, why);
	if (s->mode == LOAD_OPEN)
		judge_delay(r, why);
}

/* JSON */

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *shown(const struct histogram *h, uint64_t count, double quantile)
{
	if (!histogram_shows(count, quantile))
		return json_null();
	return json_real(us(histogram_quantile(h, quantile)));
}

static json_t *max_of(const struct histogram *h, uint64_t count)
{
	return count ? json_real(us(histogram_max(h))) : json_null();
}

static void add_quantiles(json_t *to, const struct histogram *h, uint64_t count)
{
	for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
		json_object_set_new(to, quantiles[i].key, shown(h, count, quantiles[i].at));
	json_object_set_new(to, "max", max_of(h, count));
}

static json_t *latency_json(const struct histogram *h)
{
	json_t *o = json_object();
	uint64_t count = histogram_count(h);
	json_object_set_new(o, "count", number(count));
	json_object_set_new(o, "min", count ? json_real(us(histogram_min(h))) : json_null());
	json_object_set_new(o, "mean", count ? json_real(histogram_mean(h) / 1e3) : json_null());
	add_quantiles(o, h, count);
	return o;
}

static json_t *quantiles_json(const struct histogram *h)
{
	json_t *o = json_object();
	add_quantiles(o, h, histogram_count(h));
	return o;
}

static json_t *curve_json(const struct histogram *h)
{
	json_t *curve = json_array();
	struct histogram_point p = {.ticks = CURVE_TICKS};
	while (histogram_next_point(h, &p))
		json_array_append_new(
		    curve, json_pack("[f,f,I]", p.quantile, us(p.value), (json_int_t)p.count));
	return curve;
}

static json_t *settings_json(const struct load_settings *s)
{
	bool open = s->mode == LOAD_OPEN;
	json_t *o = json_object();
	json_object_set_new(o, "mode", json_string(open ? "open" : "closed"));
	json_object_set_new(o, "url", json_string(s->target.url));
	json_object_set_new(
	    o, "arrivals",
	    !open ? json_null()
		  : json_string(s->arrivals == ARRIVALS_POISSON ? "poisson" : "constant"));
	json_object_set_new(o, "seed", open ? number(s->seed) : json_null());
	json_object_set_new(o, "rate", open ? json_real(s->rate) : json_null());
	json_object_set_new(o, "connections", json_integer(s->connections));
	json_object_set_new(o, "threads", json_integer(s->threads));
	json_object_set_new(o, "warmup_s", json_real(s->warmup));
	json_object_set_new(o, "timeout_s", json_real(s->timeout));
	json_object_set_new(o, "pacing", json_string(s->pacing == PACING_POLL ? "poll" : "sleep"));
	json_object_set_new(o, "clock", json_string(tsc_source()));
	return o;
}

static void add_counts(json_t *o, const struct load_counts *c)
{
	json_object_set_new(o, "requests", number(load_rlx(&c->offered)));
	json_object_set_new(o, "answered", number(load_rlx(&c->answered)));
	json_object_set_new(o, "errors", number(errors(c)));
	json_object_set_new(o, "error_kinds",
			    json_pack("{s:I,s:I,s:I,s:I}", "connect",
				      (json_int_t)load_rlx(&c->error_connect), "closed",
				      (json_int_t)load_rlx(&c->error_closed), "protocol",
				      (json_int_t)load_rlx(&c->error_protocol), "status",
				      (json_int_t)load_rlx(&c->error_status)));
	json_object_set_new(o, "timeouts", number(load_rlx(&c->timeouts)));
	json_object_set_new(o, "unanswered", number(load_rlx(&c->unanswered)));
	json_object_set_new(o, "mismatches", number(load_rlx(&c->mismatches)));
	json_object_set_new(o, "reconnects", number(load_rlx(&c->reconnects)));
	json_object_set_new(o, "strays", number(load_rlx(&c->strays)));
}

void report_json(const struct load_settings *s, const struct load_result *r, const char *why)
{
	bool open = s->mode == LOAD_OPEN;
	const struct load_counts *c = &r->counts;
	uint64_t answers = load_rlx(&c->in_window);
	json_t *o = settings_json(s), *cpu = json_object();
	json_object_set_new(o, "duration_s", json_real(r->measured_seconds));
	json_object_set_new(o, "offered_rate",
			    open ? json_real(per_second(load_rlx(&c->offered), r)) : json_null());
	json_object_set_new(o, "achieved_rate", json_real(per_second(answers, r)));
	add_counts(o, c);
	json_object_set_new(o, "late_sends", open ? number(load_rlx(&c->late_sends)) : json_null());
	json_object_set_new(o, "late_bound_us", json_integer(LATE_BOUND_US));
	json_object_set_new(o, "latency_us", latency_json(&r->latency));
	json_object_set_new(o, "lateness_us", open ? quantiles_json(&r->lateness) : json_null());
	json_object_set_new(o, "latency_without_own_delay_us",
			    open ? quantiles_json(&r->rest) : json_null());
	json_object_set_new(o, "hiccups_us",
			    s->pacing == PACING_POLL ? quantiles_json(&r->gaps) : json_null());
	json_object_set_new(o, "percentiles", curve_json(&r->latency));
	json_object_set_new(cpu, "user",
			    answers ? json_real(r->user_us / (double)answers) : json_null());
	json_object_set_new(cpu, "system",
			    answers ? json_real(r->system_us / (double)answers) : json_null());
	json_object_set_new(o, "cpu_us_per_op", cpu);
	json_object_set_new(o, "valid", json_boolean(!*why));
	json_object_set_new(o, "why", json_string(why));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(o);
}

/* The table */

static bool print_row(const char *label, const struct histogram *h)
{
	uint64_t count = histogram_count(h);
	bool withheld = false;
	printf("%-10s", label);
	for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
		if (histogram_shows(count, quantiles[i].at))
			printf(" %9.1f", us(histogram_quantile(h, quantiles[i].at)));
		else
			withheld = printf(" %9s", "-") > 0;
	printf(" %9.1f\n", us(histogram_max(h)));
	return withheld;
}

static void print_settings(const struct load_settings *s, const struct load_result *r)
{
	if (s->mode == LOAD_OPEN)
		printf("open loop, %s arrivals, seed %" PRIu64
		       "; latency from the intended time of sending\n",
		       s->arrivals == ARRIVALS_POISSON ? "Poisson" : "constant", s->seed);
	else
		printf("CLOSED LOOP: latencies leave out queueing\n");
	printf("%s  %d connection%s, %d thread%s, %.1f s after %.1f s of warm-up, clock: %s\n",
	       s->target.url, s->connections, s->connections == 1 ? "" : "s", s->threads,
	       s->threads == 1 ? "" : "s", r->measured_seconds, s->warmup, tsc_source());
}

static void print_counts(const struct load_settings *s, const struct load_result *r)
{
	const struct load_counts *c = &r->counts;
	printf("rate       ");
	if (s->mode == LOAD_OPEN)
		printf("offered %.0f/s, ", per_second(load_rlx(&c->offered), r));
	printf("achieved %.0f/s\n", per_second(load_rlx(&c->in_window), r));
	printf("requests   %" PRIu64 ": %" PRIu64 " answered, %" PRIu64 " errors, %" PRIu64
	       " time-outs, %" PRIu64 " wrong bodies",
	       load_rlx(&c->offered), load_rlx(&c->answered), errors(c), load_rlx(&c->timeouts),
	       load_rlx(&c->mismatches));
	if (load_rlx(&c->unanswered))
		printf(", %" PRIu64 " unanswered", load_rlx(&c->unanswered));
	if (s->mode == LOAD_OPEN)
		printf("; %" PRIu64 " sent later than %d us", load_rlx(&c->late_sends),
		       LATE_BOUND_US);
	printf("\n\n");
}

void report_table(const struct load_settings *s, const struct load_result *r, const char *why)
{
	bool withheld;
	uint64_t answers = load_rlx(&r->counts.in_window);
	print_settings(s, r);
	print_counts(s, r);
	printf("%-10s", "us");
	for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
		printf(" %9s", quantiles[i].label);
	printf(" %9s\n", "max");
	withheld = print_row("latency", &r->latency);
	if (s->mode == LOAD_OPEN)
		print_row("lateness", &r->lateness);
	if (s->pacing == PACING_POLL)
		print_row("hiccups", &r->gaps);
	if (withheld)
		printf("-: fewer than %d samples beyond it\n", HISTOGRAM_BEYOND_MIN);
	if (answers)
		printf("\ncpu        %.2f us user, %.2f us system per answer (of the generator)\n",
		       r->user_us / (double)answers, r->system_us / (double)answers);
	printf("%s%s\n", *why ? "INVALID    " : "valid", why);
}

/* Files */

static int write_file(const char *path, const struct histogram *h,
		      int (*write)(const struct histogram *, FILE *))
{
	FILE *f = fopen(path, "we");
	if (!f)
		return -errno;
	int error = write(h, f);
	if (fclose(f) && !error)
		error = -errno;
	return error;
}

static int write_hdr_us(const struct histogram *h, FILE *f)
{
	return histogram_write_hdr(h, f, 1e3);
}

int report_write_hdr(const struct load_result *r, const char *path)
{
	return write_file(path, &r->latency, write_hdr_us);
}

int report_write_histogram(const struct load_result *r, const char *path)
{
	return write_file(path, &r->latency, histogram_write);
}
