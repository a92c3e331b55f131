#include "tests/unit/json.h"

#include <math.h>
#include <sys/mman.h>

const char *json_cxx_check(void);

enum color { RED, GREEN, BLUE };

struct address {
	char *street;
	uint8_t floor;
};

WEFT_SLICE_OF(int, ints);
WEFT_SLICE_OF(char *, strings);
WEFT_MAP_OF_STRING(int, ages);
WEFT_MAP_OF(int8_t, char *, names);
WEFT_MAP_OF_BYTES(bool, flags);

struct user {
	int64_t id;
	char *name;
	char country[3];
	struct address home;
	ints scores;
	struct user *boss;
};

WEFT_SLICE_OF(struct user, users);
WEFT_MAP_OF_STRING(struct user, by_name);
WEFT_SLICE_OF(ints, grid);

WEFT_STRUCT(address, struct address, WEFT_FIELD(street), WEFT_FIELD(floor));
WEFT_TYPE_SLICE(ints, int);
WEFT_TYPE_SLICE(strings, string);
WEFT_TYPE_SLICE(grid, ints);
WEFT_TYPE_MAP(ages, string, int);
WEFT_TYPE_MAP(names, int8_t, string);
WEFT_TYPE_MAP(flags, bytes, bool);
WEFT_STRUCT(user, struct user, WEFT_FIELD(id), WEFT_FIELD(name, "json:full_name"), WEFT_FIELD(country),
	    WEFT_FIELD_OF(address, home), WEFT_FIELD_OF(ints, scores), WEFT_FIELD_OF(user, boss));
WEFT_TYPE_SLICE(users, user);
WEFT_TYPE_MAP(by_name, string, user);

struct team {
	users users;
	by_name map;
};
WEFT_STRUCT(team, struct team, WEFT_FIELD_OF(users, users), WEFT_FIELD_OF(by_name, map));

struct numbers {
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t i64;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	float f;
	double d;
	bool b;
	enum color color;
};
WEFT_STRUCT(numbers, struct numbers, WEFT_FIELD(i8), WEFT_FIELD(i16), WEFT_FIELD(i32), WEFT_FIELD(i64), WEFT_FIELD(u8),
	    WEFT_FIELD(u16), WEFT_FIELD(u32), WEFT_FIELD(u64), WEFT_FIELD(f), WEFT_FIELD(d), WEFT_FIELD(b), WEFT_FIELD(color));

struct mixed {
	int triple[3];
	struct address pair[2];
	weft_bytes photo;
	int *limit;
	double *ratio;
	ages ages;
	names names;
	flags flags;
	grid grid;
};
WEFT_STRUCT(mixed, struct mixed, WEFT_FIELD(triple), WEFT_FIELD_OF(address, pair), WEFT_FIELD(photo), WEFT_FIELD(limit),
	    WEFT_FIELD(ratio), WEFT_FIELD_OF(ages, ages), WEFT_FIELD_OF(names, names), WEFT_FIELD_OF(flags, flags),
	    WEFT_FIELD_OF(grid, grid));

/* ---- decoding ---- */

TEST(a_struct_with_all_in_it)
{
	struct user u;
	weft_json_error e;
	const char *text = " {\"id\": -7, \"full_name\": \"Ann\\u00e9 \\\"x\\\" \\ud83d\\ude00\\n\",\n\t\"country\": \"DEU\", "
			   "\"home\": {\"floor\": 255, \"street\": \"Weg\"}, \"scores\": [1, 2, -3], \"boss\": {\"id\": 1}} \r\n";
	memset(&u, 0xa5, sizeof u);
	CHECK_EQ(decode(weft_type_of(user), &u, text, &e), 0);
	CHECK_EQ(u.id, -7);
	CHECK_STR(u.name, "Ann\xc3\xa9 \"x\" \xf0\x9f\x98\x80\n");
	CHECK(memcmp(u.country, "DEU", 3) == 0);
	CHECK_EQ(u.home.floor, 255);
	CHECK_STR(u.home.street, "Weg");
	CHECK_EQ(u.scores.len, 3);
	CHECK_EQ(ints_get(&u.scores, 2), -3);
	CHECK(u.boss && u.boss->id == 1 && !u.boss->name && !u.boss->boss && u.boss->country[0] == 0);
	ints_push(&u.scores, 4);
	CHECK_EQ(u.scores.len, 4);
	weft_value_fini(weft_type_of(user), &u);
}

TEST(fields_that_are_absent_are_zero)
{
	struct user u, zero = {0};
	memset(&u, 0xa5, sizeof u);
	CHECK_EQ(decode(weft_type_of(user), &u, "{}", NULL), 0);
	CHECK(weft_deep_equal(weft_type_of(user), &u, &zero));
}

TEST(null_is_zero_anywhere)
{
	COMES_BACK_AS(
	    user, "{\"id\":null,\"full_name\":null,\"country\":null,\"home\":null,\"scores\":null,\"boss\":null}",
	    "{\"id\":0,\"full_name\":null,\"country\":\"\",\"home\":{\"street\":null,\"floor\":0},\"scores\":[],\"boss\":null}");
	COMES_BACK_AS(
	    user, "null",
	    "{\"id\":0,\"full_name\":null,\"country\":\"\",\"home\":{\"street\":null,\"floor\":0},\"scores\":[],\"boss\":null}");
	COMES_BACK_AS(ints, "[null,1]", "[0,1]");
	COMES_BACK_AS(mixed, "{\"triple\":null,\"ages\":{\"a\":null}}",
		      "{\"triple\":[0,0,0],\"pair\":[{\"street\":null,\"floor\":0},{\"street\":null,\"floor\":0}],\"photo\":null,"
		      "\"limit\":null,"
		      "\"ratio\":null,\"ages\":{\"a\":0},\"names\":null,\"flags\":null,\"grid\":[]}");
}

