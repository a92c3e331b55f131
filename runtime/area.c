#include "runtime/area.h"
#include "runtime/call.h"

enum { SHARDS = 16, AREAS_A_LOOK = 32 };

static struct {
	ON_OWN_LINE struct spin lock;
	struct area *first;
} shards[SHARDS];

/* Where the look is; the lock of the shard that it is in. */
static struct {
	unsigned shard; /* SHARDS: it is over */
	bool entered;
	struct area *area;
	size_t at;
} cursor = {.shard = SHARDS};

/* Ps that add and drop do not meet, as long as what they make stays with them. */
static unsigned shard_of_caller(void)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	return p ? p->index % SHARDS : 0;
}

void area_add(struct area *a, bool (*look)(struct area *, size_t *at, struct gc_filling *))
{
	bool outermost = call_begin();
	a->look = look;
	a->shard = shard_of_caller();
	struct area **first = &shards[a->shard].first;
	spin_lock(&shards[a->shard].lock);
	a->next = *first;
	a->link = first;
	if (a->next)
		a->next->link = &a->next;
	*first = a;
	spin_unlock(&shards[a->shard].lock);
	call_end(outermost);
}

void area_drop(struct area *a)
{
	if (!a->look)
		return;
	bool outermost = call_begin();
	spin_lock(&shards[a->shard].lock);
	if (cursor.area == a) {
		cursor.area = a->next;
		cursor.at = 0;
	}
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	a->look = NULL;
	spin_unlock(&shards[a->shard].lock);
	call_end(outermost);
}

static bool look_at_word(struct area *a, size_t *at, struct gc_filling *f)
{
	struct area_word *w = (struct area_word *)(void *)a;
	(void)at;
	gc_note_word(f, load_rlx(&w->word));
	return false;
}
_Static_assert(offsetof(struct area_word, area) == 0, "one is found by the other");

/* It may be added in the middle of a look through all: then what comes in is shaded. */
void area_word_add(struct area_word *w, void *word)
{
	bool outermost = call_begin();
	store_rlx(&w->word, word);
	if (gc_shades())
		gc_shade_word(&word);
	area_add(&w->area, look_at_word);
	call_end(outermost);
}

void area_word_drop(struct area_word *w)
{
	bool outermost = call_begin();
	void *word = load_rlx(&w->word);
	if (gc_shades())
		gc_shade_word(&word);
	area_drop(&w->area);
	call_end(outermost);
}

void areas_begin(void)
{
	cursor.shard = 0;
	cursor.entered = false;
}

static void enter_shard(void)
{
	cursor.area = shards[cursor.shard].first;
	cursor.at = 0;
	cursor.entered = true;
}

/* True: there is more in this shard. */
static bool look_in_shard(struct gc_filling *f)
{
	if (!cursor.entered)
		enter_shard();
	for (unsigned n = 0; n < AREAS_A_LOOK && cursor.area; n++) {
		if (cursor.area->look(cursor.area, &cursor.at, f))
			break;
		cursor.area = cursor.area->next;
		cursor.at = 0;
	}
	return cursor.area;
}

bool areas_look(struct gc_filling *f)
{
	if (cursor.shard == SHARDS)
		return false;
	struct spin *lock = &shards[cursor.shard].lock;
	spin_lock(lock);
	if (!look_in_shard(f)) {
		cursor.entered = false;
		cursor.shard++;
	}
	spin_unlock(lock);
	return true;
}
