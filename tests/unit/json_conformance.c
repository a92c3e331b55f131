/* RFC 8259, by cases: what every parser must accept and refuse, and what this one does where the RFC leaves it open. */
#include "tests/unit/json.h"

enum verdict { YES, NO, NOT_UTF8 };

struct rule {
	enum verdict verdict;
	const char *text;
	size_t n; /* 0: ended by NUL */
};

#define TEXT_OF(s) s, sizeof s - 1

static void judge(const struct rule *rules, size_t n)
{
	static const int results[] = {[YES] = 0, [NO] = -EBADMSG, [NOT_UTF8] = -EILSEQ};
	for (size_t i = 0; i < n; i++) {
		size_t len = rules[i].n ? rules[i].n : strlen(rules[i].text);
		char *exact = malloc(len ? len : 1);
		weft_json_error e = {.message = "accepted"};
		CHECK(exact);
		memcpy(exact, rules[i].text, len);
		int rc = weft_json_decode(NULL, NULL, exact, len, NULL, &e);
		if (rc != results[rules[i].verdict])
			test_fail(__FILE__, __LINE__, "case %zu, %s: %d, %s", i, rules[i].text, rc, e.message);
		CHECK(rc == 0 || (e.offset <= len && e.line >= 1 && e.column >= 1));
		free(exact);
	}
}

#define JUDGE(rules) judge(rules, sizeof rules / sizeof *rules)

TEST(structure)
{
	static const struct rule rules[] = {
	    {YES, "[]", 0},
	    {YES, "{}", 0},
	    {YES, " [ ] ", 0},
	    {YES, "\t{\r\n}\n", 0},
	    {YES, "[1,2]", 0},
	    {YES, "[[[[]]]]", 0},
	    {YES, "{\"\":{\"\":{}}}", 0},
	    {YES, "{\"a\":1,\"b\":[],\"c\":{}}", 0},
	    {YES, "[ 1 , \"a\" , { \"b\" : null } ]", 0},
	    {YES, "1", 0},
	    {YES, "\"s\"", 0},
	    {YES, "null", 0},
	    {YES, "true", 0},
	    {YES, "false", 0},
	    {YES, " 7 ", 0},
	    {NO, "", 0},
	    {NO, " ", 0},
	    {NO, "[", 0},
	    {NO, "]", 0},
	    {NO, "{", 0},
	    {NO, "}", 0},
	    {NO, "[}", 0},
	    {NO, "{]", 0},
	    {NO, "[]]", 0},
	    {NO, "{}}", 0},
	    {NO, "[[]", 0},
	    {NO, "[] []", 0},
	    {NO, "{} {}", 0},
	    {NO, "1 2", 0},
	    {NO, "[],", 0},
	    {NO, ",", 0},
	    {NO, ":", 0},
	    {NO, "[,]", 0},
	    {NO, "[1,]", 0},
	    {NO, "[,1]", 0},
	    {NO, "[1,,2]", 0},
	    {NO, "[1 2]", 0},
	    {NO, "[1:2]", 0},
	    {NO, "[\"a\":1]", 0},
	    {NO, "{,}", 0},
	    {NO, "{\"a\"}", 0},
	    {NO, "{\"a\":}", 0},
	    {NO, "{:1}", 0},
	    {NO, "{\"a\",1}", 0},
	    {NO, "{\"a\":1,}", 0},
	    {NO, "{\"a\":1,,\"b\":2}", 0},
	    {NO, "{\"a\":1 \"b\":2}", 0},
	    {NO, "{\"a\"::1}", 0},
	    {NO, "{a:1}", 0},
	    {NO, "{'a':1}", 0},
	    {NO, "{1:1}", 0},
	    {NO, "{null:1}", 0},
	    {NO, "{[]:1}", 0},
	    {NO, "['a']", 0},
	    {NO, "//\n1", 0},
	    {NO, "/**/1", 0},
	    {NO, "1//", 0},
	    {NO, "#\n1", 0},
	    {NO, "[1;2]", 0},
	    {NO, "\f1", 0},
	    {NO, "\v1", 0},
	    {NO, TEXT_OF("\xc2\xa0"
			 "1")},
	    {NO, TEXT_OF("\xef\xbb\xbf"
			 "1")},
	    {NO, TEXT_OF("1\0")},
	    {NO, TEXT_OF("\0"
			 "1")},
	    {NO, TEXT_OF("[1\0]")},
	    {NO, TEXT_OF("[1\xff]")},
	    {NO, TEXT_OF("\xfe\xff\0"
			 "1")},
	};
	JUDGE(rules);
}