TEST(every_number_at_its_limits)
{
	COMES_BACK(numbers,
		   "{\"i8\":-128,\"i16\":-32768,\"i32\":-2147483648,\"i64\":-9223372036854775808,\"u8\":255,\"u16\":65535,"
		   "\"u32\":4294967295,\"u64\":18446744073709551615,\"f\":3.4028235e38,\"d\":1.7976931348623157e308,\"b\":true,"
		   "\"color\":2}");
	COMES_BACK(
	    numbers,
	    "{\"i8\":127,\"i16\":32767,\"i32\":2147483647,\"i64\":9223372036854775807,\"u8\":0,\"u16\":0,\"u32\":0,\"u64\":0,"
	    "\"f\":1e-45,\"d\":5e-324,\"b\":false,\"color\":0}");
	COMES_BACK_AS(int64_t, "-0", "0");
	COMES_BACK_AS(uint64_t, "-0", "0");
	COMES_BACK(double, "-0");
}

TEST(numbers_beyond_the_limits)
{
	REFUSED(int8_t, "128", -ERANGE, "line 1, column 1: 128 is out of range of int8_t");
	REFUSED(int8_t, "-129", -ERANGE, "line 1, column 1: -129 is out of range of int8_t");
	REFUSED(uint8_t, "256", -ERANGE, "line 1, column 1: 256 is out of range of uint8_t");
	REFUSED(uint8_t, "-1", -ERANGE, "line 1, column 1: -1 is out of range of uint8_t");
	REFUSED(int64_t, "9223372036854775808", -ERANGE, "line 1, column 1: 9223372036854775808 is out of range of int64_t");
	REFUSED(int64_t, "-9223372036854775809", -ERANGE, "line 1, column 1: -9223372036854775809 is out of range of int64_t");
	REFUSED(uint64_t, "18446744073709551616", -ERANGE, "line 1, column 1: 18446744073709551616 is out of range of uint64_t");
	REFUSED(uint64_t, "100000000000000000000000000000000000000000000000000000", -ERANGE,
		"line 1, column 1: 100000000000000000000000000000000000000000000000... is out of range of uint64_t");
	REFUSED(double, "1e309", -ERANGE, "line 1, column 1: 1e309 is out of range of double");
	REFUSED(double, "-1e99999999999999999999", -ERANGE,
		"line 1, column 1: -1e99999999999999999999 is out of range of double");
	REFUSED(float, "3.5e38", -ERANGE, "line 1, column 1: 3.5e38 is out of range of float");
	REFUSED(int8_t, "-75809{\n", -ERANGE, "line 1, column 1: -75809 is out of range of int8_t");
	REFUSED(int8_t, "75809x", -EBADMSG, "line 1, column 6: unexpected 'x', where the end of the text is wanted");
	REFUSED(double, "1e999x", -EBADMSG, "line 1, column 6: unexpected 'x', where the end of the text is wanted");
	REFUSED(address, "{\"x\":1e999x}", -EBADMSG, "line 1, column 11: unexpected 'x', where ',' or '}' is wanted");
	REFUSED(int32_t, "1.0", -EINVAL, "line 1, column 1: a number with a fraction or an exponent is no int32_t");
	REFUSED(int32_t, "1e2", -EINVAL, "line 1, column 1: a number with a fraction or an exponent is no int32_t");
}

TEST(values_of_the_wrong_kind)
{
	REFUSED(user, "[]", -EINVAL, "line 1, column 1: an array is no user");
	REFUSED(user, "{\"id\":\"7\"}", -EINVAL, "line 1, column 7: id: a string is no int64_t");
	REFUSED(user, "{\"id\":true}", -EINVAL, "line 1, column 7: id: true is no int64_t");
	REFUSED(user, "{\"id\":{}}", -EINVAL, "line 1, column 7: id: an object is no int64_t");
	REFUSED(user, "{\"full_name\":1}", -EINVAL, "line 1, column 14: full_name: a number is no string");
	REFUSED(user, "{\"country\":false}", -EINVAL, "line 1, column 12: country: false is no char [3]");
	REFUSED(user, "{\"scores\":{}}", -EINVAL, "line 1, column 11: scores: an object is no ints");
	REFUSED(user, "{\"home\":\n\n  7}", -EINVAL, "line 3, column 3: home: a number is no address");
	REFUSED(bool, "0", -EINVAL, "line 1, column 1: a number is no bool");
	REFUSED(mixed, "{\"triple\":7}", -EINVAL, "line 1, column 11: triple: a number is no int32_t [3]");
	REFUSED(mixed, "{\"limit\":\"\"}", -EINVAL, "line 1, column 10: limit: a string is no int32_t");
	REFUSED(ages, "[1]", -EINVAL, "line 1, column 1: an array is no ages");
}

