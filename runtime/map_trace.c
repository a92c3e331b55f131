#include "runtime/map_trace.h"
#include "runtime/call.h"

#include <weft/mem.h>

#include <assert.h>

enum { BYTES_A_LOOK = 16384, GROUP_SLOTS = 8 };

/* Before a far entry. */
struct far_head {
	_Alignas(16) struct far_head *next;
	struct far_head **link;
};

struct traced_map {
	weft_map map;
	struct area area;
	const struct weft_map_type *type;
	struct spin lock; /* which entries there are, and where; the look's progress */
	struct far_head *far;
	uint64_t group; /* the look's: the next one; UINT64_MAX: all have been looked at */
	struct weft_map_spilled *spilled; /* then the next of these */
	struct far_head *next_far;
	size_t done; /* bytes of that */
};
static_assert(offsetof(struct traced_map, map) == 0, "one is found by the other");

static struct traced_map *traced(weft_map *m)
{
	return (struct traced_map *)(void *)m;
}

/* ---- changes ---- */

bool map_trace_begin_change(weft_map *m)
{
	bool outermost = call_begin();
	spin_lock(&traced(m)->lock);
	return outermost;
}

void map_trace_end_change(weft_map *m, bool outermost)
{
	spin_unlock(&traced(m)->lock);
	call_end(outermost);
}

/* Of a map that owns its keys' bytes, the key is of no interest. */
static size_t begins_at(const struct weft_map_type *t)
{
	return t->flags & WEFT_MAP_OWNS_ ? t->value_at : 0;
}

static void shade_entry(const struct weft_map_type *t, char *slot)
{
	const char *entry = weft_map_entry_(t, slot);
	gc_shade_words(entry + begins_at(t), t->entry_size - begins_at(t));
}

static void shade_groups(const struct weft_map_type *t, struct weft_map_segment_ from, uint64_t groups)
{
	for (uint64_t g = 0; g < groups; g++)
		for (uint64_t bits = weft_group_taken_(weft_map_word_(from, g)); bits; bits &= bits - 1)
			shade_entry(t, weft_map_slot_(from, t, g, weft_group_slot_(bits)));
}

void map_trace_moves(const struct weft_map_type *t, struct weft_map_segment_ from, uint64_t groups)
{
	if (map_is_traced(t) && gc_shades() && !(t->flags & WEFT_MAP_FAR_))
		shade_groups(t, from, groups);
}

void map_trace_comes(const struct weft_map_type *t, const void *key)
{
	if (map_is_traced(t) && gc_shades() && !(t->flags & WEFT_MAP_OWNS_))
		gc_shade_words(key, t->key_size);
}

void map_trace_goes(const struct weft_map_type *t, char *slot)
{
	if (gc_shades())
		shade_entry(t, slot);
}

void map_trace_spilled_goes(weft_map *m, const struct weft_map_type *t, struct weft_map_spilled *s)
{
	if (!map_is_traced(t))
		return;
	map_trace_goes(t, s->slot);
	if (traced(m)->spilled == s)
		traced(m)->spilled = s->next;
}

void *map_trace_far_make(weft_map *m, const struct weft_map_type *t)
{
	struct traced_map *of = traced(m);
	struct far_head *f = weft_calloc(1, sizeof *f + t->entry_size);
	if (!f)
		return NULL;
	f->next = of->far;
	f->link = &of->far;
	if (f->next)
		f->next->link = &f->next;
	of->far = f;
	return f + 1;
}

void map_trace_far_free(weft_map *m, void *entry)
{
	struct traced_map *of = traced(m);
	struct far_head *f = (struct far_head *)entry - 1;
	if (of->next_far == f) {
		of->next_far = f->next;
		of->done = 0;
	}
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	weft_free(f);
}

void *weft_map_take_traced_(weft_map *m, const struct weft_map_type *t, char *control, char *slot, const void *key, uint64_t hash)
{
	bool outermost = map_trace_begin_change(m);
	map_trace_comes(t, key);
	void *entry = weft_map_fill_(m, t, slot, key, hash);
	*control = (char)weft_map_control_(hash);
	m->len++;
	map_trace_end_change(m, outermost);
	return entry;
}

void weft_map_clear_traced_(weft_map *m, const struct weft_map_type *t, char *control, char *slot, uint8_t left)
{
	bool outermost = map_trace_begin_change(m);
	map_trace_goes(t, slot);
	weft_map_drop_(m, t, slot);
	memset(slot, 0, t->slot_size);
	*control = (char)left;
	m->len--;
	map_trace_end_change(m, outermost);
}

void weft_map_value_slow_(void *to, const void *value, size_t size)
{
	bool outermost = call_begin();
	if (gc_shades()) {
		gc_shade_words(to, size);
		gc_shade_words(value, size);
	}
	memcpy(to, value, size);
	call_end(outermost);
}

