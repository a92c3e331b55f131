/* What JSON has to know of a struct: its fields by their names, from the tags. Made once a type, at its first use, and kept in the
 * descriptor for ever. Included from C++ as well. */
#ifndef RUNTIME_JSON_PLAN_H
#define RUNTIME_JSON_PLAN_H

#include <weft/json.h>

#include <errno.h>

WEFT_BEGIN_DECLS

enum { JSON_DEPTH = 1000, JSON_FIRST_LEVELS = 8, JSON_PAD = 16 };

struct json_field {
	/* ,"name": as it is written: the name has no character that would have to be escaped. JSON_PAD bytes behind it may be read. */
	const char *quoted;
	size_t name_len;
	const weft_type *type;
	size_t offset;
	bool omit_empty, required;
};

struct json_plan {
	size_t n, required;
	size_t longest;	 /* name */
	size_t mask;	 /* of `slots` */
	uint32_t *slots; /* by hash: a field's number and one; 0: free */
	struct json_field fields[];
};

static inline const char *json_field_name(const struct json_field *f)
{
	return f->quoted + 2;
}

/* Of a struct; NULL: no memory. Panics if its tags are wrong, and then has left nothing. */
const struct json_plan *json_plan_of(const weft_type *);

/* Makes the plans of all types that a value of this one may have in it, but for what an interface holds: wrong tags panic here, before
 * there is anything to give back. False: no memory. */
bool json_plans_of(const weft_type *);

/* The number of the field of this name; SIZE_MAX: there is none. It is quickest if that is `next`. */
size_t json_plan_find(const struct json_plan *, size_t next, const char *name, size_t len);

/* What a message calls a type. */
const char *json_type_name(const weft_type *, char *buf, size_t n);

/* A path in the making: "" or users[2].home. A level is one of these. */
void json_path_field(weft_json_error *, const char *name, size_t len);
void json_path_key(weft_json_error *, const char *key, size_t len);
void json_path_index(weft_json_error *, size_t index);

/* A map's key is a string of its own, as strings and bytes are. */
static inline bool json_key_is_own(const weft_type *map)
{
	return map->map_type_->flags & WEFT_MAP_OWNS_ &&
	       (map->key->kind == WEFT_KIND_STRING || map->key->kind == WEFT_KIND_BYTES);
}

static inline bool json_key_is_integer(const weft_type *map)
{
	return map->key->kind == WEFT_KIND_INT || map->key->kind == WEFT_KIND_UINT;
}

WEFT_END_DECLS

#endif
