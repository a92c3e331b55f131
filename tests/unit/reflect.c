#include "tests/unit/go.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <weft/iface.h>
#include <weft/mem.h>
#include <weft/reflect.h>

const char *reflect_cxx_check(void);

enum color { RED, GREEN, BLUE };

struct address {
	char *street;
	int zip;
};

WEFT_SLICE_OF(int, ints);
WEFT_SLICE_OF(char *, strings);
WEFT_MAP_OF_STRING(int, ages);
WEFT_MAP_OF(int, struct address, homes);

struct user {
	int64_t id;
	const char *name;
	char country[3];
	bool admin;
	float height;
	double score;
	enum color color;
	char initial;
	unsigned char flags[4];
	char *words[2];
	int *limit;
	struct address home, other[2], *work;
	ints scores;
	strings tags;
	struct user *boss;
	ages children;
	homes by_year;
	weft_bytes photo;
	weft_any extra;
	int unseen;
};

WEFT_STRUCT(address, struct address, WEFT_FIELD(street), WEFT_FIELD(zip, "json:zip_code,omitempty db:z"));
WEFT_TYPE_SLICE(ints, int);
WEFT_TYPE_SLICE(strings, string);
WEFT_TYPE_MAP(ages, string, int);
WEFT_TYPE_MAP(homes, int, address);
WEFT_STRUCT(user, struct user, WEFT_FIELD(id), WEFT_FIELD(name, "json:full_name"), WEFT_FIELD(country), WEFT_FIELD(admin),
	    WEFT_FIELD(height), WEFT_FIELD(score), WEFT_FIELD(color), WEFT_FIELD(initial), WEFT_FIELD(flags), WEFT_FIELD(words),
	    WEFT_FIELD(limit), WEFT_FIELD_OF(address, home), WEFT_FIELD_OF(address, other), WEFT_FIELD_OF(address, work),
	    WEFT_FIELD_OF(ints, scores), WEFT_FIELD_OF(strings, tags), WEFT_FIELD_OF(user, boss), WEFT_FIELD_OF(ages, children),
	    WEFT_FIELD_OF(homes, by_year), WEFT_FIELD(photo), WEFT_FIELD(extra));
WEFT_TYPE_POINTER(user_ref, user);

struct node {
	int value;
	struct node *next;
	struct node *kids[3];
	struct {
		int n;
		void *owner;
	} pos;
};

WEFT_TYPE(node, struct node, next, kids, pos.owner);
WEFT_TYPE_LEAF(leaf, struct address);

union variant {
	void *p;
	int64_t n;
};

WEFT_TYPE_CONSERVATIVE(variant, union variant);

struct large {
	char before[60 * sizeof(void *)];
	void *across[8];
	char between[sizeof(void *)];
	void *last;
};

WEFT_TYPE(large, struct large, across, last);

struct item {
	int value;
	struct item *next;
	char *owned;
};

WEFT_STRUCT_TRACED(item, struct item, (next), WEFT_FIELD(value), WEFT_FIELD_OF(item, next), WEFT_FIELD(owned));

struct link {
	int value;
	struct link *next;
};

WEFT_STRUCT(link, struct link, WEFT_FIELD(value), WEFT_FIELD_OF(link, next));
WEFT_SLICE_OF(struct link, links);
WEFT_TYPE_SLICE(links, link);
WEFT_SLICE_OF(double, doubles);
WEFT_TYPE_SLICE(doubles, double);

static char *copy_of(const char *s)
{
	char *to = weft_malloc(strlen(s) + 1);
	return strcpy(to, s);
}

/* ---- descriptors ---- */

TEST(a_type_says_its_names_size_and_place)
{
	const weft_type *t = weft_type_of(user);
	CHECK_STR(t->name, "user");
	CHECK_STR(t->c_name, "struct user");
	CHECK(strstr(t->where, "reflect.c:"));
	CHECK_EQ(t->size, sizeof(struct user));
	CHECK_EQ(t->align, _Alignof(struct user));
	CHECK_EQ(t->kind, WEFT_KIND_STRUCT);
	CHECK_EQ(weft_type_of(node)->kind, WEFT_KIND_OPAQUE);
	CHECK_EQ(weft_type_fields(weft_type_of(node)).n, 0);
	CHECK(!weft_type_field(weft_type_of(int), "x"));
}

