#include "bench/load/http_response.h"
#include "bench/load/report.h"
#include "bench/load/schedule.h"
#include "bench/load/target.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>

/* The schedule */

TEST(poisson_gaps_have_the_mean_and_the_spread_of_an_exponential)
{
	struct schedule s;
	enum { N = 200000 };
	double last = 0, squares = 0;
	int above_mean = 0;
	schedule_init(&s, ARRIVALS_POISSON, 1000, 42, 0, 1);
	for (int i = 0; i < N; i++) {
		double at = schedule_next(&s), gap = at - last;
		CHECK(gap >= 0);
		squares += gap * gap;
		above_mean += gap > 1000;
		last = at;
	}
	CHECK(fabs(last / N - 1000) < 10);	   /* 4.5 standard errors */
	CHECK(fabs(squares / N / 2e6 - 1) < 0.03); /* E[gap^2] = 2 mean^2 */
	CHECK(fabs(above_mean / (double)N - exp(-1)) < 0.006);
}

TEST(a_seed_gives_the_same_schedule_and_another_seed_another)
{
	struct schedule a, b, c, d;
	schedule_init(&a, ARRIVALS_POISSON, 7, 5, 0, 2);
	schedule_init(&b, ARRIVALS_POISSON, 7, 5, 0, 2);
	schedule_init(&c, ARRIVALS_POISSON, 7, 6, 0, 2);
	schedule_init(&d, ARRIVALS_POISSON, 7, 5, 1, 2);
	int same_seed = 0, same_thread = 0;
	for (int i = 0; i < 1000; i++) {
		double at = schedule_next(&a);
		CHECK(at == schedule_next(&b));
		same_seed += at == schedule_next(&c);
		same_thread += at == schedule_next(&d);
	}
	CHECK_EQ(same_seed, 0);
	CHECK_EQ(same_thread, 0);
}

TEST(constant_gaps_do_not_drift_and_threads_interleave)
{
	struct schedule a, b;
	schedule_init(&a, ARRIVALS_CONSTANT, 20.1, 1, 0, 2);
	schedule_init(&b, ARRIVALS_CONSTANT, 20.1, 1, 1, 2);
	for (int i = 0; i < 1000000; i++) {
		double x = schedule_next(&a), y = schedule_next(&b);
		CHECK(fabs(x - i * 20.1) < 1e-6 && fabs(y - x - 10.05) < 1e-6);
	}
}

/* The URL */

TEST(urls_are_taken_apart)
{
	struct target t;
	char why[TARGET_WHY_MAX];
	CHECK_EQ(target_parse(&t, "http://127.0.0.1:8080/a/b?c=d", why), 0);
	CHECK(t.protocol == PROTOCOL_HTTP);
	CHECK_STR(t.host, "127.0.0.1");
	CHECK_STR(t.port, "8080");
	CHECK_STR(t.path, "/a/b?c=d");
	CHECK_STR(t.authority, "127.0.0.1:8080");
	CHECK_EQ(target_prepare(&t, 64), 0);
	CHECK_STR(t.request, "GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
	target_fini(&t);
	CHECK_EQ(target_parse(&t, "http://localhost", why), 0);
	CHECK_STR(t.port, "80");
	CHECK_STR(t.path, "/");
	CHECK_EQ(target_parse(&t, "tcp://[::1]:7", why), 0);
	CHECK_STR(t.host, "::1");
	CHECK_STR(t.port, "7");
	CHECK_EQ(target_resolve(&t, why), 0);
	CHECK(t.addr.ss_family == AF_INET6);
}

TEST(bad_urls_are_refused_with_a_reason)
{
	static const char *const bad[] = {"",
					  "http://",
					  "https://127.0.0.1/",
					  "127.0.0.1:80",
					  "http://:80/",
					  "http://a:0/",
					  "http://a:65536/",
					  "http://a:8x/",
					  "http://a:/",
					  "http://a b/",
					  "http://a/\n",
					  "http://a/#x",
					  "http://[::1/",
					  "http://[::1]x/",
					  "http://u@a/",
					  "http://a?x",
					  "tcp://127.0.0.1",
					  "tcp://127.0.0.1:7/",
					  "udp://127.0.0.1:7/x",
					  "http://a:123456/",
					  "tcp://[]:1",
					  "http://a/\xc3\xa4"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct target t;
		char why[TARGET_WHY_MAX] = "";
		if (target_parse(&t, bad[i], why) != -EINVAL || !why[0])
			test_fail(__FILE__, __LINE__, "accepted '%s'", bad[i]);
	}
	struct target t;
	char why[TARGET_WHY_MAX], url[3000] = "http://a/";
	memset(url + 9, 'x', 2500);
	CHECK_EQ(target_parse(&t, url, why), -EINVAL);
	url[300] = 0;
	memset(url + 7, 'x', 293);
	CHECK_EQ(target_parse(&t, url, why), -EINVAL); /* a host of 293 bytes */
}

/* The response */

static const struct http_expect hello = {"hello", 5}, any = {NULL, 0};

static ssize_t feed(struct http_response *r, const struct http_expect *expect, const char *text)
{
	http_response_init(r, expect);
	return http_response_feed(r, text, strlen(text));
}

TEST(responses_that_are_complete)
{
	static const struct {
		const char *text;
		int status;
		bool keep_alive;
	} good[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, true},
	    {"HTTP/1.1 200 \r\ncontent-length:5\r\n\r\nhello", 200, true},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, true},
	    {"HTTP/1.1 200 OK\r\nContent-Length:  5\t \r\nConnection: x, Close\r\n\r\nhello", 200,
	     false},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, false},
	    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", 200,
	     true},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
	     "Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
	     200, true},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n005 ;x\r\nhello\r\n0\r\nT: "
	     "1\r\n\r\n",
	     200, true},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n"
	     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	     200, true},
	    {"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nhello", 503, true},
	};
	struct http_response r;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (feed(&r, &hello, good[i].text) != (ssize_t)strlen(good[i].text) ||
		    r.state != HTTP_DONE)
			test_fail(__FILE__, __LINE__, "refused %s: %s", good[i].text, r.why);
		CHECK(r.status == good[i].status && r.keep_alive == good[i].keep_alive &&
		      !r.mismatch);
		CHECK_EQ(r.body_len, 5);
	}
	CHECK(feed(&r, &any, "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n") > 0 &&
	      r.state == HTTP_DONE);
	CHECK(feed(&r, &any, "HTTP/1.1 304 No\r\n\r\n") > 0 && r.state == HTTP_DONE);
	CHECK(feed(&r, &any, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") > 0 &&
	      r.state == HTTP_DONE);
}

