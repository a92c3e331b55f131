/* The parser of addresses under any text: it stays inside it, and what it takes says what the text said.
 *
 * Built with -DWEFT_FUZZER this is a libFuzzer target. Otherwise it is a test that runs the corpus, and
 * mutations of its entries from a fixed seed.
 */
#include "net/addr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void must(int holds)
{
	if (!holds)
		abort();
}

/* The text that stands for what was parsed. */
static void print(const struct addr_text *a, char *text, size_t size)
{
	if (a->family == AF_UNIX)
		snprintf(text, size, "unix://%s", a->host);
	else if (strchr(a->host, ':'))
		snprintf(text, size, "tcp://[%s]:%s", a->host, a->port);
	else
		snprintf(text, size, "tcp://%s:%s", a->host, a->port);
}

static void check_tcp(const struct addr_text *a, const char *text)
{
	size_t host = strlen(a->host), port = strlen(a->port), n = strlen(text);
	must(a->family == AF_UNSPEC && host > 0 && port > 0 && port <= 5);
	must(strspn(a->port, "0123456789") == port && atoi(a->port) <= 65535);
	must(!strcmp(text + n - port, a->port) && text[n - port - 1] == ':');
	bool brackets = text[6] == '[';
	must(n == 6 + host + 1 + port + (brackets ? 2 : 0));
	must(!memcmp(text + 6 + brackets, a->host, host));
	must(brackets || !strchr(a->host, ':'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1); /* a block of its own length, so that a sanitizer sees a byte too far */
	struct addr_text a, again;
	char printed[ADDR_TEXT_MAX + 32];
	must(text != NULL);
	memcpy(text, data, n);
	text[n] = 0;
	int err = addr_parse(&a, text);
	must(err == 0 || err == -EINVAL);
	if (err == 0) {
		if (a.family == AF_UNIX)
			must(!strcmp(a.host, text + 7) && strlen(a.host) < sizeof((struct sockaddr_un *)0)->sun_path);
		else
			check_tcp(&a, text);
		print(&a, printed, sizeof printed);
		must(addr_parse(&again, printed) == 0);
		must(!memcmp(&a, &again, sizeof a));
	}
	free(text);
	return 0;
}

#ifdef WEFT_FUZZER
#include <weft/go.h>

/* Resolving is not what is fuzzed: nothing of the runtime is wanted. */
uint64_t weft_goroutine_id(void)
{
	return 0;
}

void weft_block_begin(void)
{
}

void weft_block_end(void)
{
}
#else
#include "tests/random.h"
#include "tests/test.h"

#include <dirent.h>

enum { ENTRIES_MAX = 64, ENTRY_BYTES = 512 };

static struct {
	uint8_t bytes[ENTRY_BYTES];
	size_t len;
} corpus[ENTRIES_MAX];
static size_t corpus_count;

static void load_corpus(void)
{
	DIR *dir = opendir(WEFT_CORPUS);
	CHECK(dir);
	for (struct dirent *e; (e = readdir(dir)) && corpus_count < ENTRIES_MAX;) {
		char path[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", WEFT_CORPUS, e->d_name);
		FILE *f = fopen(path, "re");
		CHECK(f);
		corpus[corpus_count].len = fread(corpus[corpus_count].bytes, 1, ENTRY_BYTES, f);
		corpus_count++;
		fclose(f);
	}
	closedir(dir);
	CHECK(corpus_count >= 10);
}

TEST(the_corpus)
{
	load_corpus();
	for (size_t i = 0; i < corpus_count; i++)
		for (size_t n = 0; n <= corpus[i].len; n++)
			LLVMFuzzerTestOneInput(corpus[i].bytes, n);
}

/* Flips, inserts, deletes and splices, as a fuzzer does. */
static size_t mutate(uint8_t *bytes, size_t len, uint64_t *state)
{
	static const char interesting[] = ":/[]0159.%x\t \x00\x7f\xff";
	for (uint64_t changes = 1 + draw(state) % 4; changes--;) {
		size_t at = draw(state) % (len + 1);
		size_t other = draw(state) % corpus_count, from = draw(state) % (corpus[other].len + 1);
		size_t n = corpus[other].len - from;
		switch (draw(state) % 4) {
		case 0:
			if (at < len)
				bytes[at] ^= (uint8_t)(1u << draw(state) % 8);
			break;
		case 1:
			if (len == ENTRY_BYTES)
				break;
			memmove(bytes + at + 1, bytes + at, len++ - at);
			bytes[at] = (uint8_t)interesting[draw(state) % sizeof interesting];
			break;
		case 2:
			if (at < len)
				memmove(bytes + at, bytes + at + 1, --len - at);
			break;
		default:
			if (n > ENTRY_BYTES - at)
				n = ENTRY_BYTES - at;
			memcpy(bytes + at, corpus[other].bytes + from, n);
			len = at + n;
		}
	}
	return len;
}

TEST(mutations_of_the_corpus)
{
	static uint8_t bytes[ENTRY_BYTES];
	uint64_t state = 88172645463325252u;
	load_corpus();
	for (int64_t i = test_rounds(500000); i > 0; i--) {
		size_t which = draw(&state) % corpus_count;
		memcpy(bytes, corpus[which].bytes, corpus[which].len);
		LLVMFuzzerTestOneInput(bytes, mutate(bytes, corpus[which].len, &state));
	}
}
#endif
