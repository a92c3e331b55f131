/* Numbers against the C library's: read right to the last bit, and written as short as may be. */
#include "tests/random.h"
#include "tests/unit/json.h"

#include <float.h>
#include <math.h>

static double read_double(const char *text)
{
	double d;
	if (decode(weft_type_of(double), &d, text, NULL))
		test_fail(__FILE__, __LINE__, "%s is refused", text);
	return d;
}

static float read_float(const char *text)
{
	float f;
	if (decode(weft_type_of(float), &f, text, NULL))
		test_fail(__FILE__, __LINE__, "%s is refused", text);
	return f;
}

static void same(const char *text)
{
	double d = read_double(text), libc = strtod(text, NULL);
	float f = isfinite(strtof(text, NULL)) ? read_float(text) : 0,
	      libc_f = isfinite(strtof(text, NULL)) ? strtof(text, NULL) : 0;
	if (memcmp(&d, &libc, sizeof d) || memcmp(&f, &libc_f, sizeof f))
		test_fail(__FILE__, __LINE__, "%s is %a and %a, not %a and %a", text, d, (double)f, libc, (double)libc_f);
}

TEST(hard_numbers)
{
	static const char *const texts[] = {"0",
					    "-0",
					    "0.0",
					    "-0.0e5",
					    "0e999999999",
					    "1e0",
					    "1E+2",
					    "123.456e-7",
					    "9007199254740992",
					    "9007199254740993",
					    "9007199254740994.5",
					    "1e22",
					    "1e23",
					    "8.5e22",
					    "7.3e-22",
					    "7.3e-23",
					    "2.2250738585072011e-308",
					    "2.2250738585072014e-308",
					    "4.9406564584124654e-324",
					    "2.4703282292062327e-324",
					    "2.4703282292062328e-324",
					    "1e-400",
					    "1.7976931348623157e308",
					    "1.7976931348623158e308",
					    "16777216",
					    "16777217",
					    "16777219",
					    "1.00000005960464477539",
					    "1.00000017881393432617187499",
					    "1.00000017881393432617187500",
					    "1.00000017881393432617187501",
					    "18446744073709551615",
					    "18446744073709551616",
					    "184467440737095516150",
					    "1.1234567890123e-2147483639",
					    "128.74836467836484838364836483643636483648e-336",
					    "0.000000000000000000000000000000000000000000000001e47",
					    "6223372036854775296."
					    "170151272368547354737253685475529337203685468547752975223373720170151233720097201372"
					    "368547312337203687203685423685473724736237"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		same(texts[i]);
	char zeros[2000];
	memset(zeros, '0', sizeof zeros);
	memcpy(zeros + 1, ".", 1);
	strcpy(zeros + 1980, "1e1979");
	same(zeros);
	memset(zeros, '9', sizeof zeros);
	zeros[300] = 0;
	same(zeros);
}

TEST(random_decimals_are_read_as_by_libc)
{
	uint64_t seed = random_seed();
	for (int64_t i = test_rounds(300000); i > 0; i--) {
		char text[64];
		int digits = 1 + (int)draw_below(&seed, 20), n = 0;
		n += sprintf(text + n, "%s%d", draw(&seed) & 1 ? "-" : "", (int)draw_below(&seed, 9) + 1);
		for (int d = 1; d < digits; d++) {
			if (d == 3)
				text[n++] = '.';
			text[n++] = (char)('0' + draw_below(&seed, 10));
		}
		sprintf(text + n, "e%d", (int)draw_below(&seed, draw(&seed) & 1 ? 60 : 600) - 300);
		if (isfinite(strtod(text, NULL)))
			same(text);
	}
}

static size_t significant(const char *text)
{
	char digits[64];
	size_t n = 0;
	for (const char *p = text; *p && *p != 'e'; p++) {
		if (*p >= '0' && *p <= '9' && (n || *p != '0'))
			digits[n++] = *p;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return n;
}

static void double_comes_back(double d)
{
	char *text, printed[64];
	CHECK_EQ(weft_json_encode(weft_type_of(double), &d, NULL, &text, NULL, NULL), 0);
	double again = read_double(text), by_libc = strtod(text, NULL);
	int precision = 1;
	do
		snprintf(printed, sizeof printed, "%.*e", precision - 1, d);
	while (strtod(printed, NULL) != d && ++precision);
	if (memcmp(&again, &d, sizeof d) || by_libc != d || significant(text) > significant(printed))
		test_fail(__FILE__, __LINE__, "%a is written %s (shortest: %s)", d, text, printed);
	weft_free(text);
}

static void float_comes_back(float f)
{
	char *text, printed[64];
	CHECK_EQ(weft_json_encode(weft_type_of(float), &f, NULL, &text, NULL, NULL), 0);
	float again = read_float(text), by_libc = strtof(text, NULL);
	int precision = 1;
	do
		snprintf(printed, sizeof printed, "%.*e", precision - 1, (double)f);
	while (strtof(printed, NULL) != f && ++precision);
	if (memcmp(&again, &f, sizeof f) || by_libc != f || significant(text) > significant(printed))
		test_fail(__FILE__, __LINE__, "%a is written %s (shortest: %s)", (double)f, text, printed);
	weft_free(text);
}

TEST(random_floats_are_written_shortest)
{
	uint64_t seed = random_seed();
	for (int64_t i = test_rounds(50000); i > 0; i--) {
		uint64_t bits = draw(&seed);
		uint32_t few = (uint32_t)draw(&seed);
		double d;
		float f;
		memcpy(&d, &bits, sizeof d);
		memcpy(&f, &few, sizeof f);
		if (isfinite(d))
			double_comes_back(d);
		if (isfinite(f))
			float_comes_back(f);
		d = (double)draw_below(&seed, 1000000000) / (double)(1 + draw_below(&seed, 1000));
		double_comes_back(d);
		double_comes_back(floor(d) / 100);
		float_comes_back((float)d);
		float_comes_back((float)(floor(d / 1000) / 100));
	}
}

TEST(written_as_people_do)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"},
		     {1, "1"},
		     {-1.5, "-1.5"},
		     {0.1, "0.1"},
		     {100, "100"},
		     {1e20, "100000000000000000000"},
		     {1e21, "1e21"},
		     {1.5e300, "1.5e300"},
		     {1e-6, "0.000001"},
		     {1.25e-7, "1.25e-7"},
		     {123456789012345680, "123456789012345680"},
		     {9007199254740992, "9007199254740992"},
		     {DBL_MAX, "1.7976931348623157e308"},
		     {DBL_MIN, "2.2250738585072014e-308"},
		     {0.30000000000000004, "0.30000000000000004"},
		     {1.0 / 3, "0.3333333333333333"},
		     {37.774929, "37.774929"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text;
		CHECK_EQ(weft_json_encode(weft_type_of(double), &cases[i].value, NULL, &text, NULL, NULL), 0);
		CHECK_STR(text, cases[i].text);
		weft_free(text);
	}
	float third = 1.0f / 3, tenth = 0.1f, big = 16777216.0f;
	const float *floats[] = {&third, &tenth, &big};
	const char *const texts[] = {"0.33333334", "0.1", "16777216"};
	for (int i = 0; i < 3; i++) {
		char *text;
		CHECK_EQ(weft_json_encode(weft_type_of(float), floats[i], NULL, &text, NULL, NULL), 0);
		CHECK_STR(text, texts[i]);
		weft_free(text);
	}
}
