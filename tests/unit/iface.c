#include "tests/unit/go.h"

#include <string.h>

#include <weft/iface.h>
#include <weft/reflect.h>

#define shape_methods(METHOD, of) \
	METHOD(of, double, area)  \
	METHOD(of, void, scale, double)
WEFT_INTERFACE(shape);

#define named_methods(METHOD, of) METHOD(of, const char *, name)
WEFT_INTERFACE(named);

/* Both, as Go embeds interfaces. */
#define named_shape_methods(METHOD, of) named_methods(METHOD, of) shape_methods(METHOD, of)
WEFT_INTERFACE(named_shape);

#define sum_methods(METHOD, of) METHOD(of, long, six, char, short, int, long, const int *, double)
WEFT_INTERFACE(sum);

struct circle {
	double r;
};

struct square {
	double side;
};

WEFT_STRUCT(circle, struct circle, WEFT_FIELD(r));
WEFT_TYPE_LEAF(square, struct square);

static double circle_area(const struct circle *c)
{
	return 3 * c->r * c->r;
}

static void circle_scale(struct circle *c, double by)
{
	c->r *= by;
}

static const char *circle_name(const struct circle *c)
{
	return c ? "circle" : "no circle";
}

static double square_area(const struct square *s)
{
	return s->side * s->side;
}

static void square_scale(struct square *s, double by)
{
	s->side *= by;
}

static long circle_six(struct circle *c, char a, short b, int d, long e, const int *f, double g)
{
	return (long)c->r + a + b + d + e + *f + (long)g;
}

WEFT_IMPLEMENTS(circle, shape);
WEFT_IMPLEMENTS(circle, named);
WEFT_IMPLEMENTS(circle, named_shape);
WEFT_IMPLEMENTS(circle, sum);
WEFT_IMPLEMENTS(square, shape);

static bool panics(void (*fn)(void *), const char *words)
{
	weft_panic_info info;
	bool did = weft_protect(fn, NULL, &info);
	if (did)
		CHECK_STR(info.message, words);
	return did;
}

TEST(methods_are_called_by_the_type_of_the_value)
{
	struct circle c = {1};
	struct square s = {3};
	shape shapes[] = {circle_as_shape(&c), square_as_shape(&s)};
	double all = 0;
	for (size_t i = 0; i < 2; i++) {
		shape_scale(shapes[i], 2);
		all += shape_area(shapes[i]);
	}
	CHECK(all == 12 + 36);
	CHECK(c.r == 2 && s.side == 6);
}

TEST(six_arguments_arrive)
{
	struct circle c = {1};
	int five = 50000;
	CHECK_EQ(sum_six(circle_as_sum(&c), 1, 20, 300, 4000, &five, 600000.5), 654322);
}

TEST(a_value_may_hold_a_nil_pointer)
{
	named n = circle_as_named(NULL);
	CHECK_STR(named_name(n), "no circle");
	struct circle c, *back = &c;
	CHECK(weft_try_assert_to(circle, n, &back) && !back);
}

TEST(assertion_to_the_type_it_is)
{
	struct circle c = {1}, *back = NULL;
	struct square *other = (struct square *)&c;
	shape s = circle_as_shape(&c);
	CHECK(weft_assert_to(circle, s) == &c);
	CHECK(weft_try_assert_to(circle, s, &back) && back == &c);
	CHECK(!weft_try_assert_to(square, s, &other) && !other);
	CHECK(weft_assert_to(circle, weft_any_from(s)) == &c);
	int seven = 7;
	CHECK_EQ(*weft_assert_to(int, weft_any_of(int, &seven)), 7);
	char *text = "text";
	CHECK_STR(*weft_assert_to(string, weft_any_of(string, &text)), "text");
}

TEST(assertion_to_an_interface)
{
	struct circle c = {1};
	struct square q = {2};
	named n;
	CHECK_STR(named_name(weft_assert_to(named, circle_as_shape(&c))), "circle");
	CHECK(weft_try_assert_to(named, circle_as_shape(&c), &n) && n.self == &c);
	CHECK(!weft_try_assert_to(named, square_as_shape(&q), &n) && !n.self && !n.methods_);
	shape s = weft_assert_to(shape, weft_any_of(square, &q));
	CHECK(shape_area(s) == 4);
	named_shape both = weft_assert_to(named_shape, s = circle_as_shape(&c));
	CHECK_STR(named_shape_name(both), "circle");
	CHECK(shape_area(weft_assert_to(shape, both)) == 3);
}

static int evaluated;

static shape counted(struct circle *c)
{
	evaluated++;
	return circle_as_shape(c);
}