TEST(responses_that_are_refused)
{
	static const char *const bad[] = {
	    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
	    "HTTP/1.1 200\r\n\r\n",
	    "HTTP/2.0 200 OK\r\n\r\n",
	    "HTTP/1.2 200 OK\r\n\r\n",
	    "http/1.1 200 OK\r\n\r\n",
	    "HTTP/1.1  200 OK\r\n\r\n",
	    "HTTP/1.1 99 OK\r\n\r\n",
	    "HTTP/1.1 099 OK\r\n\r\n",
	    "HTTP/1.1 600 OK\r\n\r\n",
	    "HTTP/1.1 2x0 OK\r\n\r\n",
	    "HTTP/1.1 101 Switching\r\n\r\n",
	    "HTTP/1.1 200 OK\rx\r\n\r\n",
	    "HTTP/1.1 200 O\x01K\r\n\r\n",
	    "\r\nHTTP/1.1 200 OK\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 2\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_response r;
		if (feed(&r, &any, bad[i]) != -EPROTO || !r.why)
			test_fail(__FILE__, __LINE__, "accepted (state %d) %s", r.state, bad[i]);
		CHECK_EQ(http_response_feed(&r, "x", 1), -EPROTO); /* and stays so */
		CHECK_EQ(http_response_eof(&r), -EPROTO);
	}
}

TEST(a_head_is_bounded_and_a_long_header_that_matters_is_refused)
{
	struct http_response r;
	char line[600];
	memset(line, 'x', sizeof line);
	feed(&r, &any, "HTTP/1.1 200 OK\r\nX: ");
	CHECK(http_response_feed(&r, line, sizeof line) == sizeof line);
	CHECK(http_response_feed(&r, "\r\nContent-Length: 0\r\n\r\n", 23) == 23 &&
	      r.state == HTTP_DONE);
	feed(&r, &any, "HTTP/1.1 200 OK\r\nConnection: ");
	CHECK(http_response_feed(&r, line, sizeof line) == sizeof line);
	CHECK_EQ(http_response_feed(&r, "\r\n", 2), -EPROTO);
	feed(&r, &any, "HTTP/1.1 200 OK\r\nX: ");
	ssize_t n = 0;
	for (int i = 0; n >= 0; i++) {
		CHECK(i < 1000);
		n = http_response_feed(&r, line, sizeof line);
	}
	feed(&r, &any, ""); /* interim responses without end */
	n = 0;
	for (int i = 0; n >= 0; i++) {
		CHECK(i < 10000);
		n = http_response_feed(&r, "HTTP/1.1 100 C\r\n\r\n", 18);
	}
}

