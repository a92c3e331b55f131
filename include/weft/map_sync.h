/* Maps for several goroutines at once: Go's sync.Map (https://pkg.go.dev/sync#Map), in C. docs/maps.md says when to use which.
 *
 * WEFT_MAP_SYNC_OF(key, value, name); at file scope declares the type `name`: the caller's memory, ready when zeroed, an empty
 * map then. It is not copied after its first use. And, for any number of goroutines and threads at once,
 *
 *     bool name_load(name *, key, value *);                            false: absent, and *value is zeroed
 *     void name_store(name *, key, value);
 *     bool name_load_or_store(name *, key, value, value *actual);      true: it was there; false: stored. Either way, what is there
 *     bool name_swap(name *, key, value, value *previous);             true: there was a previous one; false: zeroed
 *     bool name_load_and_delete(name *, key, value *);                 true: it was there
 *     bool name_del(name *, key);                                      the same
 *     bool name_compare_and_swap(name *, key, value old, value new);   true: it was old, and is new
 *     bool name_compare_and_delete(name *, key, value old);            true: it was old, and is gone
 *     void name_range(name *, bool (*each)(key, value, void *arg), void *arg);     until each says false
 *     size_t name_len(name *);
 *     void name_clear(name *);
 *     void name_fini(name *);                                          gives the memory back; zeroed again. Nobody else uses it any more
 *
 * A pointer to be filled in may be NULL. Values are copied in and out. Keys are what
 * <weft/map.h> says: integers, enums or pointers here; WEFT_MAP_SYNC_BY takes any key, with functions of the user's,
 * which neither panic nor exit nor block nor use the map; WEFT_MAP_SYNC_OF_STRING takes const char *, and WEFT_MAP_SYNC_OF_BYTES a
 * struct weft_bytes, and these keep a copy of the bytes. Values that are compared are integers, enums or pointers: with others
 * _compare_and_swap and _compare_and_delete do not compile when they are called.
 *
 * The calls on one key, and clearing, have an order that all agree on, and each is a step in it; range is none. In the terms
 * of Go's memory model, a call that writes synchronizes before any call that observes what it wrote: what happened before a
 * store has happened for who loads the value. _store, _swap, _del, _load_and_delete and _clear write; so do _load_or_store
 * that returns false and _compare_and_... that return true. All but _store and _clear read.
 *
 * No call blocks. A load, and what changes nothing, takes no lock and writes nothing that others look at; the rest waits for
 * who writes to the same bucket, of which there are as many as entries. A call that adds a key allocates, and so does one that
 * replaces a value of more than 8 bytes; running out of memory is fatal. No call does work in proportion to the map's size,
 * but range and fini; a map that has grown does not shrink before it is cleared.
 *
 * range corresponds to no snapshot: each key is visited once at most, in no order; a key that is there all the time is
 * visited, and with a value that it had meanwhile; one that is stored or deleted meanwhile may be visited or not. each may use
 * the map, block, panic, and exit. The bytes of a key are its until it returns. After a _clear nothing more is visited, but for
 * entries whose hashes are all the same.
 *
 * len counts one core after the other: while others write it may be what it never was; with nobody writing it is the count.
 *
 * Keys and values may hold collected pointers, as <weft/map.h> says, and what range gives is kept until each returns. Not those of a map
 * declared with WEFT_MAP_SYNC_OF_LEAF, WEFT_MAP_SYNC_BY_LEAF, WEFT_MAP_SYNC_OF_STRING_LEAF or WEFT_MAP_SYNC_OF_BYTES_LEAF. While the collector
 * marks, fini goes through all entries once more. A map that is never given back keeps what it has. */
#ifndef WEFT_MAP_SYNC_H
#define WEFT_MAP_SYNC_H

#include <weft/base.h>
#include <weft/map.h>

WEFT_BEGIN_DECLS

/* Inside of each; with room to grow. */
typedef struct weft_map_sync {
	void *table;
	void *room[3];
} weft_map_sync;

/* Keys and values come in the form that the flags say: words, or as they are. */
WEFT_API bool weft_map_sync_load_(weft_map_sync *, const struct weft_map_type *, const void *key, void *value);
WEFT_API bool weft_map_sync_swap_(weft_map_sync *, const struct weft_map_type *, const void *key, const void *value,
				  void *previous);