TEST(numbers_go_by_several_names)
{
	CHECK(weft_type_of(int) == weft_type_of(int32_t));
	CHECK(weft_type_of(bool)->kind == WEFT_KIND_BOOL);
	CHECK(weft_type_of(size_t)->kind == WEFT_KIND_UINT && weft_type_of(size_t)->size == sizeof(size_t));
	CHECK(weft_type_of(long) == weft_type_of(int64_t));
	CHECK(weft_type_of(string)->kind == WEFT_KIND_STRING);
}

static void check_field(const char *name, size_t offset, weft_kind kind, const weft_type *elem)
{
	const weft_field *f = weft_type_field(weft_type_of(user), name);
	CHECK(f);
	CHECK_EQ(f->offset, offset);
	CHECK_EQ(weft_field_type(f)->kind, kind);
	CHECK(weft_field_type(f)->elem == elem);
}

TEST(a_field_has_the_kind_of_its_member)
{
	CHECK_EQ(weft_type_fields(weft_type_of(user)).n, 21);
	CHECK(!weft_type_field(weft_type_of(user), "unseen"));
#define FIELD(name, kind, elem) check_field(#name, offsetof(struct user, name), kind, elem)
	FIELD(id, WEFT_KIND_INT, NULL);
	FIELD(name, WEFT_KIND_STRING, NULL);
	FIELD(admin, WEFT_KIND_BOOL, NULL);
	FIELD(height, WEFT_KIND_FLOAT, NULL);
	FIELD(color, WEFT_KIND_UINT, NULL);
	FIELD(flags, WEFT_KIND_ARRAY, weft_type_of(uint8_t));
	FIELD(words, WEFT_KIND_ARRAY, weft_type_of(string));
	FIELD(limit, WEFT_KIND_POINTER, weft_type_of(int));
	FIELD(home, WEFT_KIND_STRUCT, NULL);
	FIELD(other, WEFT_KIND_ARRAY, weft_type_of(address));
	FIELD(work, WEFT_KIND_POINTER, weft_type_of(address));
	FIELD(scores, WEFT_KIND_SLICE, weft_type_of(int));
	FIELD(boss, WEFT_KIND_POINTER, weft_type_of(user));
	FIELD(children, WEFT_KIND_MAP, weft_type_of(int));
	FIELD(photo, WEFT_KIND_BYTES, NULL);
	FIELD(extra, WEFT_KIND_ANY, NULL);
	const weft_field *f = weft_type_field(weft_type_of(user), "country");
	CHECK_EQ(weft_field_type(f)->kind, WEFT_KIND_TEXT);
	CHECK_EQ(weft_field_type(f)->size, 3);
	CHECK_EQ(weft_type_len(weft_field_type(weft_type_field(weft_type_of(user), "other"))), 2);
	CHECK_EQ(weft_type_len(weft_type_of(ints)), 0);
	CHECK(weft_type_of(ages)->key == weft_type_of(string));
}

static bool tag_is(const weft_field *f, const char *key, const char *want)
{
	weft_bytes text;
	return weft_field_tag(f, key, &text) && text.n == strlen(want) && memcmp(text.bytes, want, text.n) == 0;
}

TEST(a_tag_is_found_by_its_key)
{
	const weft_field *zip = weft_type_field(weft_type_of(address), "zip");
	weft_bytes text;
	CHECK(tag_is(zip, "json", "zip_code,omitempty"));
	CHECK(tag_is(zip, "db", "z"));
	CHECK(!weft_field_tag(zip, "d", &text));
	CHECK(!weft_field_tag(zip, "dbx", &text));
	CHECK(!weft_field_tag(zip, "zip_code", &text));
	CHECK(!weft_field_tag(weft_type_field(weft_type_of(address), "street"), "json", &text));
	weft_field spaced = *zip;
	spaced.tag = "  a:  b:x a:later ";
	CHECK(tag_is(&spaced, "a", ""));
	CHECK(tag_is(&spaced, "b", "x"));
}

