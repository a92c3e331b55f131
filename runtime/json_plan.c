#include "runtime/json_plan.h"

#include "lockfree/assert.h"
#include "runtime/json_text.h"
#include "runtime/panic.h"
#include "runtime/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <weft/mem.h>

/* ---- tags ---- */

struct named {
	const char *name;
	size_t len;
	bool hidden, omit_empty, required;
};

static const char *known_as(const weft_type *t)
{
	return t->name ? t->name : "a struct";
}

static void apply_word(struct named *as, const weft_type *t, const weft_field *f, const char *word, size_t len)
{
	if (len == 9 && memcmp(word, "omitempty", len) == 0)
		as->omit_empty = true;
	else if (len == 8 && memcmp(word, "required", len) == 0)
		as->required = true;
	else if (len) /* "-," is the name "-" */
		weft_panic("json tag of %s.%s: unknown word \"%.*s\"", known_as(t), f->name, (int)len, word);
}

/* It stands in quotes as it is. */
static bool is_plain(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == '"' || name[i] == '\\')
			return false;
	}
	return json_is_utf8(name, len);
}

static struct named named_by(const weft_type *t, const weft_field *f)
{
	struct named as = {f->name, strlen(f->name), false, false, false};
	weft_bytes tag;
	if (!weft_field_tag(f, "json", &tag))
		return as;
	const char *p = tag.bytes, *end = p + tag.n, *comma = memchr(p, ',', tag.n);
	if (tag.n == 1 && *p == '-') {
		as.hidden = true;
		return as;
	}
	if (comma != p && tag.n) {
		as.name = p;
		as.len = (size_t)((comma ? comma : end) - p);
	}
	while (comma) {
		p = comma + 1;
		comma = memchr(p, ',', (size_t)(end - p));
		apply_word(&as, t, f, p, (size_t)((comma ? comma : end) - p));
	}
	if (!is_plain(as.name, as.len))
		weft_panic("json tag of %s.%s: a name of quotes, backslashes, control characters or other than UTF-8",
			   known_as(t), f->name);
	return as;
}

/* ---- looking up ---- */

