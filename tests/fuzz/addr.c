/* The parser of addresses under any text: it stays inside it, and what it takes says what the text said. */
#include "net/addr.h"
#include "tests/fuzz/corpus.h"

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

#ifndef WEFT_FUZZER
#include "tests/test.h"

enum { LONGEST = 512 };

TEST(the_corpus)
{
	const struct corpus *c = corpus_load(WEFT_CORPUS, LONGEST);
	for (size_t i = 0; i < c->count; i++)
		for (size_t n = 0; n <= c->entries[i].len; n++)
			LLVMFuzzerTestOneInput(c->entries[i].bytes, n);
}

TEST(mutations_of_the_corpus)
{
	static const char alphabet[] = ":/[]0159.%x\t \x00\x7f\xff";
	corpus_mutate(corpus_load(WEFT_CORPUS, LONGEST), test_rounds(500000), alphabet, sizeof alphabet,
		      LLVMFuzzerTestOneInput);
}
#endif
