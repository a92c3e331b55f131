/* The parts of a value: a struct's fields, an array's elements, a map's entries, what a pointer points to. Whoever goes through a value
 * of any type (printing, comparing, freeing, encoding) keeps a path of such, not a recursion: a list may be longer than a goroutine's
 * stack is deep. Included from C++ as well. */
#ifndef RUNTIME_VALUE_H
#define RUNTIME_VALUE_H

#include <weft/reflect.h>

WEFT_BEGIN_DECLS

struct value {
	const weft_type *type;
	void *at;
};

/* Of every slice, whatever its elements. */
struct any_slice {
	char *data;
	size_t len, cap;
};

/* What an integer of any size is. */
static inline int64_t value_int(struct value v)
{
	switch (v.type->size) {
	case 1:
		return *(const int8_t *)v.at;
	case 2:
		return *(const int16_t *)v.at;
	case 4:
		return *(const int32_t *)v.at;
	default:
		return *(const int64_t *)v.at;
	}
}

static inline uint64_t value_uint(struct value v)
{
	switch (v.type->size) {
	case 1:
		return *(const uint8_t *)v.at;
	case 2:
		return *(const uint16_t *)v.at;
	case 4:
		return *(const uint32_t *)v.at;
	default:
		return *(const uint64_t *)v.at;
	}
}

/* A level of a path: which part of `of` is being looked at. */
struct parts {
	struct value of;
	size_t n;    /* how many parts there are; a map's are not counted */
	size_t next; /* those before this have been given */
	union {
		weft_fields fields;  /* of a struct */
		weft_map_iter entry; /* of a map */
	};
	struct value key; /* of the map entry given last */
};

/* Panics unless the fields of a struct lie apart: what is freed twice, or as what it is not, would be. Looks once. */
void type_check_fields(const weft_type *);

/* Does this kind have parts? A pointer has one, unless it is NULL; so has an interface value. */
bool value_has_parts(const weft_type *);

/* The parts of a value that has some. */
void parts_begin(struct parts *, struct value);

/* The next part; false: that was the last. A map's entries come in random order, and may be deleted once given. */
bool parts_next(struct parts *, struct value *part);

/* The field that was given last, of a struct. */
static inline const weft_field *parts_field(const struct parts *p)
{
	return &p->fields.fields[p->next - 1];
}

enum { PATH_NEAR = 3 };

/* The way from a value to the part that is being looked at. It does not move: the first levels are in it. */
struct path {
	struct parts *levels;
	size_t depth, room;
	struct parts near[PATH_NEAR];
};

void path_init(struct path *);

/* NULL: there is no memory for one more level. */
struct parts *path_try_push(struct path *, struct value);

/* Running out of memory is fatal. */
struct parts *path_push(struct path *, struct value);
void path_fini(struct path *);

static inline struct parts *path_top(const struct path *p)
{
	return &p->levels[p->depth - 1];
}

WEFT_END_DECLS

#endif