WEFT_API bool weft_map_sync_load_or_store_(weft_map_sync *, const struct weft_map_type *, const void *key, const void *value,
					   void *actual);
WEFT_API bool weft_map_sync_load_and_delete_(weft_map_sync *, const struct weft_map_type *, const void *key, void *value);
WEFT_API bool weft_map_sync_compare_and_swap_(weft_map_sync *, const struct weft_map_type *, const void *key, uint64_t old,
					      uint64_t value);
WEFT_API bool weft_map_sync_compare_and_delete_(weft_map_sync *, const struct weft_map_type *, const void *key, uint64_t old);
WEFT_API void weft_map_sync_range_(weft_map_sync *, const struct weft_map_type *,
				   bool (*each)(const void *key, const void *value, void *arg), void *arg);
WEFT_API size_t weft_map_sync_len_(weft_map_sync *);
WEFT_API void weft_map_sync_clear_(weft_map_sync *);
WEFT_API void weft_map_sync_fini_(weft_map_sync *);

/* What is asked for where values that are no scalars would be compared. */
struct weft_map_sync_compares_scalars_only {
	char none;
};

WEFT_END_DECLS

#ifdef __cplusplus
template <bool scalar, typename value> struct weft_map_sync_compared_ {
	typedef value type;
};
template <typename value> struct weft_map_sync_compared_<false, value> {
	typedef weft_map_sync_compares_scalars_only type;
};
#define WEFT_MAP_SYNC_COMPARED_(value) weft_map_sync_compared_<WEFT_MAP_SCALAR_(value), value>::type
#else
#define WEFT_MAP_SYNC_COMPARED_(value) \
	__typeof__(*__builtin_choose_expr(WEFT_MAP_SCALAR_(value), (value *)0, (struct weft_map_sync_compares_scalars_only *)0))
#endif

