#include "tests/fuzz/corpus.h"
#include "tests/random.h"
#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static void load_entry(struct corpus *c, const char *folder, const char *name)
{
	struct corpus_entry *entry = &c->entries[c->count++];
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "re");
	CHECK(f);
	entry->len = fread(entry->bytes, 1, c->longest, f);
	fclose(f);
}

const struct corpus *corpus_load(const char *folder, size_t longest)
{
	static struct corpus c;
	DIR *dir = opendir(folder);
	CHECK(dir && longest <= CORPUS_BYTES_MAX);
	c.longest = longest;
	for (struct dirent *e; (e = readdir(dir)) && c.count < CORPUS_ENTRIES_MAX;)
		if (e->d_name[0] != '.')
			load_entry(&c, folder, e->d_name);
	closedir(dir);
	CHECK(c.count >= 10);
	return &c;
}

struct mutant {
	uint8_t bytes[CORPUS_BYTES_MAX];
	size_t len;
};

static void flip(struct mutant *m, size_t at, uint64_t bit)
{
	if (at < m->len)
		m->bytes[at] ^= (uint8_t)(1u << bit);
}

static void put_in(struct mutant *m, size_t at, char byte, size_t longest)
{
	if (m->len == longest)
		return;
	memmove(m->bytes + at + 1, m->bytes + at, m->len++ - at);
	m->bytes[at] = (uint8_t)byte;
}

static void take_out(struct mutant *m, size_t at)
{
	if (at < m->len)
		memmove(m->bytes + at, m->bytes + at + 1, --m->len - at);
}

/* The rest becomes that of another entry. */
static void splice(struct mutant *m, size_t at, const struct corpus_entry *other, size_t from, size_t longest)
{
	size_t n = other->len - from;
	if (n > longest - at)
		n = longest - at;
	memcpy(m->bytes + at, other->bytes + from, n);
	m->len = at + n;
}

static void change(struct mutant *m, const struct corpus *c, const char *alphabet, size_t alphabet_len, uint64_t *state)
{
	size_t at = draw_below(state, m->len + 1);
	const struct corpus_entry *other = &c->entries[draw_below(state, c->count)];
	switch (draw_below(state, 4)) {
	case 0:
		flip(m, at, draw_below(state, 8));
		break;
	case 1:
		put_in(m, at, alphabet[draw_below(state, alphabet_len)], c->longest);
		break;
	case 2:
		take_out(m, at);
		break;
	default:
		splice(m, at, other, draw_below(state, other->len + 1), c->longest);
	}
}

void corpus_mutate(const struct corpus *c, int64_t rounds, const char *alphabet, size_t alphabet_len,
		   int (*target)(const uint8_t *data, size_t n))
{
	static struct mutant m;
	uint64_t state = 88172645463325252u;
	for (; rounds > 0; rounds--) {
		const struct corpus_entry *entry = &c->entries[draw_below(&state, c->count)];
		memcpy(m.bytes, entry->bytes, entry->len);
		m.len = entry->len;
		for (uint64_t changes = 1 + draw_below(&state, 4); changes--;)
			change(&m, c, alphabet, alphabet_len, &state);
		target(m.bytes, m.len);
	}
}