/* ---- the pointer map ---- */

static uint64_t bit_of(size_t offset)
{
	return (uint64_t)1 << offset / sizeof(void *);
}

TEST(the_map_has_a_bit_for_each_pointer)
{
	const weft_type *t = weft_type_of(node);
	uint64_t want = bit_of(offsetof(struct node, next)) | bit_of(offsetof(struct node, pos.owner));
	for (size_t i = 0; i < 3; i++)
		want |= bit_of(offsetof(struct node, kids) + i * sizeof(void *));
	CHECK(t->map == want);
	CHECK_EQ(t->npointers, 3);
	CHECK_EQ(t->pointers[1].offset, offsetof(struct node, kids));
	CHECK_EQ(t->pointers[1].n, 3);
	CHECK_EQ(t->flags_, 0);
}

TEST(a_map_of_a_large_type_goes_on_in_the_list)
{
	const weft_type *t = weft_type_of(large);
	CHECK(t->map == (uint64_t)15 << 60);
	CHECK_EQ(t->npointers, 2);
	CHECK_EQ(t->pointers[0].n, 8);
	CHECK_EQ(t->pointers[1].offset, offsetof(struct large, last));
}

TEST(leaves_have_no_pointers_and_unions_may_have_them_anywhere)
{
	CHECK(weft_type_of(leaf)->map == 0 && weft_type_of(leaf)->npointers == 0);
	CHECK_EQ(weft_type_of(variant)->flags_, WEFT_TYPE_CONSERVATIVE_);
	CHECK(weft_type_of(item)->map == bit_of(offsetof(struct item, next)));
	CHECK_EQ(weft_type_fields(weft_type_of(item)).n, 3);
}

TEST(types_are_the_same_by_their_declaration)
{
	weft_type other = *weft_type_of(address);
	CHECK(weft_type_same(&other, weft_type_of(address)));
	other.where = "/elsewhere/reflect.c:999999"; /* of several lines, compilers take one or another */
	CHECK(weft_type_same(&other, weft_type_of(address)));
	other.where = "reflect.c:1";
	CHECK(weft_type_same(&other, weft_type_of(address)));
	other.where = "reflect.cc:1";
	CHECK(!weft_type_same(&other, weft_type_of(address)));
	CHECK(!weft_type_same(weft_type_of(leaf), weft_type_of(address)));
	CHECK(!weft_type_same(NULL, weft_type_of(address)));
#define DIFFERS_BY(member, is)                                        \
	do {                                                          \
		weft_type twin = *weft_type_of(address);              \
		CHECK(weft_type_same(&twin, weft_type_of(address)));  \
		twin.member = (is);                                   \
		CHECK(!weft_type_same(&twin, weft_type_of(address))); \
	} while (0)
	DIFFERS_BY(name, "other");
	DIFFERS_BY(c_name, "struct other");
	DIFFERS_BY(size, 24);
	DIFFERS_BY(align, 16);
	DIFFERS_BY(kind, WEFT_KIND_OPAQUE);
	DIFFERS_BY(map, 1);
	DIFFERS_BY(flags_, WEFT_TYPE_CONSERVATIVE_);
	DIFFERS_BY(fields_, NULL);
	DIFFERS_BY(fields_, weft_type_of(user)->fields_);
	DIFFERS_BY(fields_, weft_type_of(link)->fields_);
	const weft_field *work = weft_type_field(weft_type_of(user), "work");
	weft_type pointer = *weft_field_type(work);
	CHECK(weft_type_same(&pointer, weft_field_type(work)));
	CHECK(!weft_type_same(weft_field_type(work), weft_field_type(weft_type_field(weft_type_of(user), "boss"))));
}

/* ---- members as they come ---- */

