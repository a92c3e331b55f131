#!/usr/bin/env python3
"""What the macros of <weft/map.h> take, as a user's compiler sees it: without a warning, as C11 and as C++17, and what they refuse."""
from compiling import refuses, takes, tap

TAKEN = """
#include <weft/map.h>
enum color { RED };
struct pair { char a; int64_t b; };
static uint64_t hash_pair(weft_seed s, const struct pair *p) { return weft_hash_u64(s, (uint64_t)p->b ^ (uint64_t)p->a); }
static bool same_pair(const struct pair *x, const struct pair *y) { return x->a == y->a && x->b == y->b; }
WEFT_MAP_OF(int, double, by_int);
WEFT_MAP_OF(bool, struct pair, by_bool);
WEFT_MAP_OF(char, char, by_char);
WEFT_MAP_OF(uint64_t, const char *, by_word);
WEFT_MAP_OF(enum color, int, by_color);
WEFT_MAP_OF(void *, int, by_pointer);
WEFT_MAP_OF(const struct pair *, int, by_pair_pointer);
WEFT_MAP_BY(struct pair, int, by_pair, hash_pair, same_pair);
WEFT_MAP_OF_STRING(struct pair, by_string);
WEFT_MAP_OF_BYTES(char, by_bytes);
WEFT_SET_OF(int, ints);
WEFT_SET_OF(struct pair *, pointers);
int use(void);
int use(void)
{
	by_string m = by_string_make(0);
	struct pair p = {1, 2};
	by_string_put(m, "a", p);
	return by_string_get(m, "a", &p);
}
"""
REFUSED = ("struct pair", "double", "float", "long double", "__int128")


def test_every_form_compiles_without_a_warning():
    takes(TAKEN)


def test_keys_with_padding_and_floating_keys_are_refused():
    for key in REFUSED:
        refuses(f"#include <weft/map.h>\nstruct pair {{ char a; int64_t b; }};\nWEFT_MAP_OF({key}, int, m);\n",
                "a key is an integer, an enum or a pointer")


tap.main(globals())
