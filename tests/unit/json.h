/* Types for the tests of JSON, and what they check again and again. */
#ifndef TESTS_UNIT_JSON_H
#define TESTS_UNIT_JSON_H

#include "tests/unit/go.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weft/json.h>

static inline int decode(const weft_type *t, void *out, const char *text, weft_json_error *e)
{
	/* In a block of its own, so that a sanitizer sees a byte too far. */
	size_t n = strlen(text);
	char *exact = malloc(n ? n : 1);
	CHECK(exact);
	memcpy(exact, text, n);
	int rc = weft_json_decode(t, out, exact, n, NULL, e);
	free(exact);
	return rc;
}

/* `text` is decoded, encodes as `again`, and is given back. */
#define COMES_BACK_AS(type, text, again)                                                           \
	do {                                                                                       \
		weft_c_##type##_ value_;                                                           \
		weft_json_error e_ = {.message = ""};                                              \
		char *out_;                                                                        \
		size_t n_;                                                                         \
		memset(&value_, 0xa5, sizeof value_);                                              \
		if (decode(weft_type_of(type), &value_, text, &e_))                                \
			test_fail(__FILE__, __LINE__, "%s", e_.message);                           \
		CHECK_EQ(weft_json_encode(weft_type_of(type), &value_, NULL, &out_, &n_, &e_), 0); \
		CHECK_STR(out_, again);                                                            \
		CHECK_EQ(n_, strlen(out_));                                                        \
		weft_free(out_);                                                                   \
		weft_value_fini(weft_type_of(type), &value_);                                      \
	} while (0)
#define COMES_BACK(type, text) COMES_BACK_AS(type, text, text)

/* `text` is refused with this error and message, and the value is as it was. */
#define REFUSED(type, text, error, words)                                           \
	do {                                                                        \
		union {                                                             \
			weft_c_##type##_ value;                                     \
			unsigned char bytes[sizeof(weft_c_##type##_)];              \
		} u_;                                                               \
		weft_json_error e_ = {.message = "none"};                           \
		memset(&u_, 0xa5, sizeof u_);                                       \
		CHECK_EQ(decode(weft_type_of(type), &u_.value, text, &e_), error);  \
		CHECK_STR(e_.message, words);                                       \
		CHECK_EQ(decode(weft_type_of(type), &u_.value, text, NULL), error); \
		for (size_t i_ = 0; i_ < sizeof u_; i_++)                           \
			CHECK_EQ(u_.bytes[i_], 0xa5);                               \
		CHECK(e_.offset <= strlen(text));                                   \
	} while (0)

#endif