TEST(what_is_asserted_is_evaluated_once)
{
	struct circle c = {1};
	weft_assert_to(circle, counted(&c));
	CHECK_EQ(evaluated, 1);
}

static void method_of_nil(void *arg)
{
	(void)arg;
	shape nil = {0};
	shape_area(nil);
}

static void wrong_type(void *arg)
{
	(void)arg;
	struct square q = {1};
	weft_assert_to(circle, square_as_shape(&q));
}

static void nil_to_type(void *arg)
{
	(void)arg;
	weft_assert_to(circle, (weft_any){0});
}

static void lacks_methods(void *arg)
{
	(void)arg;
	struct square q = {1};
	weft_assert_to(named, square_as_shape(&q));
}

static void nil_to_interface(void *arg)
{
	(void)arg;
	weft_assert_to(named, (shape){0});
}

TEST_GO(misuse_panics_in_words)
{
	CHECK(panics(method_of_nil, "method area of a nil shape"));
	CHECK(panics(wrong_type, "interface conversion: value is square, not circle"));
	CHECK(panics(nil_to_type, "interface conversion: value is nil, not circle"));
	CHECK(panics(lacks_methods, "interface conversion: square is not named: there is no WEFT_IMPLEMENTS(square, named)"));
	CHECK(panics(nil_to_interface, "interface conversion: value is nil, not named"));
	return 0;
}

static const char *which(weft_any v)
{
	const char *taken = "";
	WEFT_TYPE_SWITCH(v)
	{
		WEFT_TYPE_CASE(int, n)
		taken = *n == 7 ? "seven" : "int";
		WEFT_TYPE_CASE(named, n)
		taken = named_name(n);
		WEFT_TYPE_CASE(circle, c)
		taken = "never: it is named";
		WEFT_TYPE_CASE(shape, s)
		{
			if (shape_area(s) > 100)
				break;
			taken = "small shape";
		}
		WEFT_TYPE_NIL
		taken = "nil";
		WEFT_TYPE_DEFAULT
		taken = "other";
	}
	return taken;
}

TEST(a_type_switch_takes_the_first_case_that_fits)
{
	int seven = 7;
	double d = 1;
	struct circle c = {1};
	struct square small = {1}, large = {11};
	CHECK_STR(which(weft_any_of(int, &seven)), "seven");
	CHECK_STR(which(weft_any_of(circle, &c)), "circle");
	CHECK_STR(which(weft_any_of(square, &small)), "small shape");
	CHECK_STR(which(weft_any_of(square, &large)), "");
	CHECK_STR(which(weft_any_of(double, &d)), "other");
	CHECK_STR(which((weft_any){0}), "nil");
}

TEST(an_interface_is_a_type_that_fields_may_have)
{
	struct circle c = {1}, same = {1};
	shape a = circle_as_shape(&c), b = circle_as_shape(&same);
	CHECK(weft_deep_equal(weft_type_of(shape), &a, &b));
	same.r = 2;
	CHECK(!weft_deep_equal(weft_type_of(shape), &a, &b));
	char text[32];
	weft_format_value(text, sizeof text, weft_type_of(shape), &a);
	CHECK_STR(text, "circle{r: 1}");
}

/* What another file, or a library that is loaded later, would register. */
TEST(a_later_registration_turns_a_no_into_a_yes)
{
	struct square q = {3};
	sum s;
	CHECK(!weft_try_assert_to(sum, square_as_shape(&q), &s));
	const struct sum_table_ table = {{weft_type_of(square)}, weft_circle_as_sum_.six};
	struct weft_implementation_ i = {NULL, &weft_iface_of_sum_, &table.head_};
	weft_interface_implemented_(&i);
	CHECK(weft_try_assert_to(sum, square_as_shape(&q), &s) && s.methods_ == &table);
}

TEST(a_type_and_an_interface_are_known_by_their_declaration)
{
	weft_type twin = *weft_type_of(circle);
	struct weft_methods_ methods = {&twin};
	struct circle c = {2};
	weft_any elsewhere = {&methods, &c};
	CHECK(weft_assert_to(circle, elsewhere) == &c);
	CHECK(shape_area(weft_assert_to(shape, elsewhere)) == 12);
	twin.where = "other.c:1";
	struct circle *none;
	CHECK(!weft_try_assert_to(circle, elsewhere, &none));
	struct weft_asked_ asked = {0}, asked_more = {0};
	struct weft_interface_ same = weft_iface_of_shape_, more = weft_iface_of_shape_;
	CHECK(weft_interface_table_(&same, &asked, weft_any_of(circle, &c)));
	more.methods = "shape, double, area; ";
	CHECK(!weft_interface_table_(&more, &asked_more, weft_any_of(circle, &c)));
}
