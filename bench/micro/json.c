/* JSON: a document of 1 MiB, such as an API sends (names, prices, nested lists; some escapes, some of it beyond ASCII), decoded into
 * structs that are freed, and encoded from them. Every peer makes the same bytes by the same formula and proves it by their hash; what it
 * encodes are the same bytes, too. A line is a KiB of the document.
 */
#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 1 << 20, KIB = BYTES / 1024, RECORD_MAX = 4096, READINGS = 8, ABOUT = 8 };

struct item {
	char *sku;
	int count;
	double price;
};

struct address {
	char *street, *city, *zip;
};

WEFT_SLICE_OF(struct item, items);
WEFT_SLICE_OF(char *, strings);
WEFT_SLICE_OF(int, ints);

struct record {
	uint64_t id;
	char *name, *email;
	bool active;
	double score;
	int64_t balance;
	struct address address;
	char *about;
	strings tags;
	items items;
	ints readings;
};

WEFT_SLICE_OF(struct record, records);

struct document {
	int version;
	records records;
};

WEFT_STRUCT(item, struct item, WEFT_FIELD(sku), WEFT_FIELD(count), WEFT_FIELD(price));
WEFT_STRUCT(address, struct address, WEFT_FIELD(street), WEFT_FIELD(city), WEFT_FIELD(zip));
WEFT_TYPE_SLICE(items, item);
WEFT_TYPE_SLICE(strings, string);
WEFT_TYPE_SLICE(ints, int);
WEFT_STRUCT(record, struct record, WEFT_FIELD(id), WEFT_FIELD(name), WEFT_FIELD(email), WEFT_FIELD(active), WEFT_FIELD(score),
	    WEFT_FIELD(balance), WEFT_FIELD_OF(address, address), WEFT_FIELD(about), WEFT_FIELD_OF(strings, tags),
	    WEFT_FIELD_OF(items, items), WEFT_FIELD_OF(ints, readings));
WEFT_TYPE_SLICE(records, record);
WEFT_STRUCT(document, struct document, WEFT_FIELD(version), WEFT_FIELD_OF(records, records));

/* ---- the document ---- */

/* As they stand in the text. */
static const char *const words[16] = {
    "river",	 "stone", "amber",  "\\\"north\\\"", "K\xc3\xb6ln",    "Z\\u00fcrich", "\xe6\x9d\xb1\xe4\xba\xac",
    "harbour",	 "a\\/b", "meadow", "lantern",	     "first\\nsecond", "\xc5\xa0koda", "copper",
    "tab\\tbed", "winter"};

static struct {
	char *text;
	size_t len;
	uint64_t drawn;
	uint32_t hash, encoded_hash;
	struct document value;
} doc;

static uint64_t draw(uint64_t below)
{
	uint64_t z = ++doc.drawn * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return below ? z % below : z;
}

static __attribute__((format(printf, 1, 2))) void add(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	doc.len += (size_t)vsprintf(doc.text + doc.len, fmt, ap);
	va_end(ap);
}

static void add_words(int n, char between)
{
	for (int i = 0; i < n; i++)
		add("%.*s%s", i ? 1 : 0, &between, words[draw(16)]);
}

static void add_number(uint64_t whole, unsigned digits, uint64_t part)
{
	/* Odd: it does not end in zeros, which not all print alike. */
	add("%llu.%0*llu", (unsigned long long)whole, (int)digits, (unsigned long long)(part | 1));
}

static void add_item(void)
{
	add("{\"sku\":\"AB-%06llu\"", (unsigned long long)draw(1000000));
	add(",\"count\":%llu,\"price\":", (unsigned long long)draw(100));
	uint64_t whole = draw(500);
	add_number(whole, 2, draw(100));
	add("}");
}

static void add_record(void)
{
	add("{\"id\":%llu,\"name\":\"", (unsigned long long)draw(0));
	add_words(2, ' ');
	add("\",\"email\":\"user%llu@example.org\"", (unsigned long long)draw(100000));
	add(",\"active\":%s,\"score\":", draw(2) ? "true" : "false");
	uint64_t whole = 1 + draw(1000);
	add_number(whole, 4, draw(10000));
	add(",\"balance\":%lld", (long long)draw(2000000) - 1000000);
	add(",\"address\":{\"street\":\"%llu ", (unsigned long long)draw(200));
	add_words(1, ' ');
	add("\",\"city\":\"");
	add_words(1, ' ');
	add("\",\"zip\":\"%05llu\"},\"about\":\"", (unsigned long long)draw(100000));
	add_words(ABOUT, ' ');
	add("\",\"tags\":[\"");
	add_words(1, ' ');
	add("\",\"");
	add_words(1, ' ');
	add("\"],\"items\":[");
	for (uint64_t i = 0, n = draw(4); i < n; i++) {
		add("%s", i ? "," : "");
		add_item();
	}
	add("],\"readings\":[");
	for (int i = 0; i < READINGS; i++)
		add("%s%lld", i ? "," : "", (long long)draw(10000) - 5000);
	add("]}");
}

static uint32_t hash(const char *text, size_t n)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h;
}

void json_make(void)
{
	doc.text = weft_malloc(BYTES + RECORD_MAX);
	if (!doc.text)
		abort();
	add("{\"version\":1,\"records\":[");
	for (bool first = true; doc.len < BYTES; first = false) {
		add("%s", first ? "" : ",");
		add_record();
	}
	add("]}");
	doc.hash = hash(doc.text, doc.len);
}

/* ---- the rows ---- */

static void decode(struct document *d)
{
	weft_json_error e;
	if (weft_json_decode(weft_type_of(document), d, doc.text, doc.len, NULL, &e)) {
		fprintf(stderr, "%s\n", e.message);
		abort();
	}
}

void json_decode(struct batch *b)
{
	struct document d;
	int64_t sum = 0;
	decode(&d);
	for (size_t i = 0; i < d.records.len; i++) {
		const struct record *r = &d.records.data[i];
		sum += r->balance + (int64_t)strlen(r->about);
		for (size_t k = 0; k < r->items.len; k++)
			sum += r->items.data[k].count;
		for (size_t k = 0; k < r->readings.len; k++)
			sum += r->readings.data[k];
	}
	b->ops = KIB;
	PROVE(b, "bytes=%zu hash=%08x records=%zu sum=%lld", doc.len, doc.hash, d.records.len, (long long)sum);
	weft_value_fini(weft_type_of(document), &d);
}

void json_value(void)
{
	json_make();
	decode(&doc.value);
}

void json_encode(struct batch *b)
{
	char *text;
	size_t n;
	if (weft_json_encode(weft_type_of(document), &doc.value, NULL, &text, &n, NULL))
		abort();
	if (!doc.encoded_hash)
		doc.encoded_hash = hash(text, n);
	b->ops = KIB;
	PROVE(b, "bytes=%zu hash=%08x", n, doc.encoded_hash);
	weft_free(text);
}
