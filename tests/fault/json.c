/* JSON without memory: each allocation of a decoding and an encoding fails in turn. The error says so, nothing is written, and (a sanitizer
 * sees it) nothing is left. The linker puts what is here in front of the library's allocator. */
#include "tests/unit/json.h"

void *__real_weft_malloc(size_t);
void *__real_weft_calloc(size_t, size_t);
void *__real_weft_realloc(void *, size_t);
void *__wrap_weft_malloc(size_t);
void *__wrap_weft_calloc(size_t, size_t);
void *__wrap_weft_realloc(void *, size_t);

static int64_t left = INT64_MAX; /* the allocation that fails, counted down */

static bool fails(void)
{
	return --left == 0;
}

void *__wrap_weft_malloc(size_t n)
{
	return fails() ? NULL : __real_weft_malloc(n);
}

void *__wrap_weft_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_weft_calloc(n, size);
}

void *__wrap_weft_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_weft_realloc(p, n);
}

WEFT_SLICE_OF(char *, strings);
WEFT_TYPE_SLICE(strings, string);
struct node {
	char *name;
	weft_bytes bytes;
	strings strings;
	double number;
	struct node *next;
};
WEFT_STRUCT(node, struct node, WEFT_FIELD(name), WEFT_FIELD(bytes), WEFT_FIELD_OF(strings, strings), WEFT_FIELD(number),
	    WEFT_FIELD_OF(node, next));

/* Deep enough that the list of levels moves. */
static const char text[] =
    "{\"name\":\"a\",\"bytes\":\"QUJD\",\"strings\":[\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\"],\"n\\u0061m\":\"\","
    "\"next\":{\"next\":{\"next\":{\"next\":{\"next\":{\"next\":{\"next\":{\"next\":{\"next\":{\"name\":\"k\"}}}}}}}}}}";

TEST(each_allocation_of_a_decoding_fails_in_turn)
{
	int64_t n = 0;
	for (int rc = -ENOMEM; rc;) {
		struct node v;
		weft_json_error e = {.message = "none"};
		memset(&v, 0xa5, sizeof v);
		left = ++n;
		rc = weft_json_decode(weft_type_of(node), &v, text, sizeof text - 1, NULL, &e);
		left = INT64_MAX;
		if (rc == 0) {
			weft_value_fini(weft_type_of(node), &v);
			break;
		}
		CHECK_EQ(rc, -ENOMEM);
		CHECK(strstr(e.message, "out of memory") && e.line == 1);
		for (size_t i = 0; i < sizeof v; i++)
			CHECK_EQ(((unsigned char *)&v)[i], 0xa5);
	}
	CHECK(n > 25);
}

TEST(each_allocation_of_an_encoding_fails_in_turn)
{
	struct node v;
	int64_t n = 0;
	CHECK_EQ(weft_json_decode(weft_type_of(node), &v, text, sizeof text - 1, NULL, NULL), 0);
	for (int rc = -ENOMEM; rc;) {
		weft_json_error e = {.message = "none"};
		char *out = (char *)1;
		left = ++n;
		rc = weft_json_encode(weft_type_of(node), &v, NULL, &out, NULL, &e);
		left = INT64_MAX;
		weft_free(out);
		if (rc) {
			CHECK_EQ(rc, -ENOMEM);
			CHECK(!out && strstr(e.message, "out of memory"));
		}
	}
	CHECK(n > 2);
	weft_value_fini(weft_type_of(node), &v);
}