TEST(an_error_has_line_column_and_path)
{
	weft_json_error e;
	struct team t;
	const char *text = "{\"users\": [{}, {},\n  {\"home\": {\n\t\"street\": \"\xc3\xa9\xe2\x82\xac\", \"floor\": 300}}]}";
	CHECK_EQ(decode(weft_type_of(team), &t, text, &e), -ERANGE);
	CHECK_STR(e.path, "users[2].home.floor");
	CHECK_EQ(e.line, 3);
	CHECK_EQ(e.column, 27);
	CHECK_EQ(text[e.offset], '3');
	CHECK_STR(e.message, "line 3, column 27: users[2].home.floor: 300 is out of range of uint8_t");
	REFUSED(team, "{\"map\":{\"a\":{},\"b c\":{\"boss\":{\"scores\":[0,[]]}}}}", -EINVAL,
		"line 1, column 43: map[\"b c\"].boss.scores[1]: an array is no int32_t");
	REFUSED(team, "{\"unknown\":[1,{\"x\":tru}]}", -EBADMSG,
		"line 1, column 23: unknown[1].x: unexpected '}', where true is wanted");
	REFUSED(grid, "[[],[1,2,x]]", -EBADMSG, "line 1, column 10: [1][2]: unexpected 'x', where a value is wanted");
}

TEST(a_text_that_ends_too_early_wherever)
{
	const char *text = "{\"users\":[{\"id\":-12,\"full_name\":\"a\\u00e9\\ud83d\\ude00\",\"home\":{\"floor\":1}}],\"map\":{"
			   "\"k\":{\"scores\":"
			   "[1,2]}},\"more\":[true,false,null,1.5e+10]}";
	for (size_t n = 0; n < strlen(text); n++) {
		struct team t;
		weft_json_error e = {.line = 0};
		char *cut = malloc(n ? n : 1);
		CHECK(cut);
		memcpy(cut, text, n);
		CHECK_EQ(weft_json_decode(weft_type_of(team), &t, cut, n, NULL, &e), -EBADMSG);
		CHECK_EQ(e.offset, n);
		CHECK_EQ(e.line, 1);
		CHECK_EQ(e.column, n + 1);
		CHECK(strstr(e.message, "the text ends too early"));
		free(cut);
	}
	REFUSED(team, "", -EBADMSG, "line 1, column 1: the text ends too early");
	REFUSED(ints, "[ ", -EBADMSG, "line 1, column 3: the text ends too early");
	REFUSED(bool, "1.", -EBADMSG, "line 1, column 3: the text ends too early");
	REFUSED(team, " \n ", -EBADMSG, "line 2, column 2: the text ends too early");
	REFUSED(team, "{\"users\":[{\"id\":1", -EBADMSG, "line 1, column 18: users[0]: the text ends too early");
}

TEST(malformed_text)
{
	REFUSED(ints, "[1,]", -EBADMSG, "line 1, column 4: [1]: unexpected ']', where a value is wanted");
	REFUSED(ints, "[1 2]", -EBADMSG, "line 1, column 4: unexpected '2', where ',' or ']' is wanted");
	REFUSED(ints, "[1] x", -EBADMSG, "line 1, column 5: unexpected 'x', where the end of the text is wanted");
	REFUSED(ints, "\xef\xbb\xbf[]", -EBADMSG, "line 1, column 1: unexpected byte 0xef, where a value is wanted");
	REFUSED(ages, "{\"a\":1,}", -EBADMSG, "line 1, column 8: unexpected '}', where a name in quotes is wanted");
	REFUSED(ages, "{\"a\" 1}", -EBADMSG, "line 1, column 6: [\"a\"]: unexpected '1', where ':' is wanted");
	REFUSED(ages, "{\"a\":1;}", -EBADMSG, "line 1, column 7: unexpected ';', where ',' or '}' is wanted");
	REFUSED(ages, "{a:1}", -EBADMSG, "line 1, column 2: unexpected 'a', where a name in quotes is wanted");
	REFUSED(string, "\"a\tb\"", -EBADMSG, "line 1, column 3: a control character in a string");
	REFUSED(string, "\"aaaaaaaaaaaaaaaa\x1f\"", -EBADMSG, "line 1, column 18: a control character in a string");
	REFUSED(string, "\"\\x\"", -EBADMSG, "line 1, column 2: a backslash with nothing that it could escape");
	REFUSED(string, "\"\\u12g4\"", -EBADMSG, "line 1, column 2: a backslash with nothing that it could escape");
	REFUSED(int32_t, "01", -EBADMSG, "line 1, column 2: a number that begins with 0");
	REFUSED(int32_t, "-x", -EBADMSG, "line 1, column 2: unexpected 'x', where a digit is wanted");
	REFUSED(double, "1.e5", -EBADMSG, "line 1, column 3: unexpected 'e', where a digit is wanted");
	REFUSED(bool, "tru0", -EBADMSG, "line 1, column 4: unexpected '0', where true is wanted");
	int value = 0;
	CHECK_EQ(weft_json_decode(weft_type_of(int), &value, "1\0", 2, NULL, NULL), -EBADMSG);
	CHECK_EQ(weft_json_decode(weft_type_of(int), &value, "\0", 1, NULL, NULL), -EBADMSG);
}

TEST(text_that_is_not_utf8)
{
	REFUSED(string, "\"ab\xff\"", -EILSEQ, "line 1, column 4: not UTF-8");
	REFUSED(string, "\"\xc3\xa9\xc0\x80\"", -EILSEQ, "line 1, column 3: not UTF-8");
	REFUSED(ages, "{\"a\":1,\"\xed\xa0\x80\":2}", -EILSEQ, "line 1, column 9: not UTF-8");
	REFUSED(team, "{\"zzz\":\"\xf4\x90\x80\x80\"}", -EILSEQ, "line 1, column 9: zzz: not UTF-8");
	REFUSED(string, "\"\\ud800\"", -EILSEQ, "line 1, column 2: half of a surrogate pair");
	REFUSED(string, "\"x\\udc00\"", -EILSEQ, "line 1, column 3: half of a surrogate pair");
	REFUSED(string, "\"\\ud800\\u0041\"", -EILSEQ, "line 1, column 2: half of a surrogate pair");
	REFUSED(string, "\"\\udc00\\ud800\"", -EILSEQ, "line 1, column 2: half of a surrogate pair");
}

