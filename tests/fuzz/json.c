/* JSON of any bytes: it is judged as jansson judges it; an error lies within the text; and a value that could be decoded is, encoded and
 * decoded again, the same value. */
#include "tests/fuzz/corpus.h"

#include <weft/json.h>
#include <weft/mem.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

WEFT_SLICE_OF(double, doubles);
WEFT_SLICE_OF(char *, strings);
WEFT_MAP_OF_STRING(int, counts);
WEFT_MAP_OF(int16_t, strings, lists);
WEFT_MAP_OF_BYTES(float, weights);

struct all {
	bool b;
	int8_t i8;
	uint16_t u16;
	int64_t i64;
	uint64_t u64;
	float f;
	double d;
	char *s;
	char t[5];
	weft_bytes bytes;
	int *p;
	int a[3];
	doubles ds;
	strings ss;
	counts m;
	lists l;
	weights w;
	struct all *next;
	int *pair[2];
};

WEFT_TYPE_SLICE(doubles, double);
WEFT_TYPE_SLICE(strings, string);
WEFT_TYPE_MAP(counts, string, int);
WEFT_TYPE_MAP(lists, int16_t, strings);
WEFT_TYPE_MAP(weights, bytes, float);
WEFT_TYPE_POINTER(int_ref, int);
WEFT_STRUCT(all, struct all, WEFT_FIELD(b, "json:,omitempty"), WEFT_FIELD(i8), WEFT_FIELD(u16, "json:u"), WEFT_FIELD(i64),
	    WEFT_FIELD(u64), WEFT_FIELD(f, "json:,omitempty"), WEFT_FIELD(d), WEFT_FIELD(s), WEFT_FIELD(t), WEFT_FIELD(bytes),
	    WEFT_FIELD(p), WEFT_FIELD(a), WEFT_FIELD_OF(doubles, ds), WEFT_FIELD_OF(strings, ss), WEFT_FIELD_OF(counts, m),
	    WEFT_FIELD_OF(lists, l), WEFT_FIELD_OF(weights, w), WEFT_FIELD_OF(all, next, "json:,omitempty"),
	    WEFT_FIELD_OF(int_ref, pair));

static void must(int holds)
{
	if (!holds)
		abort();
}

static void within(const weft_json_error *e, size_t n)
{
	must(e->offset <= n && e->line >= 1 && e->column >= 1 && e->column <= n + 1);
	must(strlen(e->path) < sizeof e->path && strncmp(e->message, "line ", 5) == 0 && !strchr(e->message, '\n'));
}

/* Where the two may differ: numbers that jansson has no room for, names with a NUL in them, and NULs between words, which it passes
 * over. */
static void as_jansson(const char *text, size_t n)
{
	enum { JANSSON_DEPTH = 2048 };
	weft_json_options options = {.max_depth = JANSSON_DEPTH};
	weft_json_error e;
	json_error_t why;
	int rc = weft_json_decode(NULL, NULL, text, n, &options, &e);
	json_t *j = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
	must(rc == 0 || rc == -EBADMSG || rc == -EILSEQ || rc == -ELOOP);
	if (rc) {
		within(&e, n);
		/* Said of what simdjson refuses and the grammar does not. */
		must(strcmp(e.message + strlen(e.message) - strlen("not JSON"), "not JSON") != 0);
	}
	if (j)
		must(rc == 0 || memchr(text, 0, n));
	else if (json_error_code(&why) != json_error_numeric_overflow && json_error_code(&why) != json_error_null_byte_in_key)
		must(rc != 0);
	json_decref(j);
}

static void comes_back(const struct all *v)
{
	char *text, *again;
	size_t n, again_n;
	struct all w;
	weft_json_options indented = {.indent = 1};
	must(weft_json_encode(weft_type_of(all), v, NULL, &text, &n, NULL) == 0 && text[n] == 0 && strlen(text) == n);
	must(weft_json_decode(weft_type_of(all), &w, text, n, NULL, NULL) == 0);
	must(weft_deep_equal(weft_type_of(all), v, &w));
	weft_value_fini(weft_type_of(all), &w);
	must(weft_json_encode(weft_type_of(all), v, &indented, &again, &again_n, NULL) == 0);
	must(weft_json_decode(weft_type_of(all), &w, again, again_n, NULL, NULL) == 0);
	must(weft_deep_equal(weft_type_of(all), v, &w));
	weft_free(again);
	must(weft_json_encode(weft_type_of(all), &w, NULL, &again, &again_n, NULL) == 0 && again_n == n &&
	     memcmp(text, again, n) == 0);
	weft_value_fini(weft_type_of(all), &w);
	weft_free(again);
	weft_free(text);
}

static void decode(const char *text, size_t n, bool refuse_unknown)
{
	weft_json_options options = {.refuse_unknown = refuse_unknown};
	weft_json_error e;
	struct all v;
	int rc = weft_json_decode(weft_type_of(all), &v, text, n, &options, &e);
	if (rc) {
		within(&e, n);
		return;
	}
	comes_back(&v);
	weft_value_fini(weft_type_of(all), &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* A block of its own length, so that a sanitizer sees a byte too far. */
	char *text = malloc(n ? n : 1);
	must(text != NULL);
	if (n)
		memcpy(text, data, n);
	as_jansson(text, n);
	decode(text, n, false);
	decode(text, n, true);
	free(text);
	return 0;
}

#ifndef WEFT_FUZZER
#include "tests/test.h"

TEST(the_corpus)
{
	const struct corpus *c = corpus_load(WEFT_CORPUS, CORPUS_BYTES_MAX);
	for (size_t i = 0; i < c->count; i++)
		LLVMFuzzerTestOneInput(c->entries[i].bytes, c->entries[i].len);
}

TEST(mutations_of_the_corpus)
{
	static const char alphabet[] = "{}[]\",:\\ntfu0123456789.-+eE/bdDaA \n\t\x00\x1f\x7f\x80\xc3\xed\xf4\xff=null";
	corpus_mutate(corpus_load(WEFT_CORPUS, CORPUS_BYTES_MAX), test_rounds(100000), alphabet, sizeof alphabet,
		      LLVMFuzzerTestOneInput);
}
#endif
