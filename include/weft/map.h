/* Maps: Go's, in C. docs/maps.md shows them in use.
 *
 * WEFT_MAP_OF(key, value, name); at file scope declares the type `name`, a handle that is passed by value, and
 *
 *     name name_make(size_t hint);                       room for hint entries at once; 0: none yet
 *     bool name_get(name, key, value *);                 false: absent, and *value is zeroed. The pointer may be NULL
 *     void name_put(name, key, value);
 *     value *name_at(name, key);                         where the value lies, until the next put or del; NULL: absent
 *     bool name_del(name, key);                          false: absent
 *     size_t name_len(name);
 *     bool name_next(name, weft_map_iter *, key *, value *);     false: that was all. The pointers may be NULL
 *     void name_free(name);
 *
 * Keys are integers, enums or pointers; anything else does not compile. WEFT_MAP_BY takes any key, with functions of the user's:
 * uint64_t hash(weft_seed, const key *) and bool equal(const key *, const key *), which neither panic nor exit nor use the map. Equal keys must have equal hashes:
 * do not hash padding, nor the bytes of a float (0.0 == -0.0). WEFT_MAP_OF_STRING takes const char *, and WEFT_MAP_OF_BYTES a
 * struct weft_bytes; these maps keep a copy of the bytes, and name_next gives the map's own, which lives until that key is deleted.
 * WEFT_SET_OF(key, name) has name_add (true: it is new), name_has, and the rest but for values.
 *
 * A zeroed handle is Go's nil map: reading finds nothing, and a put panics ("assignment to entry in nil map").
 *
 * An iterator is zeroed to begin, holds nothing, and begins at random. Entries may be put and deleted on the way: what
 * is deleted before it is reached is not produced, what is added may be, and nothing is produced twice (of hashes of yours that hardly differ, something may be, or be left out, when the map grows meanwhile).
 *
 * No call blocks. Several goroutines may read at once; if one writes, others must be kept out. Otherwise, when that
 * is seen, the process ends: "concurrent map writes", "concurrent map read and map write", "concurrent map iteration and
 * map write". No insertion moves more than 1024 entries. Running out of memory is fatal, for a hint as well; a hint that no memory could meet panics.
 *
 * Keys and values may hold collected pointers (weft/gc.h), in words that are aligned as pointers are: an entry keeps what it points to until it
 * is deleted or overwritten, or the map freed; one that is never freed keeps what it has. Through name_at they are stored by weft_set. Such a map is
 * for goroutines and attached threads, and putting and deleting cost some nanoseconds more. A map whose keys and values are numbers, or too
 * small or not aligned for a pointer, is not looked at, and neither is one declared with WEFT_MAP_OF_LEAF, WEFT_MAP_BY_LEAF,
 * WEFT_MAP_OF_STRING_LEAF, WEFT_MAP_OF_BYTES_LEAF or WEFT_SET_OF_LEAF: its entries hold no collected pointers. */
#ifndef WEFT_MAP_H
#define WEFT_MAP_H

#include <weft/base.h>
#include <weft/hash.h>
#include <weft/map_table.h>

WEFT_BEGIN_DECLS

#ifdef __cplusplus
#define WEFT_MAP_ASSERT_(e, words) static_assert(e, words)
#define WEFT_MAP_PLAIN_(type)      static_assert(__is_trivially_copyable(type), "a map copies its entries' bytes")
#else
#define WEFT_MAP_ASSERT_(e, words) _Static_assert(e, words)
#define WEFT_MAP_PLAIN_(type)      _Static_assert(1, "")
#endif

/* Of the types that the compiler tells apart, integers, characters, enums, booleans and pointers are 1 to 5. */
#define WEFT_MAP_SCALAR_(type)                                                                                         \
	(__builtin_classify_type(*(type *)0) >= 1 && __builtin_classify_type(*(type *)0) <= 5 && sizeof(type) <= 8)

/* Of those, numbers are 1 to 4, 8 and 9. Anything else may hold a collected pointer, if it is as large and aligned as one. */
#define WEFT_MAP_NUMBER_(type)                                                                                         \
	((__builtin_classify_type(*(type *)0) >= 1 && __builtin_classify_type(*(type *)0) <= 4) ||                     \
	 __builtin_classify_type(*(type *)0) == 8 || __builtin_classify_type(*(type *)0) == 9)
#define WEFT_MAP_HOLDS_(type)                                                                                          \
	(sizeof(type) >= sizeof(void *) && __alignof__(type) >= __alignof__(void *) && !WEFT_MAP_NUMBER_(type)         \
		 ? WEFT_MAP_TRACED_                                                                                    \
		 : 0)