TEST(literals)
{
	static const struct rule rules[] = {
	    {YES, "[true,false,null]", 0},
	    {NO, "True", 0},
	    {NO, "TRUE", 0},
	    {NO, "tru", 0},
	    {NO, "truee", 0},
	    {NO, "nul", 0},
	    {NO, "nulll", 0},
	    {NO, "nil", 0},
	    {NO, "undefined", 0},
	    {NO, "NaN", 0},
	    {NO, "Infinity", 0},
	    {NO, "-Infinity", 0},
	    {NO, "fals", 0},
	    {NO, "falsee", 0},
	    {NO, "t", 0},
	    {NO, "n", 0},
	    {NO, "f", 0},
	    {NO, "[tru,]", 0},
	    {NO, "truefalse", 0},
	    {NO, "yes", 0},
	};
	JUDGE(rules);
}

TEST(numbers)
{
	static const struct rule rules[] = {
	    {YES, "0", 0},	   {YES, "-0", 0},
	    {YES, "-1", 0},	   {YES, "10", 0},
	    {YES, "0.5", 0},	   {YES, "-0.5", 0},
	    {YES, "1.0", 0},	   {YES, "1e1", 0},
	    {YES, "1E1", 0},	   {YES, "1e+1", 0},
	    {YES, "1e-1", 0},	   {YES, "0e0", 0},
	    {YES, "0e+01", 0},	   {YES, "1.5E-007", 0},
	    {YES, "1e99999", 0},   {YES, "123456789012345678901234567890", 0},
	    {YES, "-1e-99999", 0}, {NO, "-", 0},
	    {NO, "+1", 0},	   {NO, "--1", 0},
	    {NO, "-+1", 0},	   {NO, "- 1", 0},
	    {NO, "01", 0},	   {NO, "-01", 0},
	    {NO, "00", 0},	   {NO, "-00", 0},
	    {NO, "1.", 0},	   {NO, ".5", 0},
	    {NO, "-.5", 0},	   {NO, "1.e1", 0},
	    {NO, "1e", 0},	   {NO, "1e+", 0},
	    {NO, "1e-", 0},	   {NO, "1ee1", 0},
	    {NO, "1e1.5", 0},	   {NO, "1.5.5", 0},
	    {NO, "1 .5", 0},	   {NO, "1. 5", 0},
	    {NO, "0x10", 0},	   {NO, "1a", 0},
	    {NO, "1_000", 0},	   {NO, "0b1", 0},
	    {NO, "1f", 0},	   {NO, "e1", 0},
	    {NO, "1,5", 0},	   {NO, "[1.]", 0},
	    {NO, "[-]", 0},	   {NO, "[1e]", 0},
	    {NO, "2..", 0},	   {NO, "\xef\xbc\x91", 0},
	};
	JUDGE(rules);
}