TEST(strings_that_do_not_fit)
{
	REFUSED(user, "{\"country\":\"DEUT\"}", -ERANGE, "line 1, column 12: country: a string of 4 bytes does not fit char [3]");
	REFUSED(user, "{\"country\":\"\\u20acx\"}", -ERANGE,
		"line 1, column 12: country: a string of 4 bytes does not fit char [3]");
	COMES_BACK_AS(user, "{\"country\":\"\\u20ac\"}",
		      "{\"id\":0,\"full_name\":null,\"country\":\"\xe2\x82\xac\",\"home\":{\"street\":null,\"floor\":0},"
		      "\"scores\":[],\"boss\":null}");
	REFUSED(user, "{\"full_name\":\"a\\u0000b\"}", -EINVAL, "line 1, column 14: full_name: a string with a NUL is no string");
	REFUSED(user, "{\"country\":\"\\u0000\"}", -EINVAL, "line 1, column 12: country: a string with a NUL is no char [3]");
	COMES_BACK_AS(
	    user, "{\"not_there\":\"\\u0000\"}",
	    "{\"id\":0,\"full_name\":null,\"country\":\"\",\"home\":{\"street\":null,\"floor\":0},\"scores\":[],\"boss\":null}");
}

TEST(arrays_have_as_many_elements_or_fewer)
{
	struct mixed m;
	CHECK_EQ(decode(weft_type_of(mixed), &m, "{\"triple\":[1,2]}", NULL), 0);
	CHECK(m.triple[0] == 1 && m.triple[1] == 2 && m.triple[2] == 0);
	REFUSED(mixed, "{\"triple\":[1,2,3,4]}", -ERANGE, "line 1, column 18: triple[3]: the array has only 3 elements");
	REFUSED(mixed, "{\"pair\":[{\"street\":\"a\"},{\"street\":\"b\"},{}]}", -ERANGE,
		"line 1, column 40: pair[2]: the array has only 2 elements");
}

TEST(bytes_are_base64)
{
	struct mixed m;
	CHECK_EQ(decode(weft_type_of(mixed), &m, "{\"photo\":\"AP+\\/gA==\"}", NULL), 0);
	CHECK(m.photo.n == 4 && memcmp(m.photo.bytes, "\x00\xff\xbf\x80", 4) == 0);
	weft_value_fini(weft_type_of(mixed), &m);
	COMES_BACK(bytes, "\"\"");
	COMES_BACK(bytes, "null");
	COMES_BACK(bytes, "\"QQ==\"");
	COMES_BACK(bytes, "\"QUI=\"");
	COMES_BACK(bytes, "\"QUJD\"");
	COMES_BACK(bytes, "\"QUJDRA==\"");
	static const char *const wrong[] = {"\"Q\"",	"\"QQ\"",	"\"QQ=\"",  "\"QR==\"", "\"QUJ=\"",   "\"====\"", "\"=\"",
					    "\"Q===\"", "\"QQ==QQ==\"", "\"QQ=A\"", "\"Q-_A\"", "\"QU\\n=\"", "\"QUJD \""};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		REFUSED(bytes, wrong[i], -EINVAL, "line 1, column 1: a string that is not base64 is no bytes");
}

TEST(keys_of_maps_are_strings_integers_or_bytes)
{
	COMES_BACK_AS(ages, "{\"b\":2,\"a\":1,\"\\u00e9\":3,\"\":0}", "{\"\":0,\"a\":1,\"b\":2,\"\xc3\xa9\":3}");
	COMES_BACK_AS(names, "{\"9\":\"nine\",\"-128\":null,\"10\":\"ten\"}", "{\"-128\":null,\"10\":\"ten\",\"9\":\"nine\"}");
	COMES_BACK(flags, "{\"\":false,\"AAE=\":true}");
	COMES_BACK(ages, "{}");
	COMES_BACK(ages, "null");
	REFUSED(names, "{\"128\":\"\"}", -ERANGE, "line 1, column 2: [\"128\"]: the key is out of range of int8_t");
	REFUSED(names, "{\"1.0\":\"\"}", -EINVAL, "line 1, column 2: [\"1.0\"]: a key that is no integer is no int8_t");
	REFUSED(names, "{\"\":\"\"}", -EINVAL, "line 1, column 2: [\"\"]: a key that is no integer is no int8_t");
	REFUSED(names, "{\"01\":\"\"}", -EINVAL, "line 1, column 2: [\"01\"]: a key that is no integer is no int8_t");
	REFUSED(ages, "{\"a\\u0000\":1}", -EINVAL, "line 1, column 2: [\"a\\u0000\"]: a key with a NUL is no string");
	REFUSED(flags, "{\"A\":true}", -EINVAL, "line 1, column 2: [\"A\"]: a key that is not base64 is no bytes");
}

