/* Interfaces at run time: which method table a type has for an interface.
 *
 * Every WEFT_IMPLEMENTS registers its table before main begins, in a list. An assertion asks by (interface, type), and the answer,
 * no as well as yes, is kept: in buckets of chains that only grow, at the front, by answers that never change. A reader takes no
 * lock; who adds holds one, so that no pair has two answers. There are no more pairs than a program has declarations, which is why nothing is
 * ever taken out, and why the buckets' number is fixed.
 *
 * A registration that comes later (dlopen) may turn a no into a yes, and does so in the answers that are there.
 *
 * Before the buckets stands what each file that asserts remembers: some answers an interface, looked up inline (<weft/iface.h>,
 * which is C++ as well, so that both sides of that edge are the compiler's __atomic operations).
 *
 *   R1 answer_add: store_rel(bucket)              ->  A1 answer_find: load_acq(bucket_of)       the answers of the chain
 *   R2 yes_after_all_locked: store_rel(table_of)  ->  A2 weft_interface_ask_: load_acq(table_of)  the table, of a library just loaded
 */
#include "runtime/panic.h"

#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "lockfree/spin.h"

#include <string.h>

#include <weft/hash.h>
#include <weft/iface.h>
#include <weft/mem.h>

#ifndef IFACE_BUCKETS
#define IFACE_BUCKETS 256
#endif

struct answer {
	struct weft_answer_ told;
	struct answer *next;
	const struct weft_interface_ *interface;
};

static struct {
	struct spin lock;
	struct weft_implementation_ *implementations; /* under the lock */
	_Atomic(struct answer *) buckets[IFACE_BUCKETS];
} all;

/* Who registers writes it, under the lock; anybody reads. */
static _Atomic(const struct weft_methods_ *) *table_of(struct answer *a)
{
	return (_Atomic(const struct weft_methods_ *) *)&a->told.table;
}

static bool same_interface(const struct weft_interface_ *a, const struct weft_interface_ *b)
{
	return a == b || (strcmp(a->name, b->name) == 0 && strcmp(a->methods, b->methods) == 0);
}

static _Atomic(struct answer *) *bucket_of(const struct weft_interface_ *interface, const weft_type *type)
{
	const weft_seed fixed = {0, 0x9e3779b97f4a7c15u};
	uint64_t h = weft_hash_u64(fixed, (uint64_t)(uintptr_t)interface ^ (uint64_t)(uintptr_t)type << 1);
	return &all.buckets[h % IFACE_BUCKETS];
}

static struct answer *answer_find(const struct weft_interface_ *interface, const weft_type *type)
{
	struct answer *a = load_acq(bucket_of(interface, type));
	while (a && (a->interface != interface || a->told.type != type))
		a = a->next;
	return a;
}

static const struct weft_methods_ *implemented_locked(const struct weft_interface_ *interface, const weft_type *type)
{
	for (const struct weft_implementation_ *i = all.implementations; i; i = i->next) {
		if (same_interface(i->interface, interface) && weft_type_same(i->table->type, type))
			return i->table;
	}
	return NULL;
}

/* Somebody else may have been faster. */
static COLD struct answer *answer_add(const struct weft_interface_ *interface, const weft_type *type)
{
	struct answer *a = weft_malloc(sizeof *a);
	if (!a)
		fatal("out of memory for an interface's method table");
	_Atomic(struct answer *) *bucket = bucket_of(interface, type);
	spin_lock(&all.lock);
	struct answer *known = answer_find(interface, type);
	if (!known) {
		a->next = load_rlx(bucket);
		a->interface = interface;
		a->told.type = type;
		store_rlx(table_of(a), implemented_locked(interface, type));
		store_rel(bucket, a);
	}
	spin_unlock(&all.lock);
	if (!known)
		return a;
	weft_free(a);
	return known;
}

static void yes_after_all_locked(void)
{
	for (size_t i = 0; i < IFACE_BUCKETS; i++) {
		for (struct answer *a = load_rlx(&all.buckets[i]); a; a = a->next) {
			if (!load_rlx(table_of(a)))
				store_rel(table_of(a), implemented_locked(a->interface, a->told.type));
		}
	}
}

void weft_interface_implemented_(struct weft_implementation_ *i)
{
	spin_lock(&all.lock);
	i->next = all.implementations;
	all.implementations = i;
	yes_after_all_locked();
	spin_unlock(&all.lock);
}

const struct weft_methods_ *weft_interface_ask_(const struct weft_interface_ *interface, const weft_type *type,
						const struct weft_answer_ **answer)
{
	struct answer *a = answer_find(interface, type);
	if (!a)
		a = answer_add(interface, type);
	*answer = &a->told;
	return load_acq(table_of(a));
}

void weft_interface_not_(const struct weft_interface_ *interface, weft_any v)
{
	if (!v.methods_)
		weft_panic("interface conversion: value is nil, not %s", interface->name);
	const char *type = v.methods_->type->name;
	weft_panic("interface conversion: %s is not %s: there is no WEFT_IMPLEMENTS(%s, %s)", type, interface->name, type,
		   interface->name);
}

void weft_interface_nil_(const struct weft_interface_ *interface, const char *method)
{
	weft_panic("method %s of a nil %s", method, interface->name);
}

bool weft_any_is_(weft_any v, const weft_type *t)
{
	return v.methods_ && weft_type_same(v.methods_->type, t);
}

void weft_any_must_be_(weft_any v, const weft_type *t)
{
	if (!weft_any_is_(v, t))
		weft_panic("interface conversion: value is %s, not %s", v.methods_ ? v.methods_->type->name : "nil", t->name);
}