TEST(strings)
{
	static const struct rule rules[] = {
	    {YES, "\"\"", 0},
	    {YES, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 0},
	    {YES, "\"\\u0000\"", 0},
	    {YES, "\"\\u00e9\\uABCD\\uabcd\"", 0},
	    {YES, "\"\\ud834\\udd1e\"", 0},
	    {YES, "\"\\uD83D\\uDE00x\"", 0},
	    {YES, "\"\x7f\"", 0},
	    {YES, "\"/\"", 0},
	    {YES, "\"'\"", 0},
	    {YES, "\"\\\\u0041\"", 0},
	    {YES, "\"\xe2\x80\xa8\"", 0},
	    {YES, "\"\\uffff\\ufdd0\"", 0},
	    {YES, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\n\"", 0},
	    {NO, "\"", 0},
	    {NO, "\"a", 0},
	    {NO, "\"\\\"", 0},
	    {NO, "\"\\", 0},
	    {NO, "\"\\a\"", 0},
	    {NO, "\"\\'\"", 0},
	    {NO, "\"\\0\"", 0},
	    {NO, "\"\\x41\"", 0},
	    {NO, "\"\\U0041\"", 0},
	    {NO, "\"\\u\"", 0},
	    {NO, "\"\\u0\"", 0},
	    {NO, "\"\\u004\"", 0},
	    {NO, "\"\\u004g\"", 0},
	    {NO, "\"\\u 041\"", 0},
	    {NO, "\"\\u+041\"", 0},
	    {NO, "\"\\u-041\"", 0},
	    {NO, "\"\\u0041", 0},
	    {NO, "\"\\ud834\\u", 0},
	    {NO, "\"\n\"", 0},
	    {NO, "\"\t\"", 0},
	    {NO, "\"\x1f\"", 0},
	    {NO, "\"aaaaaaa\x01\"", 0},
	    {NO, "\"aaaaaaaaaaaaaaa\x1a\"", 0},
	    {NO, TEXT_OF("\"\0\"")},
	    {NO, TEXT_OF("\"aaaaaaaaaaaa\0\"")},
	    {NO, "\"a\"b\"", 0},
	    {NO, "'a'", 0},
	    {NO, "`a`", 0},
	    {NO, "\"\\\n\"", 0},
	    {NOT_UTF8, "\"\\ud834\"", 0},
	    {NOT_UTF8, "\"\\udd1e\"", 0},
	    {NOT_UTF8, "\"\\ud834x\"", 0},
	    {NOT_UTF8, "\"\\ud834\\n\"", 0},
	    {NOT_UTF8, "\"\\ud834\\ud834\"", 0},
	    {NOT_UTF8, "\"\\udd1e\\ud834\"", 0},
	    {NOT_UTF8, "\"\\ud834\\u0041\"", 0},
	    {NOT_UTF8, "[\"\\ud834 and so on\"]", 0},
	};
	JUDGE(rules);
}

TEST(utf8)
{
	static const struct rule rules[] = {
	    {YES, "\"\xc2\x80\xdf\xbf\"", 0},
	    {YES, "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"", 0},
	    {YES, "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", 0},
	    {YES, "{\"\xe6\x97\xa5\":\"\xe6\x9c\xac\"}", 0},
	    {NOT_UTF8, "\"\x80\"", 0},
	    {NOT_UTF8, "\"\xbf\"", 0},
	    {NOT_UTF8, "\"\xc0\x80\"", 0},
	    {NOT_UTF8, "\"\xc1\xbf\"", 0},
	    {NOT_UTF8, "\"\xc2\"", 0},
	    {NOT_UTF8, "\"\xc2\xc2\"", 0},
	    {NOT_UTF8, "\"\xe0\x9f\xbf\"", 0},
	    {NOT_UTF8, "\"\xe0\xa0\"", 0},
	    {NOT_UTF8, "\"\xed\xa0\x80\"", 0},
	    {NOT_UTF8, "\"\xed\xbf\xbf\"", 0},
	    {NOT_UTF8, "\"\xe6\x97\"", 0},
	    {NOT_UTF8, "\"\xf0\x8f\xbf\xbf\"", 0},
	    {NOT_UTF8, "\"\xf0\x90\x80\"", 0},
	    {NOT_UTF8, "\"\xf4\x90\x80\x80\"", 0},
	    {NOT_UTF8, "\"\xf5\x80\x80\x80\"", 0},
	    {NOT_UTF8, "\"\xf8\x88\x80\x80\x80\"", 0},
	    {NOT_UTF8, "\"\xfe\"", 0},
	    {NOT_UTF8, "\"\xff\"", 0},
	    {NOT_UTF8, "\"aaaaaaaaaaaaaaaaaa\xff\"", 0},
	    {NOT_UTF8, "\"\xe6", 0},
	    {NOT_UTF8, "\"\xf0\x90", 0},
	    {NOT_UTF8, "{\"\xff\":1}", 0},
	};
	JUDGE(rules);
}