struct qualified {
	const int a;
	const char text[8];
	const char *const name;
	const char *words[2];
	_Atomic int count;
	_Atomic(char *) owner;
};

WEFT_STRUCT(qualified, struct qualified, WEFT_FIELD(a), WEFT_FIELD(text), WEFT_FIELD(name), WEFT_FIELD(words), WEFT_FIELD(count),
	    WEFT_FIELD(owner));

TEST(qualifiers_change_no_kind)
{
	static const weft_kind want[] = {WEFT_KIND_INT,	  WEFT_KIND_TEXT, WEFT_KIND_STRING,
					 WEFT_KIND_ARRAY, WEFT_KIND_INT,  WEFT_KIND_STRING};
	weft_fields all = weft_type_fields(weft_type_of(qualified));
	CHECK_EQ(all.n, 6);
	for (size_t i = 0; i < all.n; i++)
		CHECK_EQ(weft_field_type(&all.fields[i])->kind, want[i]);
}

/* Names that a program may have, and the library as well. */
struct read {
	int is;
};
WEFT_STRUCT(read, struct read, WEFT_FIELD(is));
WEFT_STRUCT(is, struct read, WEFT_FIELD(is));
WEFT_STRUCT(lazy, struct read, WEFT_FIELD(is));
WEFT_STRUCT(of_int, struct read, WEFT_FIELD(is));
WEFT_STRUCT(same, struct read, WEFT_FIELD(is));

TEST(names_are_the_programs)
{
	struct read r = {1};
	CHECK(weft_assert_to(of_int, weft_any_of(of_int, &r)) == &r);
	CHECK(!weft_type_same(weft_type_of(is), weft_type_of(lazy)));
	CHECK(weft_type_of(read)->size == weft_type_of(same)->size);
}

union number {
	int64_t whole;
	char *text;
};

WEFT_STRUCT(number, union number, WEFT_FIELD(whole), WEFT_FIELD(text));
WEFT_STRUCT(twice, struct address, WEFT_FIELD(street, "json:a"), WEFT_FIELD(street, "json:b"));

static void fini_of_overlapping(void *arg)
{
	union number n = {.whole = 1234567};
	(void)arg;
	weft_value_fini(weft_type_of(number), &n);
}

static void print_of_overlapping(void *arg)
{
	struct address a = {0};
	(void)arg;
	weft_print_value(stdout, weft_type_of(twice), &a);
}

TEST_GO(fields_that_overlap_panic)
{
	weft_panic_info info;
	for (int i = 0; i < 2; i++) {
		CHECK(weft_protect(fini_of_overlapping, NULL, &info));
		CHECK_STR(info.message, "WEFT_STRUCT(number): the fields whole and text overlap");
	}
	CHECK(weft_protect(print_of_overlapping, NULL, &info));
	CHECK_STR(info.message, "WEFT_STRUCT(twice): the fields street and street overlap");
	return 0;
}

/* ---- printing ---- */

static const char *printed(const weft_type *t, const void *value)
{
	static char text[4096];
	int n = weft_format_value(text, sizeof text, t, value);
	CHECK_EQ(n, strlen(text));
	return text;
}

TEST(numbers_print_plainly)
{
	CHECK_STR(printed(weft_type_of(int), &(int){-7}), "-7");
	CHECK_STR(printed(weft_type_of(uint64_t), &(uint64_t){UINT64_MAX}), "18446744073709551615");
	CHECK_STR(printed(weft_type_of(int8_t), &(int8_t){-128}), "-128");
	CHECK_STR(printed(weft_type_of(uint16_t), &(uint16_t){65535}), "65535");
	CHECK_STR(printed(weft_type_of(bool), &(bool){true}), "true");
	CHECK_STR(printed(weft_type_of(double), &(double){0.1}), "0.1");
	CHECK_STR(printed(weft_type_of(double), &(double){1.0 / 3}), "0.3333333333333333");
	CHECK_STR(printed(weft_type_of(double), &(double){5e-324}), "4.94065645841247e-324");
	CHECK_STR(printed(weft_type_of(float), &(float){0.1f}), "0.1");
	CHECK_STR(printed(weft_type_of(double), &(double){-INFINITY}), "-inf");
}

