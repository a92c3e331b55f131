#include "runtime/area.h"
#include "runtime/call.h"

enum { SHARDS = 16, AREAS_A_LOOK = 32 };

/* And where the look is in it. */
static struct shard {
	ON_OWN_LINE struct spin lock; /* of all else */
	area_link first;
	bool entered;
	area_link at;
	size_t done; /* of that area */
} shards[SHARDS];

/* LeakSanitizer, which is one that looks at all memory, is to find them. */
static area_link hide(struct area *a)
{
	return a && !WEFT_ASAN ? ~(area_link)a : (area_link)a;
}

static struct area *show(area_link l)
{
	return (struct area *)(l && !WEFT_ASAN ? ~l : l);
}

static unsigned looked; /* shards that have been looked through */

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
	struct shard *s = &shards[a->shard];
	spin_lock(&s->lock);
	a->next = s->first;
	a->prev = hide(NULL);
	if (a->next)
		show(a->next)->prev = hide(a);
	s->first = hide(a);
	spin_unlock(&s->lock);
	call_end(outermost);
}

void area_drop_reclaimed(struct area *a)
{
	if (!a->look)
		return;
	struct shard *s = &shards[a->shard];
	spin_lock(&s->lock);
	if (show(s->at) == a) {
		s->at = a->next;
		s->done = 0;
	}
	if (a->prev)
		show(a->prev)->next = a->next;
	else
		s->first = a->next;
	if (a->next)
		show(a->next)->prev = a->prev;
	a->look = NULL;
	spin_unlock(&s->lock);
}

void area_drop(struct area *a)
{
	bool outermost = call_begin();
	area_drop_reclaimed(a);
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
	store_rlx(&w->word, NULL); /* its memory may lie about for long, freed by another thread than its own: reach.h */
	call_end(outermost);
}

void areas_begin(void)
{
	looked = 0;
}

/* True: there is more in this shard. */
static bool look_in(struct shard *s, struct gc_filling *f)
{
	if (!s->entered) {
		s->entered = true;
		s->at = s->first;
		s->done = 0;
	}
	for (unsigned n = 0; n < AREAS_A_LOOK && s->at; n++) {
		struct area *a = show(s->at);
		if (a->look(a, &s->done, f))
			break;
		s->at = a->next;
		s->done = 0;
	}
	return s->at;
}

bool areas_look(struct gc_filling *f)
{
	if (looked == SHARDS)
		return false;
	struct shard *s = &shards[looked];
	spin_lock(&s->lock);
	bool more = look_in(s, f);
	s->entered = more;
	spin_unlock(&s->lock);
	looked += !more;
	return true;
}