TEST(names_that_come_twice_are_refused)
{
	REFUSED(user, "{\"full_name\":\"a\",\"id\":1,\"full_name\":\"b\"}", -EINVAL,
		"line 1, column 25: full_name: the name comes twice");
	REFUSED(user, "{\"id\":1,\"\\u0069d\":2}", -EINVAL, "line 1, column 9: \\u0069d: the name comes twice");
	REFUSED(ages, "{\"a\":1,\"b\":1,\"a\":1}", -EINVAL, "line 1, column 14: [\"a\"]: the name comes twice");
	REFUSED(names, "{\"0\":\"\",\"-0\":\"\"}", -EINVAL, "line 1, column 9: [\"-0\"]: the name comes twice");
}

TEST(unknown_names_are_passed_over_or_refused)
{
	struct address a;
	weft_json_error e;
	weft_json_options strict = {.refuse_unknown = true};
	const char *text = "{\"x\":[{\"y\":[[],{}]},\"\\u0000\",1e999],\"Floor\":1,\"floor\":2}";
	CHECK_EQ(decode(weft_type_of(address), &a, text, NULL), 0);
	CHECK_EQ(a.floor, 2);
	CHECK_EQ(weft_json_decode(weft_type_of(address), &a, text, strlen(text), &strict, &e), -EINVAL);
	CHECK_STR(e.message, "line 1, column 2: x: address has no such field");
	text = "{\"floor\":2,\n\"Floor\":1}";
	CHECK_EQ(weft_json_decode(weft_type_of(address), &a, text, strlen(text), &strict, &e), -EINVAL);
	CHECK_STR(e.message, "line 2, column 1: Floor: address has no such field");
	CHECK_STR(e.path, "Floor");
}

TEST(no_type_only_judges_the_text)
{
	CHECK_EQ(decode(NULL, NULL, "{\"a\":[1,2,{\"b\":null}],\"a\":-1.5e-3}", NULL), 0);
	CHECK_EQ(decode(NULL, NULL, "[1,2", NULL), -EBADMSG);
	CHECK_EQ(decode(NULL, NULL, "\"\xff\"", NULL), -EILSEQ);
}

TEST(a_text_of_4_gib_is_refused)
{
	size_t n = (size_t)1 << 32;
	weft_json_error e;
	char *text = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(text != MAP_FAILED);
	CHECK_EQ(weft_json_decode(NULL, NULL, text, n, NULL, &e), -ERANGE);
	CHECK_STR(e.message, "line 1, column 1: the text has 4 GiB or more");
	munmap(text, n);
}

/* ---- depth ---- */

static char *nested(size_t depth)
{
	char *text = malloc(2 * depth + 1);
	CHECK(text);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = 0;
	return text;
}

TEST(depth_is_bounded)
{
	weft_json_error e;
	weft_json_options shallow = {.max_depth = 2}, deep = {.max_depth = 5000000};
	char *text = nested(1000);
	CHECK_EQ(decode(NULL, NULL, text, NULL), 0);
	free(text);
	text = nested(1001);
	CHECK_EQ(decode(NULL, NULL, text, &e), -ELOOP);
	CHECK_EQ(e.offset, 1000);
	CHECK(strstr(e.message, "deeper than 1000"));
	CHECK(strstr(e.path, "[0][0][0]") && strcmp(e.path + strlen(e.path) - 3, "...") == 0);
	free(text);
	text = nested(1000000);
	CHECK_EQ(weft_json_decode(NULL, NULL, text, strlen(text), &deep, &e), 0);
	free(text);
	grid g;
	CHECK_EQ(weft_json_decode(weft_type_of(grid), &g, "[[1]]", 5, &shallow, &e), 0);
	weft_value_fini(weft_type_of(grid), &g);
	CHECK_EQ(weft_json_decode(NULL, NULL, "[[[1]]]", 7, &shallow, &e), -ELOOP);
	CHECK_STR(e.message, "line 1, column 3: [0][0]: deeper than 2");
}

/* A list of a hundred thousand is neither decoded nor encoded by recursion: this goroutine has the smallest stack, or, as a
 * sanitizer's frames are large, the usual one. */
static void long_list(void *arg)
{
	enum { LONG = 100000 };
	size_t n = 0, again_n;
	weft_json_options deep = {.max_depth = 2 * LONG + 10};
	struct user u;
	char *text = weft_malloc(LONG * 16), *again;
	CHECK(text);
	for (int i = 0; i < LONG; i++, n += 8)
		memcpy(text + n, "{\"boss\":", 8);
	memcpy(text + n, "null", 4);
	n += 4;
	for (int i = 0; i < LONG; i++)
		text[n++] = '}';
	CHECK_EQ(weft_json_decode(weft_type_of(user), &u, text, n, &deep, NULL), 0);
	CHECK_EQ(weft_json_encode(weft_type_of(user), &u, &deep, &again, &again_n, NULL), 0);
	CHECK(again_n > n);
	weft_value_fini(weft_type_of(user), &u);
	weft_free(again);
	weft_free(text);
	weft_waitgroup_done(arg);
}

static void odd_numbers(void *arg)
{
	double d;
	char *text;
	float f;
	CHECK_EQ(decode(weft_type_of(double), &d, "0.1234567890123456789012345678901234567890e-290", NULL), 0);
	CHECK_EQ(decode(weft_type_of(float), &f, "1.00000017881393432617187501", NULL), 0);
	CHECK_EQ(decode(weft_type_of(double), &d, "2.2250738585072011e-308", NULL), 0);
	d = nextafter(d, 1);
	CHECK_EQ(weft_json_encode(weft_type_of(double), &d, NULL, &text, NULL, NULL), 0);
	weft_free(text);
	weft_waitgroup_done(arg);
}