TEST(bodies_are_compared_wherever_they_are_split)
{
	static const char *const other[] = {
	    "Content-Length: 5\r\n\r\nhellO",
	    "Content-Length: 4\r\n\r\nhell",
	    "Content-Length: 6\r\n\r\nhellos",
	    "Content-Length: 0\r\n\r\n",
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n",
	    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\no\r\n0\r\n\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		for (int bytewise = 0; bytewise < 2; bytewise++) {
			struct http_response r;
			feed(&r, &hello, "HTTP/1.1 200 OK\r\n");
			for (size_t at = 0, n = strlen(other[i]); at < n; at += bytewise ? 1 : n)
				CHECK(http_response_feed(&r, other[i] + at, bytewise ? 1 : n) > 0);
			CHECK(r.state == HTTP_DONE && r.mismatch);
		}
}

TEST(the_end_of_the_stream_ends_some_responses)
{
	struct http_response r;
	feed(&r, &hello, "HTTP/1.1 200 OK\r\n\r\nhello");
	CHECK(r.state == HTTP_BODY_UNTIL_CLOSE);
	CHECK(http_response_eof(&r) == 0 && r.state == HTTP_DONE && !r.mismatch && !r.keep_alive);
	feed(&r, &hello, "HTTP/1.1 200 OK\r\n\r\nhell");
	CHECK(http_response_eof(&r) == 0 && r.mismatch);
	feed(&r, &hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
	CHECK_EQ(http_response_eof(&r), -EPROTO);
	CHECK_STR(r.why, "closed within a response");
	feed(&r, &hello, "");
	CHECK_EQ(http_response_eof(&r), -EPROTO);
	CHECK_STR(r.why, "closed without a response");
}

TEST(what_follows_a_response_is_left_alone)
{
	struct http_response r;
	CHECK_EQ(feed(&r, &hello, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP"), 43);
	CHECK(r.state == HTTP_DONE);
	CHECK_EQ(http_response_feed(&r, "HTTP", 4), 0);
}

/* The verdict */

static void fill(struct load_result *r, uint64_t count, uint64_t tail_own_ns)
{
	CHECK(load_result_init(r) == 0);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t latency = i % 500 ? 30000 : 200000; /* 1 in 500: seen at p99.9 */
		uint64_t own = i % 500 ? 100 : tail_own_ns;
		histogram_record(&r->latency, latency);
		histogram_record(&r->rest, latency - own);
	}
	store_rlx(&r->counts.offered, count);
	store_rlx(&r->counts.answered, count);
	store_rlx(&r->counts.in_window, count);
	r->measured_seconds = 1;
}

/* Without what a sanitizer build adds. */
static const char *judge(struct load_result *r, enum load_mode mode, enum run_end end)
{
	static char why[REPORT_WHY_MAX];
	struct load_settings s = {.mode = mode};
	report_judge(&s, r, end, why);
	char *rest = strstr(why, "built with a sanitizer");
	if (!rest)
		return why;
	rest = strchr(rest, ')') + 1;
	return *rest == ';' ? rest + 2 : rest;
}

TEST(a_clean_run_is_valid)
{
	static struct load_result r;
	fill(&r, 100000, 90000);
	CHECK_STR(judge(&r, LOAD_OPEN, RUN_COMPLETE), "");
	load_result_fini(&r);
}

TEST(a_tail_that_the_generator_explains_is_invalid)
{
	static struct load_result r;
	fill(&r, 100000, 150000);
	CHECK(
	    strstr(judge(&r, LOAD_OPEN, RUN_COMPLETE), "own delay explains the tail: p99.9 200."));
	CHECK_STR(judge(&r, LOAD_CLOSED, RUN_COMPLETE), "");
	load_result_fini(&r);
	static struct load_result few; /* p99.9 cannot be shown, so it is not judged either */
	fill(&few, 99999, 150000);
	CHECK_STR(judge(&few, LOAD_OPEN, RUN_COMPLETE), "");
	load_result_fini(&few);
}

TEST(shortfall_errors_few_samples_and_interruption_are_invalid)
{
	static struct load_result r;
	fill(&r, 10000, 0);
	store_rlx(&r.counts.in_window, 9901);
	CHECK_STR(judge(&r, LOAD_OPEN, RUN_COMPLETE), "");
	store_rlx(&r.counts.in_window, 9890);
	CHECK_STR(judge(&r, LOAD_OPEN, RUN_COMPLETE), "achieved 9890/s of 10000/s offered");
	CHECK_STR(judge(&r, LOAD_CLOSED, RUN_COMPLETE), "");
	store_rlx(&r.counts.in_window, 10000);
	store_rlx(&r.counts.error_status, 3);
	strcpy(r.first_error, "status 500");
	CHECK_STR(judge(&r, LOAD_OPEN, RUN_COMPLETE), "3 errors (first: status 500)");
	store_rlx(&r.counts.error_status, 0);
	store_rlx(&r.counts.mismatches, 1);
	CHECK_STR(judge(&r, LOAD_OPEN, RUN_COMPLETE), "1 wrong bodies");
	store_rlx(&r.counts.mismatches, 0);
	char why[REPORT_WHY_MAX];
	report_judge(&(struct load_settings){0}, &r, RUN_INTERRUPTED, why);
	CHECK(!strncmp(why, "interrupted", 11));
	load_result_fini(&r);
	static struct load_result few;
	fill(&few, 999, 0);
	CHECK_STR(judge(&few, LOAD_OPEN, RUN_COMPLETE), "999 samples are too few, 1000 are needed");
	load_result_fini(&few);
}