TEST(strings_print_in_quotes)
{
	const char *s = "a \"b\"\\\n\x01\x7f\xc3\xa9";
	CHECK_STR(printed(weft_type_of(string), &s), "\"a \\\"b\\\"\\\\\\n\\x01\\x7f\xc3\xa9\"");
	s = NULL;
	CHECK_STR(printed(weft_type_of(string), &s), "nil");
	weft_bytes b = {"x\0y", 3};
	CHECK_STR(printed(weft_type_of(bytes), &b), "b\"x\\x00y\"");
	b = (weft_bytes){NULL, 0};
	CHECK_STR(printed(weft_type_of(bytes), &b), "b\"\"");
}

TEST(a_struct_prints_its_fields)
{
	struct user u = {.id = 7, .name = "ann", .country = "DE", .height = 1.7f, .color = BLUE, .initial = 'a', .flags = {1, 2}};
	u.words[1] = "w";
	u.home = (struct address){"Main St", 5};
	ints_push(&u.scores, 1);
	ints_push(&u.scores, 2);
	u.children = ages_make(0);
	ages_put(u.children, "bob", 3);
	u.by_year = homes_make(0);
	homes_put(u.by_year, 1999, u.home);
	struct user whole = u;
	u.extra = weft_any_of(user, &whole);
	whole.extra = weft_any_of(int, &(int){4});
	CHECK_STR(printed(weft_type_of(user), &whole),
		  "user{id: 7, name: \"ann\", country: \"DE\", admin: false, height: 1.7, score: 0, color: 2, initial: 97, "
		  "flags: [1, 2, 0, 0], words: [nil, \"w\"], limit: nil, home: address{street: \"Main St\", zip: 5}, other: "
		  "[address{street: nil, zip: 0}, address{street: nil, zip: 0}], work: nil, scores: [1, 2], tags: [], boss: nil, "
		  "children: ages{\"bob\": 3}, by_year: homes{1999: address{street: \"Main St\", zip: 5}}, photo: b\"\", "
		  "extra: 4}");
	CHECK(strstr(printed(weft_type_of(user), &u), "extra: user{id: 7"));
	ints_free(&u.scores);
	ages_free(u.children);
	homes_free(u.by_year);
}

TEST(only_the_first_pointer_is_followed)
{
	struct link second = {2, NULL}, first = {1, &second}, *p = &first;
	char want[128];
	snprintf(want, sizeof want, "link{value: 1, next: %p}", (void *)&second);
	CHECK_STR(printed(weft_type_of(link), &first), want);
	const weft_type *ref = weft_field_type(weft_type_field(weft_type_of(link), "next"));
	snprintf(want, sizeof want, "&link{value: 1, next: %p}", (void *)&second);
	CHECK_STR(printed(ref, &p), want);
	p = NULL;
	CHECK_STR(printed(ref, &p), "nil");
}

TEST(an_any_that_holds_a_null_pointer_prints_as_nil)
{
	weft_any v = weft_any_of(address, NULL), same = v;
	CHECK_STR(printed(weft_type_of(any), &v), "nil");
	CHECK(weft_deep_equal(weft_type_of(any), &v, &same));
	weft_value_fini(weft_type_of(any), &v);
	CHECK(!v.methods_);
}

static weft_any nested(int depth)
{
	static weft_any level[70];
	static int seven = 7;
	level[0] = weft_any_of(int, &seven);
	for (int i = 1; i < depth; i++)
		level[i] = weft_any_of(any, &level[i - 1]);
	return level[depth - 1];
}

TEST(what_is_64_levels_deep_is_printed_and_no_deeper)
{
	weft_any deep = nested(64), deeper = nested(65);
	CHECK_STR(printed(weft_type_of(any), &deep), "7");
	CHECK_STR(printed(weft_type_of(any), &deeper), "...");
}