/* The type itself, and how its values come and go. */
#define WEFT_MAP_SYNC_TABLE_(name, flags)                                                \
	typedef struct name {                                                            \
		weft_map_sync map;                                                       \
	} name;                                                                          \
	typedef WEFT_MAP_SYNC_COMPARED_(name##_value_) name##_compared_;                 \
	enum {                                                                           \
		name##_word_ = sizeof(name##_value_) <= 8 ? sizeof(name##_value_) : 0,   \
	};                                                                               \
	WEFT_MAP_TYPE_(name, offsetof(name##_entry_, v), sizeof(name##_value_),          \
		       (flags) | (name##_word_ > 0 ? WEFT_MAP_WORD_VALUE_ : 0));         \
	WEFT_MAP_VERB_ const void *name##_in_(uint64_t *word_, const name##_value_ *v_)  \
	{                                                                                \
		if (name##_word_ == 0)                                                   \
			return v_;                                                       \
		memcpy(word_, (const void *)v_, name##_word_);                           \
		return word_;                                                            \
	}                                                                                \
	WEFT_MAP_VERB_ void *name##_out_(uint64_t *word_, name##_value_ *v_)             \
	{                                                                                \
		return name##_word_ > 0 ? (void *)word_ : (void *)v_;                    \
	}                                                                                \
	WEFT_MAP_VERB_ bool name##_give_(bool there_, uint64_t word_, name##_value_ *v_) \
	{                                                                                \
		if (v_ && name##_word_ > 0)                                              \
			memcpy((void *)v_, &word_, name##_word_);                        \
		else if (v_ && !there_)                                                  \
			memset((void *)v_, 0, sizeof *v_);                               \
		return there_;                                                           \
	}                                                                                \
	WEFT_MAP_VERB_ uint64_t name##_compare_(name##_compared_ v_)                     \
	{                                                                                \
		uint64_t word_ = 0;                                                      \
		memcpy(&word_, &v_, sizeof v_);                                          \
		return word_;                                                            \
	}                                                                                \
	WEFT_MAP_VERB_ size_t name##_len(name *m_)                                       \
	{                                                                                \
		return weft_map_sync_len_(&m_->map);                                     \
	}                                                                                \
	WEFT_MAP_VERB_ void name##_clear(name *m_)                                       \
	{                                                                                \
		weft_map_sync_clear_(&m_->map);                                          \
	}                                                                                \
	WEFT_MAP_VERB_ void name##_fini(name *m_)                                        \
	{                                                                                \
		weft_map_sync_fini_(&m_->map);                                           \
	}                                                                                \
	typedef struct name name##_declared_

/* The verbs with a key that the user has as `type k_` and that the library has as a `form`. */
#define WEFT_MAP_SYNC_VERBS_(name, type, form, to_key, from_key)                                                       \
	WEFT_MAP_VERB_ bool name##_load(name *m_, type k_, name##_value_ *v_)                                          \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		uint64_t word_ = 0;                                                                                    \
		bool there_ = weft_map_sync_load_(&m_->map, &name##_type_, &key_, name##_out_(&word_, v_));            \
		return name##_give_(there_, word_, v_);                                                                \
	}                                                                                                              \
	WEFT_MAP_VERB_ void name##_store(name *m_, type k_, name##_value_ v_)                                          \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		uint64_t word_ = 0;                                                                                    \
		weft_map_sync_swap_(&m_->map, &name##_type_, &key_, name##_in_(&word_, &v_), NULL);                    \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_load_or_store(name *m_, type k_, name##_value_ v_, name##_value_ *actual_)          \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		uint64_t word_ = 0, there_ = 0;                                                                        \
		bool loaded_ = weft_map_sync_load_or_store_(&m_->map, &name##_type_, &key_, name##_in_(&word_, &v_),   \
							    name##_out_(&there_, actual_));                            \
		if (!loaded_ && actual_)                                                                               \
			*actual_ = v_;                                                                                 \
		return loaded_ && name##_give_(true, there_, actual_);                                                 \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_swap(name *m_, type k_, name##_value_ v_, name##_value_ *previous_)                 \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		uint64_t word_ = 0, there_ = 0;                                                                        \
		bool loaded_ = weft_map_sync_swap_(&m_->map, &name##_type_, &key_, name##_in_(&word_, &v_),            \
						   name##_out_(&there_, previous_));                                   \
		return name##_give_(loaded_, there_, previous_);                                                       \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_load_and_delete(name *m_, type k_, name##_value_ *v_)                               \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		uint64_t word_ = 0;                                                                                    \
		bool there_ = weft_map_sync_load_and_delete_(&m_->map, &name##_type_, &key_, name##_out_(&word_, v_)); \
		return name##_give_(there_, word_, v_);                                                                \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_del(name *m_, type k_)                                                              \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		return weft_map_sync_load_and_delete_(&m_->map, &name##_type_, &key_, NULL);                           \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_compare_and_swap(name *m_, type k_, name##_compared_ old_, name##_compared_ new_)   \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		return weft_map_sync_compare_and_swap_(&m_->map, &name##_type_, &key_, name##_compare_(old_),          \
						       name##_compare_(new_));                                         \
	}                                                                                                              \
	WEFT_MAP_VERB_ bool name##_compare_and_delete(name *m_, type k_, name##_compared_ old_)                        \
	{                                                                                                              \
		const form key_ = to_key(k_);                                                                          \
		return weft_map_sync_compare_and_delete_(&m_->map, &name##_type_, &key_, name##_compare_(old_));       \
	}                                                                                                              \
	typedef struct name##_each_ {                                                                                  \
		bool (*each)(type, name##_value_, void *);                                                             \
		void *arg;                                                                                             \
	} name##_each_;                                                                                                \
	WEFT_MAP_VERB_ bool name##_visit_(const void *k_, const void *v_, void *each_)                                 \
	{                                                                                                              \
		const name##_each_ *e_ = (const name##_each_ *)each_;                                                  \
		return e_->each(from_key(name, k_), *(const name##_value_ *)v_, e_->arg);                              \
	}                                                                                                              \
	WEFT_MAP_VERB_ void name##_range(name *m_, bool (*each_)(type, name##_value_, void *), void *arg_)             \
	{                                                                                                              \
		name##_each_ e_ = {each_, arg_};                                                                       \
		weft_map_sync_range_(&m_->map, &name##_type_, name##_visit_, &e_);                                     \
	}                                                                                                              \
	typedef struct name name##_verbs_

/* A key out of what the library has. */
#define WEFT_MAP_SYNC_WORD_(k)		    ((uint64_t)(k))
#define WEFT_MAP_SYNC_FROM_WORD_(name, k)   ((name##_key_) * (const uint64_t *)(k))
#define WEFT_MAP_SYNC_FROM_KEY_(name, k)    (*(const name##_key_ *)(k))
#define WEFT_MAP_SYNC_FROM_STRING_(name, k) ((const char *)((const weft_map_own_ *)(k))->bytes)
#define WEFT_MAP_SYNC_FROM_BYTES_(name, k)  (weft_map_bytes_of_(*(const weft_map_own_ *)(k)))

#define WEFT_MAP_SYNC_OF(key, value, name)                                                                             \
	WEFT_MAP_SYNC_OF_(key, value, name, WEFT_MAP_HOLDS_(name##_key_) | WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_SYNC_OF_LEAF(key, value, name) WEFT_MAP_SYNC_OF_(key, value, name, 0)
#define WEFT_MAP_SYNC_OF_(key, value, name, flags)                                                                     \
	WEFT_MAP_ENTRY_(key, value, name);                                                                             \
	WEFT_MAP_SYNC_TABLE_(name, WEFT_MAP_WORD_KEY_ | (flags));                                                      \
	WEFT_MAP_SCALARS_(key, name);                                                                                  \
	WEFT_MAP_SYNC_VERBS_(name, name##_key_, uint64_t, WEFT_MAP_SYNC_WORD_, WEFT_MAP_SYNC_FROM_WORD_)

#define WEFT_MAP_SYNC_BY(key, value, name, hash, equal)                                                                \
	WEFT_MAP_SYNC_BY_(key, value, name, hash, equal, WEFT_MAP_HOLDS_(name##_key_) | WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_SYNC_BY_LEAF(key, value, name, hash, equal) WEFT_MAP_SYNC_BY_(key, value, name, hash, equal, 0)
#define WEFT_MAP_SYNC_BY_(key, value, name, hash, equal, flags)                                                        \
	WEFT_MAP_ENTRY_(key, value, name);                                                                             \
	WEFT_MAP_SYNC_TABLE_(name, flags);                                                                             \
	WEFT_MAP_FUNCTIONS_(name, hash, equal);                                                                        \
	WEFT_MAP_SYNC_VERBS_(name, name##_key_, name##_key_, WEFT_MAP_SAME_, WEFT_MAP_SYNC_FROM_KEY_)

#define WEFT_MAP_SYNC_OF_STRING(value, name)	  WEFT_MAP_SYNC_OF_STRING_(value, name, WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_SYNC_OF_STRING_LEAF(value, name) WEFT_MAP_SYNC_OF_STRING_(value, name, 0)
#define WEFT_MAP_SYNC_OF_STRING_(value, name, flags)                                                                   \
	WEFT_MAP_ENTRY_(weft_map_own_, value, name);                                                                   \
	WEFT_MAP_SYNC_TABLE_(name, WEFT_MAP_OWNS_ | (flags));                                                          \
	WEFT_MAP_BYTES_FUNCTIONS_(name);                                                                               \
	WEFT_MAP_SYNC_VERBS_(name, const char *, weft_map_own_, weft_map_string_, WEFT_MAP_SYNC_FROM_STRING_)

#define WEFT_MAP_SYNC_OF_BYTES(value, name)	  WEFT_MAP_SYNC_OF_BYTES_(value, name, WEFT_MAP_HOLDS_(name##_value_))
#define WEFT_MAP_SYNC_OF_BYTES_LEAF(value, name) WEFT_MAP_SYNC_OF_BYTES_(value, name, 0)
#define WEFT_MAP_SYNC_OF_BYTES_(value, name, flags)                                                                    \
	WEFT_MAP_ENTRY_(weft_map_own_, value, name);                                                                   \
	WEFT_MAP_SYNC_TABLE_(name, WEFT_MAP_OWNS_ | (flags));                                                          \
	WEFT_MAP_BYTES_FUNCTIONS_(name);                                                                               \
	WEFT_MAP_SYNC_VERBS_(name, weft_bytes, weft_map_own_, weft_map_bytes_, WEFT_MAP_SYNC_FROM_BYTES_)

#endif
