// Descriptors, interfaces and assertions from C++17, without a cast: what is found wrong, or nullptr.
#include <weft/iface.h>
#include <weft/reflect.h>

#include <cstring>

namespace
{

enum class color : unsigned char { red, green };
enum plain { one = 1 };

struct address {
	const char *street;
	int zip;
};

WEFT_SLICE_OF(int, ints);
WEFT_MAP_OF_STRING(double, ages);

} // namespace

WEFT_STRUCT(address, address, WEFT_FIELD(street), WEFT_FIELD(zip, "json:code"));
WEFT_TYPE_SLICE(ints, int);
WEFT_TYPE_MAP(ages, string, double);

namespace
{

struct user {
	int64_t id;
	const char *name;
	char country[3];
	color favourite;
	plain number;
	char initial;
	long long counts[2];
	char *words[3];
	double *limit;
	address home, other[2];
	const address *work;
	ints scores;
	ages by_name;
	user *boss;
	weft_any extra;
};

struct node {
	int value;
	node *kids[2];
	struct {
		void *owner;
	} pos;
};

struct circle {
	double radius;
};

} // namespace

WEFT_STRUCT(user, user, WEFT_FIELD(id), WEFT_FIELD(name), WEFT_FIELD(country), WEFT_FIELD(favourite), WEFT_FIELD(number),
	    WEFT_FIELD(initial), WEFT_FIELD(counts), WEFT_FIELD(words), WEFT_FIELD(limit), WEFT_FIELD_OF(address, home),
	    WEFT_FIELD_OF(address, other), WEFT_FIELD_OF(address, work), WEFT_FIELD_OF(ints, scores),
	    WEFT_FIELD_OF(ages, by_name), WEFT_FIELD_OF(user, boss), WEFT_FIELD(extra));
WEFT_STRUCT_TRACED(node, node, (kids, pos.owner), WEFT_FIELD(value));
WEFT_TYPE_LEAF(circle, circle);

#define shape_methods(METHOD, of) METHOD(of, double, area) METHOD(of, void, scale, double)
WEFT_INTERFACE(shape);

static double circle_area(const circle *c)
{
	return 3 * c->radius * c->radius;
}

static void circle_scale(circle *c, double by)
{
	c->radius *= by;
}

WEFT_IMPLEMENTS(circle, shape);

extern "C" const char *reflect_cxx_check(void);

static weft_kind kind_of(const char *name)
{
	return weft_field_type(weft_type_field(weft_type_of(user), name))->kind;
}

static const char *check_fields()
{
	static const struct {
		const char *name;
		weft_kind kind;
	} want[] = {
	    {"id", WEFT_KIND_INT},	  {"name", WEFT_KIND_STRING}, {"country", WEFT_KIND_TEXT}, {"favourite", WEFT_KIND_UINT},
	    {"number", WEFT_KIND_UINT},	  {"initial", WEFT_KIND_INT}, {"counts", WEFT_KIND_ARRAY}, {"words", WEFT_KIND_ARRAY},
	    {"limit", WEFT_KIND_POINTER}, {"home", WEFT_KIND_STRUCT}, {"other", WEFT_KIND_ARRAY},  {"work", WEFT_KIND_POINTER},
	    {"scores", WEFT_KIND_SLICE},  {"by_name", WEFT_KIND_MAP}, {"boss", WEFT_KIND_POINTER}, {"extra", WEFT_KIND_ANY}};
	for (auto &w : want) {
		bool letter = !strcmp(w.name, "initial") && (char)-1 > 0;
		if (kind_of(w.name) != (letter ? WEFT_KIND_UINT : w.kind))
			return w.name;
	}
	if (weft_type_len(weft_field_type(weft_type_field(weft_type_of(user), "other"))) != 2)
		return "an array's length";
	if (weft_type_of(node)->map != 0xe || weft_type_of(node)->npointers != 2)
		return "the pointer map";
	return nullptr;
}

static const char *check_values()
{
	user a = {}, b = {};
	double limit = 1.5;
	a.name = b.name = "ann";
	a.favourite = b.favourite = color::green;
	a.limit = &limit;
	if (weft_deep_equal(weft_type_of(user), &a, &b))
		return "different values are equal";
	b.limit = &limit;
	if (!weft_deep_equal(weft_type_of(user), &a, &b))
		return "equal values differ";
	char text[64];
	weft_format_value(text, sizeof text, weft_type_of(address), &a.home);
	return strcmp(text, "address{street: nil, zip: 0}") ? "a printed value" : nullptr;
}

static const char *check_interfaces()
{
	circle c = {2}, *back;
	shape s = circle_as_shape(&c), again;
	shape_scale(s, 2);
	if (shape_area(s) != 48)
		return "a method through an interface";
	weft_any any = weft_any_of(circle, &c);
	if (weft_assert_to(circle, s) != &c || !weft_try_assert_to(shape, any, &again) || again.self != &c)
		return "an assertion";
	if (weft_try_assert_to(circle, weft_any{}, &back) || back)
		return "nil is a circle";
	const char *taken = "none";
	WEFT_TYPE_SWITCH(any)
	{
		WEFT_TYPE_CASE(address, p)
		taken = p->street;
		WEFT_TYPE_CASE(shape, which)
		taken = shape_area(which) > 0 ? "shape" : "flat";
		WEFT_TYPE_DEFAULT
		taken = "default";
	}
	return strcmp(taken, "shape") ? "a type switch" : nullptr;
}

const char *reflect_cxx_check(void)
{
	const char *wrong = check_fields();
	wrong = wrong ? wrong : check_values();
	return wrong ? wrong : check_interfaces();
}