TEST(printing_what_holds_itself_ends)
{
	weft_any self = {0};
	self = weft_any_of(any, &self);
	CHECK_STR(printed(weft_type_of(any), &self), "...");
	CHECK_STR(printed(weft_type_of(any), &(weft_any){0}), "nil");
	struct node n = {0};
	CHECK_STR(printed(weft_type_of(node), &n), "node{...}");
}

TEST(formatting_cuts_off_as_snprintf_does)
{
	int n = 12345;
	char small[4] = "zzz";
	CHECK_EQ(weft_format_value(small, sizeof small, weft_type_of(int), &n), 5);
	CHECK_STR(small, "123");
	CHECK_EQ(weft_format_value(NULL, 0, weft_type_of(int), &n), 5);
}

TEST(printing_to_a_stream_says_whether_it_was_written)
{
	int n = 12345;
	char text[16] = "";
	FILE *f = fmemopen(text, sizeof text, "w");
	CHECK_EQ(weft_print_value(f, weft_type_of(int), &n), 5);
	fclose(f);
	CHECK_STR(text, "12345");
	f = fopen("/dev/full", "w");
	setvbuf(f, NULL, _IONBF, 0);
	CHECK_EQ(weft_print_value(f, weft_type_of(int), &n), -ENOSPC);
	fclose(f);
}

/* ---- equality ---- */

static struct user owned_user(void)
{
	struct user u = {.id = 7, .name = copy_of("ann"), .country = "DE"};
	u.words[0] = copy_of("w");
	u.limit = weft_malloc(sizeof *u.limit);
	*u.limit = 3;
	u.home = (struct address){copy_of("Main St"), 5};
	u.other[1].street = copy_of("Side St");
	u.work = weft_calloc(1, sizeof *u.work);
	u.work->street = copy_of("Work St");
	ints_push(&u.scores, 1);
	ints_push(&u.scores, 2);
	strings_push(&u.tags, copy_of("x"));
	strings_push(&u.tags, NULL);
	u.children = ages_make(0);
	ages_put(u.children, "bob", 3);
	ages_put(u.children, "eve", 4);
	u.by_year = homes_make(0);
	homes_put(u.by_year, 1999, (struct address){copy_of("Old St"), 1});
	char *photo = copy_of("jpg");
	u.photo = (weft_bytes){photo, 3};
	return u;
}

static bool equal_users(const struct user *a, const struct user *b)
{
	bool forth = weft_deep_equal(weft_type_of(user), a, b), back = weft_deep_equal(weft_type_of(user), b, a);
	CHECK_EQ(forth, back);
	return forth;
}

TEST(values_are_equal_by_what_they_lead_to)
{
	struct user a = owned_user(), b = owned_user();
	a.boss = weft_calloc(1, sizeof *a.boss);
	*a.boss = owned_user();
	b.boss = weft_calloc(1, sizeof *b.boss);
	*b.boss = owned_user();
	CHECK(equal_users(&a, &b));
	a.unseen = 1;
	CHECK(equal_users(&a, &b));
	ages_put(b.boss->children, "bob", 5);
	CHECK(!equal_users(&a, &b));
	weft_value_fini(weft_type_of(user), &a);
	weft_value_fini(weft_type_of(user), &b);
}

#define DIFFERS(change)                                         \
	do {                                                    \
		struct user a = owned_user(), b = owned_user(); \
		CHECK(equal_users(&a, &b));                     \
		change;                                         \
		CHECK(!equal_users(&a, &b));                    \
		weft_value_fini(weft_type_of(user), &a);        \
		weft_value_fini(weft_type_of(user), &b);        \
	} while (0)