/* ---- the look ---- */

/* Each returns the bytes that it has looked at. */

static size_t note_entry(struct gc_filling *f, const struct weft_map_type *t, const char *entry)
{
	gc_note_some_words(f, entry + begins_at(t), entry + t->entry_size);
	return t->entry_size;
}

static size_t note_group(struct gc_filling *f, const struct weft_map_type *t, struct weft_map_segment_ in, uint64_t group)
{
	size_t bytes = GROUP_SLOTS;
	for (uint64_t bits = weft_group_taken_(weft_map_word_(in, group)); bits; bits &= bits - 1)
		bytes += note_entry(f, t, weft_map_slot_(in, t, group, weft_group_slot_(bits)));
	return bytes;
}

static uint64_t groups(const weft_map *m)
{
	return (m->mask + 1 + m->split) * ((uint64_t)m->group_mask + 1);
}

/* What comes behind meanwhile has been shaded, so that it does not matter whether this ends before it. */
static size_t note_slots(struct traced_map *of, struct gc_filling *f, size_t most)
{
	const struct weft_map_type *t = of->type;
	weft_map *m = &of->map;
	size_t bytes = 0;
	for (; of->group < groups(m) && bytes < most; of->group++) {
		uint64_t segment = of->group >> t->group_bits;
		bytes += note_group(f, t, weft_map_segment_at_(m, t, segment), of->group - (segment << t->group_bits));
	}
	if (of->group >= groups(m) && of->group != UINT64_MAX) {
		of->group = UINT64_MAX;
		of->spilled = m->spilled;
	}
	for (; of->spilled && bytes < most; of->spilled = of->spilled->next)
		bytes += note_entry(f, t, of->spilled->slot);
	return bytes;
}

static size_t note_far(struct traced_map *of, struct gc_filling *f, size_t most)
{
	size_t bytes = 0, size = of->type->entry_size;
	while (of->next_far && bytes < most) {
		size_t n = size - of->done < most ? size - of->done : most;
		const char *from = (const char *)(of->next_far + 1) + of->done;
		gc_note_some_words(f, from, from + n);
		bytes += n;
		of->done += n;
		if (of->done < size)
			continue;
		of->next_far = of->next_far->next;
		of->done = 0;
	}
	return bytes;
}
static_assert(BYTES_A_LOOK % sizeof(void *) == 0, "a look ends between two words");

static bool look_at_map(struct area *a, size_t *at, struct gc_filling *f)
{
	struct traced_map *of = (struct traced_map *)(void *)((char *)a - offsetof(struct traced_map, area));
	if (!spin_try_lock(&of->lock))
		return true;
	bool is_far = of->type->flags & WEFT_MAP_FAR_;
	if (*at == 0) {
		*at = 1;
		of->group = 0;
		of->spilled = NULL;
		of->next_far = of->far;
		of->done = 0;
	}
	gc_noted(f, is_far ? note_far(of, f, BYTES_A_LOOK) : note_slots(of, f, BYTES_A_LOOK));
	bool more = is_far ? of->next_far != NULL : of->group != UINT64_MAX || of->spilled;
	spin_unlock(&of->lock);
	return more;
}

/* ---- the map ---- */

weft_map *map_trace_make(const struct weft_map_type *t)
{
	struct traced_map *of = weft_calloc(1, sizeof *of);
	if (!of)
		return NULL;
	of->type = t;
	return &of->map;
}

void map_trace_start(weft_map *m)
{
	area_add(&traced(m)->area, look_at_map);
}

/* In pieces, between which the caller may be asked for something. */
static void shade_far(struct traced_map *of)
{
	for (struct far_head *f = of->far; f; f = f->next) {
		bool outermost = call_begin();
		gc_shade_words(f + 1, of->type->entry_size);
		call_end(outermost);
	}
}

static void shade_slots(struct traced_map *of)
{
	weft_map *m = &of->map;
	for (uint64_t i = 0; i <= m->mask + m->split; i++) {
		bool outermost = call_begin();
		shade_groups(of->type, weft_map_segment_at_(m, of->type, i), (uint64_t)m->group_mask + 1);
		call_end(outermost);
	}
	for (struct weft_map_spilled *s = m->spilled; s; s = s->next) {
		bool outermost = call_begin();
		shade_entry(of->type, s->slot);
		call_end(outermost);
	}
}

/* Whoever has read one of its entries has done so before this: if nothing is to be shaded now, their stacks will be looked at. */
void map_trace_end(weft_map *m)
{
	struct traced_map *of = traced(m);
	bool outermost = call_begin(), shades = gc_shades();
	call_end(outermost);
	if (shades && of->type->flags & WEFT_MAP_FAR_)
		shade_far(of);
	else if (shades)
		shade_slots(of);
	area_drop(&of->area);
}