static int app_small_stack(void)
{
	weft_go_opts opts = {.stack_size = test_is_slow() ? 0 : 16 * 1024};
	void (*const bodies[])(void *) = {long_list, odd_numbers};
	for (int i = 0; i < 2; i++) {
		weft_waitgroup done = {0};
		weft_waitgroup_add(&done, 1);
		CHECK_EQ(weft_go_with(&opts, bodies[i], &done), 0);
		weft_waitgroup_wait(&done);
	}
	return 0;
}

TEST(deep_values_need_no_deep_stack)
{
	CHECK_EQ(run_weft(2, app_small_stack), 0);
}

/* ---- tags ---- */

struct tagged {
	int plain, renamed, hidden, must;
	char *maybe;
	char text[4];
	double ratio;
	int *pointer;
	ints list;
	ages map;
	weft_any any;
	int three[3];
	bool flag;
	weft_bytes bytes;
};
WEFT_STRUCT(tagged, struct tagged, WEFT_FIELD(plain, "json:,omitempty db:plain"), WEFT_FIELD(renamed, "json:other-name"),
	    WEFT_FIELD(hidden, "json:-"), WEFT_FIELD(must, "json:must,required"), WEFT_FIELD(maybe, "json:maybe,omitempty"),
	    WEFT_FIELD(text, "json:,omitempty"), WEFT_FIELD(ratio, "json:,omitempty"), WEFT_FIELD(pointer, "json:,omitempty"),
	    WEFT_FIELD_OF(ints, list, "json:,omitempty"), WEFT_FIELD_OF(ages, map, "json:,omitempty"),
	    WEFT_FIELD(any, "json:,omitempty"), WEFT_FIELD(three, "json:,omitempty"), WEFT_FIELD(flag, "json:-,omitempty"),
	    WEFT_FIELD(bytes, "json:,omitempty"));

struct wrong {
	int a, b;
};
WEFT_STRUCT(dashes, struct wrong, WEFT_FIELD(a, "json:-,"), WEFT_FIELD(b, "json:-"));

TEST(tags_name_hide_and_require)
{
	COMES_BACK_AS(tagged, "{\"must\":0}", "{\"other-name\":0,\"must\":0,\"three\":[0,0,0]}");
	COMES_BACK(
	    tagged,
	    "{\"plain\":1,\"other-name\":2,\"must\":3,\"maybe\":\"x\",\"text\":\"abcd\",\"ratio\":0.5,\"pointer\":0,\"list\":[1],"
	    "\"map\":{\"a\":1},\"three\":[0,0,0],\"-\":true,\"bytes\":\"QQ==\"}");
	COMES_BACK_AS(tagged, "{\"must\":null,\"hidden\":5,\"renamed\":6}", "{\"other-name\":0,\"must\":0,\"three\":[0,0,0]}");
	COMES_BACK_AS(dashes, "{\"-\":1,\"b\":2}", "{\"-\":1}");
	REFUSED(tagged, "{}", -EINVAL, "line 1, column 1: must: the field is required and missing");
	REFUSED(tagged, "\n{\"maybe\":\"x\"}", -EINVAL, "line 2, column 1: must: the field is required and missing");
}

WEFT_STRUCT(misspelt, struct wrong, WEFT_FIELD(a), WEFT_FIELD(b, "json:b,omitemtpy"));
WEFT_STRUCT(twofold, struct wrong, WEFT_FIELD(a), WEFT_FIELD(b, "json:a"));
WEFT_STRUCT(quoted, struct wrong, WEFT_FIELD(a), WEFT_FIELD(b, "json:\"b\""));

static void use_misspelt(void)
{
	struct wrong w;
	decode(weft_type_of(misspelt), &w, "{}", NULL);
}

static void use_twofold(void)
{
	struct wrong w = {0, 0};
	char *text;
	weft_json_encode(weft_type_of(twofold), &w, NULL, &text, NULL, NULL);
}

static void use_quoted(void)
{
	struct wrong w;
	decode(weft_type_of(quoted), &w, "{}", NULL);
}

struct holder {
	char *text;
	struct wrong inner;
};

WEFT_STRUCT(holder, struct holder, WEFT_FIELD(text), WEFT_FIELD_OF(misspelt, inner));
WEFT_SLICE_OF(struct holder, holders);
WEFT_TYPE_SLICE(holders, holder);

static void decode_holders(void *arg)
{
	(void)arg;
	static const char text[] = "[{\"text\":\"a\",\"inner\":{}}]";
	holders all;
	weft_json_decode(weft_type_of(holders), &all, text, strlen(text), NULL, NULL);
}

static void encode_holder(void *arg)
{
	struct holder h = {"text", {1, 2}};
	char *text;
	(void)arg;
	weft_json_encode(weft_type_of(holder), &h, NULL, &text, NULL, NULL);
}

static int recover_from_wrong_tags(void)
{
	weft_panic_info info;
	for (int i = 0; i < 3; i++) {
		CHECK(weft_protect(decode_holders, NULL, &info) && weft_protect(encode_holder, NULL, NULL));
		CHECK(strstr(info.message, "misspelt.b"));
	}
	return 0;
}

/* LeakSanitizer looks, in its flavour. */
TEST(who_recovers_from_a_wrong_tag_has_lost_nothing)
{
	CHECK_EQ(run_weft(1, recover_from_wrong_tags), 0);
}