static size_t hash(const char *name, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ len;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

static bool is_called(const struct json_field *f, const char *name, size_t len)
{
	return f->name_len == len && memcmp(json_field_name(f), name, len) == 0;
}

static uint32_t *slot_of(const struct json_plan *plan, const char *name, size_t len)
{
	size_t i = hash(name, len) & plan->mask;
	while (plan->slots[i] && !is_called(&plan->fields[plan->slots[i] - 1], name, len))
		i = (i + 1) & plan->mask;
	return &plan->slots[i];
}

size_t json_plan_find(const struct json_plan *plan, size_t next, const char *name, size_t len)
{
	if (likely(next < plan->n && is_called(&plan->fields[next], name, len)))
		return next;
	if (len > plan->longest)
		return SIZE_MAX;
	return (size_t)*slot_of(plan, name, len) - 1;
}

/* ---- making one ---- */

/* All in one block: the plan, its slots, the names. */
struct shape {
	size_t fields, name_bytes, slots;
};

static struct shape shape_of(const weft_type *t)
{
	struct shape s = {0, 0, 4};
	weft_fields all = weft_type_fields(t);
	for (size_t i = 0; i < all.n; i++) {
		struct named as = named_by(t, &all.fields[i]);
		s.fields += !as.hidden;
		s.name_bytes += as.len + 4;
	}
	while (s.slots < 2 * s.fields)
		s.slots *= 2;
	return s;
}

static char *add_field(struct json_plan *plan, const weft_field *f, struct named as, char *names)
{
	struct json_field *field = &plan->fields[plan->n++];
	memcpy(names, ",\"", 2);
	memcpy(names + 2, as.name, as.len);
	memcpy(names + 2 + as.len, "\":", 2);
	*field = (struct json_field){names, as.len, weft_field_type(f), f->offset, as.omit_empty, as.required};
	plan->required += as.required;
	plan->longest = as.len > plan->longest ? as.len : plan->longest;
	return names + as.len + 4;
}

static struct json_plan *plan_make(const weft_type *t)
{
	type_check_fields(t);
	struct shape s = shape_of(t);
	weft_fields all = weft_type_fields(t);
	size_t slots_at = sizeof(struct json_plan) + s.fields * sizeof(struct json_field);
	size_t names_at = slots_at + s.slots * sizeof(uint32_t);
	struct json_plan *plan = weft_calloc(1, names_at + s.name_bytes + JSON_PAD);
	if (!plan)
		return NULL;
	char *names = (char *)plan + names_at;
	plan->slots = (uint32_t *)((char *)plan + slots_at);
	plan->mask = s.slots - 1;
	for (size_t i = 0; i < all.n; i++) {
		struct named as = named_by(t, &all.fields[i]);
		if (as.hidden)
			continue;
		uint32_t *slot = slot_of(plan, as.name, as.len);
		if (*slot) {
			weft_free(plan);
			weft_panic("json: %s has two fields named \"%.*s\"", known_as(t), (int)as.len, as.name);
		}
		names = add_field(plan, &all.fields[i], as, names);
		*slot = (uint32_t)plan->n;
	}
	return plan;
}

/* Whoever publishes first is right: the others have made the same. The word is in a struct that programs see, where C and C++
 * have no atomic type in common. */
const struct json_plan *json_plan_of(const weft_type *t)
{
	void *there = __atomic_load_n(&t->lazy_->json, __ATOMIC_ACQUIRE);
	if (likely(there))
		return there;
	struct json_plan *made = plan_make(t);
	if (made && !__atomic_compare_exchange_n(&t->lazy_->json, &there, made, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
		weft_free(made);
		return there;
	}
	return made;
}

/* Types whose parts are being looked at: one may have itself in it. */
struct within {
	const weft_type *type;
	const struct within *outer;
};

static bool is_within(const weft_type *t, const struct within *w)
{
	while (w && w->type != t)
		w = w->outer;
	return w != NULL;
}

static const weft_type *struct_in(const weft_type *t)
{
	while (t && t->kind != WEFT_KIND_STRUCT)
		t = t->elem;
	return t;
}

/* As deep as the declarations are nested, not the values. */
static bool plans_within(const weft_type *type, const struct within *outer)
{
	const weft_type *t = struct_in(type);
	if (!t || __atomic_load_n(&t->lazy_->json_checked, __ATOMIC_RELAXED) || is_within(t, outer))
		return true;
	struct within self = {t, outer};
	const struct json_plan *plan = json_plan_of(t);
	for (size_t i = 0; plan && i < plan->n; i++) {
		if (!plans_within(plan->fields[i].type, &self))
			return false;
	}
	if (plan)
		__atomic_store_n(&t->lazy_->json_checked, true, __ATOMIC_RELAXED);
	return plan != NULL;
}

bool json_plans_of(const weft_type *t)
{
	return plans_within(t, NULL);
}

/* ---- words ---- */

const char *json_type_name(const weft_type *t, char *buf, size_t n)
{
	if (t->name)
		return t->name;
	switch (t->kind) {
	case WEFT_KIND_TEXT:
		snprintf(buf, n, "char [%zu]", t->size);
		break;
	case WEFT_KIND_ARRAY:
		snprintf(buf, n, "%s [%zu]", t->elem->name ? t->elem->name : "an array", weft_type_len(t));
		break;
	case WEFT_KIND_POINTER:
		snprintf(buf, n, "%s *", t->elem->name ? t->elem->name : "a pointer");
		break;
	default:
		return "a value";
	}
	return buf;
}

static __attribute__((format(printf, 2, 3))) void path_add(weft_json_error *e, const char *fmt, ...)
{
	size_t n = strlen(e->path), room = sizeof e->path - n;
	va_list ap;
	va_start(ap, fmt);
	int wanted = vsnprintf(e->path + n, room, fmt, ap);
	va_end(ap);
	if (wanted > 0 && (size_t)wanted >= room)
		memcpy(e->path + sizeof e->path - 4, "...", 4);
}

enum { SHOWN_MOST = 128 };

/* As much of a name as a message has room for, on one line and in whole characters. */
static const char *shown(char buf[SHOWN_MOST + 1], const char *name, size_t len)
{
	size_t n = len < SHOWN_MOST ? len : SHOWN_MOST;
	while (n < len && n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		buf[i] = (unsigned char)name[i] < ' ' || name[i] == 0x7f ? '?' : name[i];
	buf[n] = 0;
	return buf;
}

void json_path_field(weft_json_error *e, const char *name, size_t len)
{
	char buf[SHOWN_MOST + 1];
	path_add(e, "%s%s", *e->path ? "." : "", shown(buf, name, len));
}

void json_path_key(weft_json_error *e, const char *key, size_t len)
{
	char buf[SHOWN_MOST + 1];
	path_add(e, "[\"%s\"]", shown(buf, key, len));
}

void json_path_index(weft_json_error *e, size_t index)
{
	path_add(e, "[%zu]", index);
}