TEST(every_field_counts)
{
	DIFFERS(b.id = 8);
	DIFFERS(((char *)(uintptr_t)b.name)[0] = 'b');
	DIFFERS(b.country[0] = 'F');
	DIFFERS(b.admin = true);
	DIFFERS(b.height = 1);
	DIFFERS(b.score = NAN);
	DIFFERS(b.color = GREEN);
	DIFFERS(b.flags[3] = 1);
	DIFFERS((weft_free(b.words[0]), b.words[0] = NULL));
	DIFFERS(*b.limit = 4);
	DIFFERS(b.home.zip = 6);
	DIFFERS(b.other[1].zip = 6);
	DIFFERS(b.work->zip = 6);
	DIFFERS(ints_set(&b.scores, 1, 3));
	DIFFERS(ints_push(&b.scores, 3));
	DIFFERS(strings_pop(&b.tags));
	DIFFERS(strings_set(&b.tags, 1, copy_of("")));
	DIFFERS(ages_put(b.children, "bob", 4));
	DIFFERS((ages_del(b.children, "bob"), ages_put(b.children, "bobby", 3)));
	DIFFERS(homes_at(b.by_year, 1999)->zip = 2);
	DIFFERS(b.photo.n = 2);
	DIFFERS(b.extra = weft_any_of(int, &b.unseen));
	DIFFERS((a.extra = weft_any_of(int, &a.unseen), b.extra = weft_any_of(unsigned, &(unsigned){0})));
}

TEST(text_ends_at_its_nul)
{
	struct user a = {.country = "D"}, b = {.country = "D"};
	b.country[2] = 'x';
	CHECK(equal_users(&a, &b));
	b.country[1] = 'x';
	CHECK(!equal_users(&a, &b));
}

TEST(empty_is_equal_to_none_but_for_strings)
{
	struct user a = {0}, b = {0};
	b.children = ages_make(0);
	ints_reserve(&b.scores, 10);
	b.photo.bytes = "";
	CHECK(equal_users(&a, &b));
	b.name = "";
	CHECK(!equal_users(&a, &b));
	ages_free(b.children);
	ints_free(&b.scores);
}

TEST(a_nan_differs_from_itself_unless_it_is_the_same_memory)
{
	double nan = NAN, zero = 0, minus = -0.0;
	CHECK(!weft_deep_equal(weft_type_of(double), &nan, &nan));
	CHECK(weft_deep_equal(weft_type_of(double), &zero, &minus));
	doubles a = {0}, b;
	doubles_push(&a, NAN);
	b = a;
	CHECK(weft_deep_equal(weft_type_of(doubles), &a, &b));
	doubles_free(&a);
	struct user u = {.score = NAN};
	CHECK(!weft_deep_equal(weft_type_of(user), &u, &u));
}

WEFT_SLICE_OF(links, lists);
WEFT_TYPE_SLICE(lists, links);

TEST(slices_of_one_memory_and_other_lengths_differ)
{
	static struct link a[2] = {{1, NULL}, {2, NULL}}, b[2] = {{1, NULL}, {3, NULL}};
	lists many = {0}, others = {0};
	for (int i = 0; i < 3000; i++) {
		lists_push(&many, (links){a, 1, 2});
		lists_push(&others, (links){b, 1, 2});
	}
	CHECK(weft_deep_equal(weft_type_of(lists), &many, &others));
	lists_push(&many, (links){a, 2, 2});
	lists_push(&others, (links){b, 2, 2});
	CHECK(!weft_deep_equal(weft_type_of(lists), &many, &others));
	lists_free(&many);
	lists_free(&others);
}

static struct link *ring(size_t n, int odd)
{
	struct link *all = weft_calloc(n, sizeof *all);
	for (size_t i = 0; i < n; i++)
		all[i] = (struct link){(int)(i % 7), &all[(i + 1) % n]};
	all[n - 1].value = odd;
	return all;
}

TEST(cyclic_values_are_compared)
{
	struct link *a = ring(7 * 1000, 6), *b = ring(7 * 1500, 6), *c = ring(7 * 1500, 5);
	CHECK(weft_deep_equal(weft_type_of(link), a, b));
	CHECK(!weft_deep_equal(weft_type_of(link), a, c));
	weft_free(a);
	weft_free(b);
	weft_free(c);
}

static struct link *list(size_t n)
{
	struct link *head = NULL;
	while (n-- > 0) {
		struct link *l = weft_malloc(sizeof *l);
		*l = (struct link){1, head};
		head = l;
	}
	return head;
}