TEST(wrong_tags_panic)
{
	test_dies(use_misspelt, "panic: json tag of misspelt.b: unknown word \"omitemtpy\"\n");
	test_dies(use_twofold, "panic: json: twofold has two fields named \"a\"\n");
	test_dies(use_quoted, "panic: json tag of quoted.b: ");
}

#define MANY_MEMBERS(n) int n##0, n##1, n##2, n##3, n##4, n##5, n##6, n##7, n##8, n##9;
struct wide {
	MANY_MEMBERS(a) MANY_MEMBERS(b) MANY_MEMBERS(c) MANY_MEMBERS(d) MANY_MEMBERS(e) MANY_MEMBERS(f) MANY_MEMBERS(g)
};
#define MANY_FIELDS(n)                                                                                              \
	WEFT_FIELD(n##0), WEFT_FIELD(n##1), WEFT_FIELD(n##2), WEFT_FIELD(n##3), WEFT_FIELD(n##4), WEFT_FIELD(n##5), \
	    WEFT_FIELD(n##6), WEFT_FIELD(n##7), WEFT_FIELD(n##8), WEFT_FIELD(n##9, "json:,required")
WEFT_STRUCT(wide, struct wide, MANY_FIELDS(a), MANY_FIELDS(b), MANY_FIELDS(c), MANY_FIELDS(d), MANY_FIELDS(e), MANY_FIELDS(f),
	    MANY_FIELDS(g));

TEST(structs_of_more_than_64_fields)
{
	struct wide w;
	CHECK_EQ(decode(weft_type_of(wide), &w,
			"{\"g9\":70,\"g8\":69,\"f9\":60,\"a0\":1,\"a9\":9,\"b9\":9,\"c9\":9,\"d9\":9,\"e9\":9}", NULL),
		 0);
	CHECK(w.g9 == 70 && w.g8 == 69 && w.f9 == 60 && w.a0 == 1 && w.a1 == 0);
	REFUSED(wide, "{\"g9\":1,\"a1\":1,\"g9\":2}", -EINVAL, "line 1, column 16: g9: the name comes twice");
	REFUSED(wide, "{\"a9\":9,\"b9\":9,\"c9\":9,\"d9\":9,\"e9\":9,\"f9\":9}", -EINVAL,
		"line 1, column 1: g9: the field is required and missing");
}

/* ---- types that cannot be decoded ---- */

struct traced {
	struct traced *next;
	int n;
};
WEFT_STRUCT_TRACED(traced, struct traced, (next), WEFT_FIELD(n));
WEFT_TYPE_LEAF(opaque, struct wrong);

static uint64_t hash_address(weft_seed seed, const struct address *a)
{
	return weft_hash_u64(seed, a->floor);
}

static bool same_address(const struct address *a, const struct address *b)
{
	return a->floor == b->floor;
}

WEFT_MAP_BY(struct address, int, by_address, hash_address, same_address);
WEFT_TYPE_MAP(by_address, address, int);

struct odd {
	struct traced traced;
	struct wrong opaque;
	weft_any any;
	by_address map;
};
WEFT_STRUCT(odd, struct odd, WEFT_FIELD_OF(traced, traced), WEFT_FIELD_OF(opaque, opaque), WEFT_FIELD(any),
	    WEFT_FIELD_OF(by_address, map));

TEST(what_cannot_be_decoded)
{
	REFUSED(odd, "{\"traced\":{}}", -ENOTSUP,
		"line 1, column 11: traced: traced has collected pointers and cannot be decoded");
	REFUSED(odd, "{\"opaque\":{}}", -ENOTSUP, "line 1, column 11: opaque: opaque cannot be decoded");
	REFUSED(odd, "{\"opaque\":7}", -ENOTSUP, "line 1, column 11: opaque: opaque cannot be decoded");
	REFUSED(odd, "{\"any\":7}", -ENOTSUP, "line 1, column 8: any: any cannot be decoded");
	REFUSED(odd, "{\"map\":{}}", -ENOTSUP, "line 1, column 8: map: a map with keys of address cannot be decoded");
}

/* ---- encoding ---- */

#define ENCODES(type, value, options, want)                                                 \
	do {                                                                                \
		char *text_;                                                                \
		size_t n_;                                                                  \
		weft_json_error e_ = {.message = ""};                                       \
		if (weft_json_encode(weft_type_of(type), value, options, &text_, &n_, &e_)) \
			test_fail(__FILE__, __LINE__, "%s", e_.message);                    \
		CHECK_STR(text_, want);                                                     \
		CHECK_EQ(n_, strlen(want));                                                 \
		weft_free(text_);                                                           \
	} while (0)

#define ENCODES_NOT(type, value, error, where, words)                                                   \
	do {                                                                                            \
		char *text_ = (char *)1;                                                                \
		size_t n_ = 1;                                                                          \
		weft_json_error e_ = {.message = ""};                                                   \
		CHECK_EQ(weft_json_encode(weft_type_of(type), value, NULL, &text_, &n_, &e_), error);   \
		CHECK(!text_ && n_ == 0 && e_.line == 0 && e_.column == 0 && e_.offset == 0);           \
		CHECK_STR(e_.path, where);                                                              \
		CHECK_STR(e_.message, words);                                                           \
		CHECK_EQ(weft_json_encode(weft_type_of(type), value, NULL, &text_, NULL, NULL), error); \
	} while (0)

TEST(strings_are_escaped_as_little_as_may_be)
{
	const char *s = "\"\\/\b\f\n\r\t\x01\x1f\x7f<>&\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80";
	ENCODES(string, &s, NULL, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f<>&\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\"");
	s = "";
	ENCODES(string, &s, NULL, "\"\"");
	s = NULL;
	ENCODES(string, &s, NULL, "null");
}

TEST(every_byte_in_a_string_comes_back)
{
	for (int at = 0; at < 20; at++) {
		for (int byte = 1; byte < 0x80; byte++) {
			char in[24], *s = in, *text, *out;
			memset(in, 'a', sizeof in);
			in[at] = (char)byte;
			in[20] = 0;
			CHECK_EQ(weft_json_encode(weft_type_of(string), &s, NULL, &text, NULL, NULL), 0);
			CHECK_EQ(decode(weft_type_of(string), &out, text, NULL), 0);
			CHECK_STR(out, in);
			weft_free(out);
			weft_free(text);
		}
	}
}

TEST(indented)
{
	struct team t;
	weft_json_options two = {.indent = 2};
	CHECK_EQ(decode(weft_type_of(team), &t, "{\"users\":[{\"scores\":[1,2]}],\"map\":{}}", NULL), 0);
	ENCODES(team, &t, &two,
		"{\n  \"users\": [\n    {\n      \"id\": 0,\n      \"full_name\": null,\n      \"country\": \"\",\n"
		"      \"home\": {\n        \"street\": null,\n        \"floor\": 0\n      },\n      \"scores\": [\n        1,\n "
		"       2\n      ],\n"
		"      \"boss\": null\n    }\n  ],\n  \"map\": {}\n}");
	weft_value_fini(weft_type_of(team), &t);
	ints none = {NULL, 0, 0};
	ENCODES(ints, &none, &two, "[]");
}

TEST(what_an_any_holds)
{
	int seven = 7;
	struct address a = {"x", 1};
	weft_any any = {&weft_methods_of_address_, &a}, inner = {&weft_methods_of_any_, &any}, nil = {NULL, NULL},
		 number = {&weft_methods_of_int_, &seven};
	ENCODES(any, &any, NULL, "{\"street\":\"x\",\"floor\":1}");
	ENCODES(any, &inner, NULL, "{\"street\":\"x\",\"floor\":1}");
	ENCODES(any, &nil, NULL, "null");
	ENCODES(any, &number, NULL, "7");
}

TEST(what_cannot_be_encoded)
{
	double d = NAN;
	ENCODES_NOT(double, &d, -EINVAL, "", "a NaN is no number in JSON");
	struct numbers n = {.f = INFINITY};
	ENCODES_NOT(numbers, &n, -EINVAL, "f", "f: an infinity is no number in JSON");
	struct user people[2] = {{.name = "a"}, {.home.street = "\xc3"}};
	struct team t = {.users = {people, 2, 2}};
	ENCODES_NOT(team, &t, -EILSEQ, "users[1].home.street", "users[1].home.street: a string that is not UTF-8");
	struct odd o = {.traced = {NULL, 3}};
	ENCODES_NOT(odd, &o, -ENOTSUP, "opaque", "opaque: opaque cannot be encoded");
	by_address m = by_address_make(0);
	ENCODES_NOT(by_address, &m, -ENOTSUP, "", "a map with keys of address cannot be encoded");
	by_address_free(m);
	ages map = ages_make(0);
	ages_put(map, "fine", 1);
	ages_put(map, "\xff", 1);
	ENCODES_NOT(ages, &map, -EILSEQ, "[\"\xff\"]", "[\"\xff\"]: a string that is not UTF-8");
	ages_free(map);
}

TEST(what_is_cyclic_ends_at_the_depth)
{
	struct user u = {.id = 1};
	weft_json_error e;
	char *text;
	u.boss = &u;
	CHECK_EQ(weft_json_encode(weft_type_of(user), &u, NULL, &text, NULL, &e), -ELOOP);
	CHECK(strstr(e.message, "deeper than 1000, or cyclic") && strstr(e.path, "boss.boss.boss"));
	weft_any any = {&weft_methods_of_any_, &any};
	ENCODES_NOT(any, &any, -ELOOP, "", "deeper than 1000, or cyclic");
}

/* ---- the rest ---- */

static void decode_often(void *arg)
{
	for (int i = 0; i < 50; i++) {
		struct team t;
		CHECK_EQ(decode(weft_type_of(team), &t, "{\"users\":[{\"full_name\":\"x\",\"home\":{\"street\":\"y\"}}]}", NULL),
			 0);
		weft_value_fini(weft_type_of(team), &t);
	}
	weft_waitgroup_done(arg);
}

TEST_GO(goroutines_may_meet_at_a_types_first_use)
{
	weft_waitgroup all = {0};
	enum { GOROUTINES = 20 };
	weft_waitgroup_add(&all, GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++)
		weft_go(decode_often, &all);
	weft_waitgroup_wait(&all);
	return 0;
}

TEST(errno_is_the_programs)
{
	double d;
	errno = 1234;
	CHECK_EQ(decode(weft_type_of(double), &d, "123456789012345678901234567890e-400", NULL), 0);
	CHECK_EQ(decode(weft_type_of(double), &d, "123456789012345678901234567890e400", NULL), -ERANGE);
	CHECK_EQ(errno, 1234);
}

TEST(the_same_in_cxx)
{
	const char *wrong = json_cxx_check();
	if (wrong)
		test_fail(__FILE__, __LINE__, "%s", wrong);
}
