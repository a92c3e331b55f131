#!/usr/bin/env python3
"""What the macros of <weft/type.h>, <weft/reflect.h> and <weft/iface.h> take, as a user's compiler sees it, and what they refuse."""
from compiling import defines_only, refuses, takes, tap

INCLUDES = """
#include <weft/iface.h>
#include <weft/reflect.h>
"""
DECLARED = """
struct place { const char *street; int zip; };
struct node { int value; struct node *next, *kids[2]; void *grid[2][3]; int numbers[4]; struct { void *owner; int n; } pos;
	      struct place home; };
struct square { double side; };
WEFT_STRUCT(place, struct place, WEFT_FIELD(street), WEFT_FIELD(zip, "json:code"));
WEFT_TYPE_LEAF(square, struct square);
WEFT_SLICE_OF(int, ints);
WEFT_SLICE_OF(struct node *, nodes);
WEFT_MAP_OF_STRING(int, ages);
#define shape_methods(METHOD, of) METHOD(of, double, area) METHOD(of, void, scale, double) METHOD(of, void *, all, int, char, long)
WEFT_INTERFACE(shape);
"""
TYPES = INCLUDES + DECLARED
METHODS = """
static double square_area(const struct square *s) { return s->side; }
static void square_scale(struct square *s, double by) { s->side *= by; }
static void *square_all(struct square *s, int a, char b, long c) { return a + b + c ? s : NULL; }
"""
TAKEN = TYPES + METHODS + """
WEFT_STRUCT_TRACED(node, struct node, (next, kids, grid, pos.owner), WEFT_FIELD(value), WEFT_FIELD_OF(node, next),
		   WEFT_FIELD_OF(place, home, "json:place"));
WEFT_TYPE_SLICE(ints, int);
WEFT_TYPE_POINTER(node_ref, node);
WEFT_TYPE_SLICE(nodes, node_ref);
WEFT_TYPE_MAP(ages, string, int);
WEFT_IMPLEMENTS(square, shape);
int use(struct square *s);
int use(struct square *s)
{
	shape v = square_as_shape(s);
	struct square *back = NULL;
	int taken = 0;
	WEFT_TYPE_SWITCH (v) {
		WEFT_TYPE_CASE (square, q)
			taken = q == s;
		WEFT_TYPE_NIL
			taken = 2;
		WEFT_TYPE_DEFAULT
			taken = 3;
	}
	return weft_try_assert_to(square, weft_any_of(square, s), &back) && weft_assert_to(square, v) == back && taken;
}
"""


def test_every_form_compiles_without_a_warning():
    takes(TAKEN)


def test_a_collected_member_is_a_pointer_of_the_type():
    for member in ("value", "numbers", "pos", "pos.n", "home"):
        refuses(f"{TYPES}WEFT_TYPE(node, struct node, next, {member});", f"{member} is no pointer")
    refuses(f"{TYPES}WEFT_TYPE(node, struct node, next, elsewhere);", "no member named", "has no member")


def test_a_field_is_of_a_described_type():
    for field in ("WEFT_FIELD(home)", "WEFT_FIELD(next)", "WEFT_FIELD(elsewhere)", "WEFT_FIELD_OF(place, value)",
                  "WEFT_FIELD_OF(node, home)", "WEFT_FIELD_OF(place, next)", "WEFT_FIELD_OF(nothing, home)"):
        refuses(f"{TYPES}WEFT_STRUCT(node, struct node, {field});", "error")


def test_slices_and_maps_have_the_elements_that_are_said():
    for elem in ("double", "float", "unsigned", "string"):
        refuses(f"{TYPES}WEFT_TYPE_SLICE(ints, {elem});", "ints has elements of another type")
    refuses(f"{TYPES}WEFT_TYPE_MAP(ages, int, int);", "ages has keys of another type")
    refuses(f"{TYPES}WEFT_TYPE_MAP(ages, bytes, int);", "ages has keys of another type")
    for value in ("place", "float", "unsigned", "string"):
        refuses(f"{TYPES}WEFT_TYPE_MAP(ages, string, {value});", "ages has values of another type")


def test_an_assertion_is_of_an_interface():
    for value in ("weft_bytes", "struct square", "int"):
        refuses(f"{TYPES}int use({value} v);\nint use({value} v) {{ struct square *s; return weft_try_assert_to(square, v, &s); }}",
                "methods_", "no matching function")


def test_a_member_that_lies_askew_is_refused():
    refuses(f"{TYPES}struct packed {{ char c; int n; }} __attribute__((packed));\n"
            "WEFT_STRUCT(packed, struct packed, WEFT_FIELD(n));", "negative")


def test_a_header_may_be_included_from_several_files():
    """Declarations are of the file, in C++ whatever linkage and namespace is around them."""
    header = DECLARED + "WEFT_TYPE_SLICE(ints, int);\n" + METHODS + "WEFT_IMPLEMENTS(square, shape);\n"
    use = "int use%d(void); int use%d(void) { return weft_type_of(place)->kind == WEFT_KIND_STRUCT && weft_type_of(ints)->size; }\n"
    for before, after in (("", ""), ('#ifdef __cplusplus\nextern "C" {\n#endif\n', '#ifdef __cplusplus\n}\n#endif\n')):
        defines_only([INCLUDES + before + header + after + use % (i, i) for i in (1, 2)], {"use1", "use2"})


def test_a_type_that_lacks_a_method_is_refused():
    lacking = METHODS.replace("square_area", "square_surface")
    refuses(f"{TYPES}{lacking}WEFT_IMPLEMENTS(square, shape);", "square_area")


def test_a_method_with_other_arguments_is_refused():
    for before, after in (("struct square *s, double by)", "struct square *s)"),
                          ("int a, char b, long c) { return a + b + c", "int a, char b) { return a + b")):
        wrong = METHODS.replace(before, after).replace("*= by", "*= 2")
        refuses(f"{TYPES}{wrong}WEFT_IMPLEMENTS(square, shape);", "too many arguments", "no matching function")


tap.main(globals())
