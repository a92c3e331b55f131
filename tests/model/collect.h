/* runtime/collect.h where nothing is ever collected: for models of the scheduler. */
#ifndef RUNTIME_COLLECT_H
#define RUNTIME_COLLECT_H
#define RUNTIME_AREA_H
#define RUNTIME_ATTACH_H

#include <stdbool.h>

#define gc_before_run(m, next) ((void)(m), (void)(next))
#define gc_before_run_elsewhere(p) ((void)(p), false)
#define gc_born(m, g)          ((void)(m), (void)(g))
#define gc_ends(g)             ((void)(g))
#define gc_safe_point(m)       ((void)(m))
#define gc_share(p, now)       ((void)(p), (void)(now))
#define gc_p_sleeps(p)         ((void)(p))
#define gc_p_wakes(p)          ((void)(p))
#define gc_is_on(gc)           false
#define gc_spare_time(m)       ((void)(m), false)

bool outside_may_enter(void);

#define attached_call_begin()  ((void)0)
#define attached_call_end()    ((void)0)
#define attached_parks()       ((void)0)
#define attached_is_back()     ((void)0)
#define gc_shade_word(word)    ((void)(word))
#define gc_shades()            false
#define gc_shade_words(at, n)  ((void)(at), (void)(n))

static int collector __attribute__((unused));

struct gc_filling;
struct area {
	void *unused;
};
#define gc_note_words(f, from, to) ((void)(f), (void)(from), (void)(to))
#define gc_note_some_words(f, from, to) ((void)(f), (void)(from), (void)(to))
#define gc_note_word(f, word)      ((void)(f), (void)(word))
#define gc_noted(f, bytes)         ((void)(f), (void)(bytes))
#define area_add(a, look)          ((void)(a), (void)(look))
#define area_drop(a)               ((void)(a))
#define area_drop_reclaimed(a)     ((void)(a))

struct area_word {
	_Atomic(void *) word;
};
#define area_word_add(w, value) store_rlx(&(w)->word, value)
#define area_word_drop(w)       ((void)(w))

#endif