/* A program need not use all of them. */
#define WEFT_MAP_VERB_ static inline __attribute__((unused))

/* What an entry is. */
#define WEFT_MAP_ENTRY_(key, value, name)                                                                              \
	typedef key name##_key_;                                                                                       \
	typedef value name##_value_;                                                                                   \
	typedef struct name##_entry_ {                                                                                 \
		name##_key_ k;                                                                                         \
		name##_value_ v;                                                                                       \
	} name##_entry_

/* What the library is told of a map's keys and values; name##_hash_ and name##_equal_ follow. */
#define WEFT_MAP_TYPE_(name, value_at, value_size, flags)                                                              \
	WEFT_MAP_PLAIN_(name##_entry_);                                                                                \
	WEFT_MAP_ASSERT_(__alignof__(name##_entry_) <= 16, "a map's entries are aligned to 16 bytes at most");         \
	enum {                                                                                                         \
		name##_far_ = sizeof(name##_entry_) > WEFT_MAP_NEAR_MOST_ ? WEFT_MAP_FAR_ : 0,                         \
		name##_slot_ = name##_far_ ? sizeof(struct weft_map_far_) : sizeof(name##_entry_),                     \
	};                                                                                                             \
	static uint64_t name##_hash_(weft_seed seed_, const void *key_);                                               \
	static bool name##_equal_(const void *key_, const void *entry_);                                               \
	static const struct weft_map_type name##_type_ = {                                                             \
		sizeof(struct weft_map_type),                                                                          \
		sizeof(name##_key_),                                                                                   \
		value_at,                                                                                             \
		value_size,                                                                                            \
		sizeof(name##_entry_),                                                                                 \
		name##_slot_,                                                                                          \
		name##_slot_ > 32 ? 6 : 7,                                                                             \
		(uint32_t)name##_far_ | (flags),                                                                       \
		name##_hash_,                                                                                          \
		name##_equal_}

/* What is common to all: the layout, make, free, len. */
#define WEFT_MAP_TABLE_(name, value_at, value_size, flags)                                                             \
	typedef struct name {                                                                                          \
		weft_map *map;                                                                                         \
	} name;                                                                                                        \
	WEFT_MAP_TYPE_(name, value_at, value_size, flags);                                                             \
	WEFT_MAP_VERB_ name name##_make(size_t hint_)                                                                  \
	{                                                                                                              \
		name m_ = {weft_map_make_(&name##_type_, hint_)};                                                      \
		return m_;                                                                                             \
	}                                                                                                              \
	WEFT_MAP_VERB_ void name##_free(name m_)                                                                       \
	{                                                                                                              \
		weft_map_free_(m_.map, &name##_type_);                                                                 \
	}                                                                                                              \
	WEFT_MAP_VERB_ size_t name##_len(name m_)                                                                      \
	{                                                                                                              \
		return m_.map ? (size_t)m_.map->len : 0;                                                               \
	}                                                                                                              \
	typedef struct name name##_declared_

/* The verbs with a key that the user has as `type k_` and that the table has as the variable that `to_key` declares. */
#define WEFT_MAP_VERBS_(name, type, to_key)                                                                            \
	typedef type name##_given_;                                                                                    \
	WEFT_MAP_VERB_ name##_value_ *name##_at(name m_, type k_)                                                      \
	{                                                                                                              \
		const name##_key_ key_ = to_key(k_);                                                                   \
		name##_entry_ *e_ = (name##_entry_ *)weft_map_find_(m_.map, &name##_type_, &key_);                     \
		return e_ ? &e_->v : NULL;                                                                             \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_get(name m_, type k_, name##_value_ *v_)                                            \
	{                                                                                                              \
		const name##_key_ key_ = to_key(k_);                                                                   \
		const name##_entry_ *e_ =                                                                              \
			(const name##_entry_ *)weft_map_find_(m_.map, &name##_type_, &key_);                           \
		if (v_ && e_)                                                                                          \
			*v_ = e_->v;                                                                                   \
		else if (v_)                                                                                           \
			memset((void *)v_, 0, sizeof *v_);                                                             \
		return e_ != NULL;                                                                                     \
	}                                                                                                              \
	WEFT_MAP_VERB_ void name##_put(name m_, type k_, name##_value_ v_)                                             \
	{                                                                                                              \
		const name##_key_ key_ = to_key(k_);                                                                   \
		if (name##_type_.flags & WEFT_MAP_TRACED_)                                                             \
			weft_map_value_(&name##_type_, weft_map_put_(m_.map, &name##_type_, &key_), &v_);              \
		else                                                                                                   \
			((name##_entry_ *)weft_map_put_(m_.map, &name##_type_, &key_))->v = v_;                        \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_del(name m_, type k_)                                                               \
	{                                                                                                              \
		const name##_key_ key_ = to_key(k_);                                                                   \
		return weft_map_del_(m_.map, &name##_type_, &key_);                                                    \
	}                                                                                                              \
	typedef struct name name##_verbs_

#define WEFT_MAP_NEXT_(name, type, from_key)                                                                           \
	WEFT_MAP_VERB_ bool name##_next(name m_, weft_map_iter *i_, type *k_, name##_value_ *v_)                       \
	{                                                                                                              \
		const name##_entry_ *e_ = (const name##_entry_ *)weft_map_next_(m_.map, &name##_type_, i_);            \
		if (e_ && k_)                                                                                          \
			*k_ = from_key(e_->k);                                                                         \
		if (e_ && v_)                                                                                          \
			*v_ = e_->v;                                                                                   \
		return e_ != NULL;                                                                                     \
	}                                                                                                              \
	typedef struct name name##_next_

#define WEFT_MAP_SAME_(k) (k)

/* ---- scalars ---- */

#define WEFT_MAP_SCALARS_(key, name)                                                                                   \
	WEFT_MAP_ASSERT_(WEFT_MAP_SCALAR_(key),                                                                        \
			 "a key is an integer, an enum or a pointer; WEFT_MAP_BY takes others");                       \
	WEFT_MAP_VERB_ uint64_t name##_hash_(weft_seed seed_, const void *key_)                                        \
	{                                                                                                              \
		return weft_hash_u64(seed_, (uint64_t)*(const name##_key_ *)key_);                                     \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_equal_(const void *key_, const void *entry_)                                        \
	{                                                                                                              \
		return *(const name##_key_ *)key_ == ((const name##_entry_ *)entry_)->k;                               \
	}                                                                                                              \
	typedef struct name name##_scalars_

#define WEFT_MAP_OF(key, value, name)	   WEFT_MAP_OF_(key, value, name, WEFT_MAP_HOLDS_(name##_key_) | WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_OF_LEAF(key, value, name) WEFT_MAP_OF_(key, value, name, 0)
#define WEFT_MAP_OF_(key, value, name, flags)                                                                          \
	WEFT_MAP_ENTRY_(key, value, name);                                                                             \
	WEFT_MAP_TABLE_(name, offsetof(name##_entry_, v), sizeof(name##_value_), flags);                               \
	WEFT_MAP_SCALARS_(key, name);                                                                                  \
	WEFT_MAP_VERBS_(name, name##_key_, WEFT_MAP_SAME_);                                                            \
	WEFT_MAP_NEXT_(name, name##_key_, WEFT_MAP_SAME_)

/* ---- keys of the user's making ---- */

#define WEFT_MAP_FUNCTIONS_(name, hash, equal)                                                                         \
	WEFT_MAP_VERB_ uint64_t name##_hash_(weft_seed seed_, const void *key_)                                        \
	{                                                                                                              \
		return weft_hash_u64(seed_, hash(seed_, (const name##_key_ *)key_));                                   \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_equal_(const void *key_, const void *entry_)                                        \
	{                                                                                                              \
		return equal((const name##_key_ *)key_, &((const name##_entry_ *)entry_)->k);                          \
	}                                                                                                              \
	typedef struct name name##_functions_

#define WEFT_MAP_BY(key, value, name, hash, equal)                                                                     \
	WEFT_MAP_BY_(key, value, name, hash, equal, WEFT_MAP_HOLDS_(name##_key_) | WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_BY_LEAF(key, value, name, hash, equal) WEFT_MAP_BY_(key, value, name, hash, equal, 0)
#define WEFT_MAP_BY_(key, value, name, hash, equal, flags)                                                             \
	WEFT_MAP_ENTRY_(key, value, name);                                                                             \
	WEFT_MAP_TABLE_(name, offsetof(name##_entry_, v), sizeof(name##_value_), flags);                               \
	WEFT_MAP_FUNCTIONS_(name, hash, equal);                                                                        \
	WEFT_MAP_VERBS_(name, name##_key_, WEFT_MAP_SAME_);                                                            \
	WEFT_MAP_NEXT_(name, name##_key_, WEFT_MAP_SAME_)

/* ---- strings and bytes ---- */

static inline uint64_t weft_map_hash_bytes_(weft_seed seed, const void *key)
{
	const weft_map_own_ *b = (const weft_map_own_ *)key;
	return weft_hash_bytes(seed, b->bytes, b->n);
}

static inline bool weft_map_equal_bytes_(const void *key, const void *entry)
{
	const weft_map_own_ *a = (const weft_map_own_ *)key, *b = (const weft_map_own_ *)entry;
	return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

static inline weft_map_own_ weft_map_string_(const char *s)
{
	weft_map_own_ key = {s, strlen(s), 0};
	return key;
}

static inline weft_map_own_ weft_map_bytes_(weft_bytes b)
{
	weft_map_own_ key = {b.bytes, b.n, 0};
	return key;
}

static inline weft_bytes weft_map_bytes_of_(weft_map_own_ key)
{
	weft_bytes b = {key.bytes, key.n};
	return b;
}

#define WEFT_MAP_STRING_OF_(k) ((const char *)(k).bytes)

#define WEFT_MAP_BYTES_FUNCTIONS_(name)                                                                                \
	WEFT_MAP_VERB_ uint64_t name##_hash_(weft_seed seed_, const void *key_)                                        \
	{                                                                                                              \
		return weft_map_hash_bytes_(seed_, key_);                                                              \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_equal_(const void *key_, const void *entry_)                                        \
	{                                                                                                              \
		return weft_map_equal_bytes_(key_, entry_);                                                            \
	}                                                                                                              \
	typedef struct name name##_owns_

#define WEFT_MAP_OWN_BYTES_(value, name, flags)                                                                        \
	WEFT_MAP_ENTRY_(weft_map_own_, value, name);                                                                   \
	WEFT_MAP_TABLE_(name, offsetof(name##_entry_, v), sizeof(name##_value_), WEFT_MAP_OWNS_ | (flags));            \
	WEFT_MAP_BYTES_FUNCTIONS_(name)

#define WEFT_MAP_OF_STRING(value, name)	     WEFT_MAP_OF_STRING_(value, name, WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_OF_STRING_LEAF(value, name) WEFT_MAP_OF_STRING_(value, name, 0)
#define WEFT_MAP_OF_STRING_(value, name, flags)                                                                        \
	WEFT_MAP_OWN_BYTES_(value, name, flags);                                                                       \
	WEFT_MAP_VERBS_(name, const char *, weft_map_string_);                                                         \
	WEFT_MAP_NEXT_(name, const char *, WEFT_MAP_STRING_OF_)

#define WEFT_MAP_OF_BYTES(value, name)	    WEFT_MAP_OF_BYTES_(value, name, WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_OF_BYTES_LEAF(value, name) WEFT_MAP_OF_BYTES_(value, name, 0)
#define WEFT_MAP_OF_BYTES_(value, name, flags)                                                                         \
	WEFT_MAP_OWN_BYTES_(value, name, flags);                                                                       \
	WEFT_MAP_VERBS_(name, weft_bytes, weft_map_bytes_);                                                            \
	WEFT_MAP_NEXT_(name, weft_bytes, weft_map_bytes_of_)

/* ---- sets ---- */

#define WEFT_SET_OF(key, name)	    WEFT_SET_OF_(key, name, WEFT_MAP_HOLDS_(name##_key_))
#define WEFT_SET_OF_LEAF(key, name) WEFT_SET_OF_(key, name, 0)
#define WEFT_SET_OF_(key, name, flags)                                                                                 \
	typedef key name##_key_;                                                                                       \
	typedef struct name##_entry_ {                                                                                 \
		name##_key_ k;                                                                                         \
	} name##_entry_;                                                                                               \
	WEFT_MAP_TABLE_(name, sizeof(name##_key_), 0, flags);                                                          \
	WEFT_MAP_SCALARS_(key, name);                                                                                  \
	WEFT_MAP_VERB_ bool name##_add(name m_, name##_key_ key_)                                                      \
	{                                                                                                              \
		size_t before_ = name##_len(m_);                                                                       \
		weft_map_put_(m_.map, &name##_type_, &key_);                                                           \
		return name##_len(m_) > before_;                                                                       \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_has(name m_, name##_key_ key_)                                                      \
	{                                                                                                              \
		return weft_map_find_(m_.map, &name##_type_, &key_) != NULL;                                           \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_del(name m_, name##_key_ key_)                                                      \
	{                                                                                                              \
		return weft_map_del_(m_.map, &name##_type_, &key_);                                                    \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_next(name m_, weft_map_iter *i_, name##_key_ *k_)                                   \
	{                                                                                                              \
		const name##_entry_ *e_ = (const name##_entry_ *)weft_map_next_(m_.map, &name##_type_, i_);            \
		if (e_ && k_)                                                                                          \
			*k_ = e_->k;                                                                                   \
		return e_ != NULL;                                                                                     \
	}                                                                                                              \
	typedef struct name name##_set_

WEFT_END_DECLS

#endif