static void long_lists(void *done)
{
	enum { LONG = 200000 };
	struct link *a = list(LONG), *b = list(LONG);
	const weft_type *ref = weft_field_type(weft_type_field(weft_type_of(link), "next"));
	CHECK(weft_deep_equal(ref, &a, &b));
	weft_value_fini(ref, &a);
	weft_value_fini(ref, &b);
	CHECK(!a && !b);
	weft_close(done);
}

static int on_a_small_stack(void)
{
	weft_go_opts small = {.stack_size = 16384};
	weft_chan *done = weft_chan_make(0, 0);
	CHECK_EQ(weft_go_with(&small, long_lists, done), 0);
	CHECK(!weft_recv(done, NULL));
	weft_chan_free(done);
	return 0;
}

TEST(a_list_may_be_longer_than_the_stack_is_deep)
{
	CHECK_EQ(run_weft(1, on_a_small_stack), 0);
}

/* ---- giving back ---- */

TEST(fini_gives_back_what_a_value_owns)
{
	struct user u = owned_user();
	u.boss = weft_calloc(1, sizeof *u.boss);
	*u.boss = owned_user();
	u.extra = weft_any_of(int, &u.unseen);
	weft_value_fini(weft_type_of(user), &u);
	const struct user none = {0};
	CHECK(memcmp(&u, &none, sizeof u) == 0);
	weft_value_fini(weft_type_of(user), &u);
	char *s = copy_of("x");
	weft_value_fini(weft_type_of(string), &s);
	CHECK(!s);
}

TEST(fini_leaves_collected_members_alone)
{
	struct item second = {2, NULL, NULL}, first = {1, &second, copy_of("x")};
	weft_value_fini(weft_type_of(item), &first);
	CHECK(!first.next && !first.owned);
	CHECK_EQ(second.value, 2);
}

struct place {
	void *owner;
	char *name;
};

struct traced {
	struct place first;
	int value;
	struct {
		char *name;
		struct place inner;
	} second;
};

WEFT_STRUCT(place, struct place, WEFT_FIELD(name));
WEFT_STRUCT_TRACED(traced, struct traced, (first.owner, second.inner.name), WEFT_FIELD(value), WEFT_FIELD_OF(place, first));

struct outer {
	struct place inner;
	struct place *kept;
};

WEFT_STRUCT_TRACED(outer, struct outer, (inner.name, kept), WEFT_FIELD_OF(place, inner), WEFT_FIELD_OF(place, kept));

TEST(fini_frees_beside_collected_members_and_not_those)
{
	struct traced t = {.first = {&t, copy_of("freed")}};
	weft_value_fini(weft_type_of(traced), &t);
	CHECK(!t.first.name);
	static char collected[] = "collected";
	struct place kept = {NULL, collected};
	struct outer o = {.inner = {NULL, collected}, .kept = &kept};
	weft_value_fini(weft_type_of(outer), &o);
	CHECK_STR(collected, "collected");
	CHECK(kept.name == collected);
}

struct key {
	char *name;
	int n;
};

static uint64_t hash_key(weft_seed seed, const struct key *k)
{
	return weft_hash_u64(seed, (uint64_t)k->n);
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->n == b->n;
}

WEFT_MAP_BY(struct key, char *, by_key, hash_key, same_key);
WEFT_STRUCT(key, struct key, WEFT_FIELD(name), WEFT_FIELD(n));
WEFT_TYPE_MAP(by_key, key, string);

TEST(fini_frees_a_maps_keys)
{
	by_key m = by_key_make(0);
	for (int i = 0; i < 100; i++)
		by_key_put(m, (struct key){copy_of("key"), i}, copy_of("value"));
	weft_value_fini(weft_type_of(by_key), &m);
	CHECK(!m.map);
}

TEST(the_same_from_cxx)
{
	const char *wrong = reflect_cxx_check();
	CHECK_STR(wrong ? wrong : "", "");
}
