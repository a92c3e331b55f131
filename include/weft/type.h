/* Type descriptors: what a C program says of its types, once, at file scope, so that the collector finds the pointers in them
 * and reflection the fields.
 *
 *     WEFT_TYPE(node, struct node, next, kids, pos.owner);    weft's name, the C type, and each member that holds collected
 *                                                             pointers: a pointer, an array of pointers, a nested member
 *     WEFT_TYPE_LEAF(blob, struct blob);                      it holds none
 *     WEFT_TYPE_CONSERVATIVE(variant, union variant);         every aligned word may be one
 *     weft_type_of(node)                                      its descriptor, a constant
 *
 * At most 32 members; a name is one word, and no macro. A member that is no pointer, or is not in the type, does not compile.
 * <weft/reflect.h> has the forms that name the fields as well, and slices, maps and pointers as types of their own. The numbers,
 * char * ("string"), weft_bytes ("bytes") and weft_any ("any") are described already.
 *
 * A descriptor is static: a type that a header declares has one in each file that includes it. They are the same type,
 * and weft_type_same says so, if they say the same: the names, size, alignment, pointers and fields, and the name of the file. */
#ifndef WEFT_TYPE_H
#define WEFT_TYPE_H

#include <weft/base.h>
#include <weft/each.h>

WEFT_BEGIN_DECLS

typedef enum weft_kind {
	WEFT_KIND_OPAQUE, /* nothing is known of its insides but the pointers */
	WEFT_KIND_BOOL,
	WEFT_KIND_INT, /* signed, of size bytes; enums and char as well */
	WEFT_KIND_UINT,
	WEFT_KIND_FLOAT,
	WEFT_KIND_STRING,  /* char *, ends with NUL; may be NULL */
	WEFT_KIND_TEXT,	   /* char [size], ends with NUL or fills it */
	WEFT_KIND_BYTES,   /* weft_bytes */
	WEFT_KIND_POINTER, /* to an elem, or NULL */
	WEFT_KIND_ARRAY,   /* size / elem->size elems */
	WEFT_KIND_SLICE,   /* WEFT_SLICE_OF */
	WEFT_KIND_MAP,	   /* WEFT_MAP_OF and its like */
	WEFT_KIND_STRUCT,
	WEFT_KIND_ANY, /* weft_any, or an interface */
} weft_kind;

typedef struct weft_type weft_type;

/* Collected pointers that lie side by side. */
typedef struct weft_pointers {
	size_t offset; /* bytes */
	size_t n;
	const char *name; /* the member's, as the declaration has it */
} weft_pointers;

struct weft_field;

typedef struct weft_fields {
	const struct weft_field *fields;
	size_t n;
} weft_fields;

/* What the library works out of a type once. Its own to write; that of one type in several files is worked out in each. */
struct weft_worked_out_ {
	void *json;
	bool checked;	   /* its fields lie apart */
	bool json_checked; /* so do its parts' types, and their tags are right */
	uint64_t place;	   /* where its objects are allocated: the heap's cell, and from bit 32 on a slot's size; 0: not known */
	const void *scan;  /* of a type larger than its map: what the collector reads */
	bool known;	   /* to heap dumps */
};

enum { WEFT_TYPE_CONSERVATIVE_ = 1 };

/* Read it; the macros write it. */
struct weft_type {
	uint32_t version_; /* the size of this struct when the program was compiled */
	uint32_t flags_;
	weft_kind kind;
	uint32_t align;
	size_t size;
	const char *name;   /* weft's; NULL for a pointer or an array in a field, whose elem has one */
	const char *c_name; /* as the program spells the type */
	const char *where;  /* FILE:LINE of the declaration */
	/* The pointer map: a bit for each of the first 64 words, and all of it. */
	uint64_t map;
	const weft_pointers *pointers;
	size_t npointers;
	const weft_type *elem; /* of pointers, arrays, slices; a map's values */
	const weft_type *key;  /* of maps */
	const struct weft_map_type *map_type_;
	weft_fields (*fields_)(void); /* of structs */
	struct weft_worked_out_ *lazy_;
};

/* The method table of a type that has no method, and the beginning of every other. */
struct weft_methods_ {
	const weft_type *type;
};

/* A value of any type, by address: Go's `any`, the interface without a method. Zeroed: nil. It owns nothing, and what it refers to
 * has to live as long. <weft/iface.h> has what can be done with one. */
typedef struct weft_any {
	const struct weft_methods_ *methods_;
	void *self;
} weft_any;

/* True: the same declaration, though perhaps not the same descriptor. */
WEFT_API bool weft_type_same(const weft_type *, const weft_type *);

#define weft_type_of(name) (&weft_type_##name##_)

/* Does it hold a value of the type? */
WEFT_API bool weft_any_is_(weft_any, const weft_type *);
/* If not, a panic that names both types. */
WEFT_API void weft_any_must_be_(weft_any, const weft_type *);

/* ---- declarations ---- */

/* A descriptor belongs to its file, and may be named before it is complete. */
#ifdef __cplusplus
#define WEFT_STATIC_ASSERT_(e, words) static_assert(e, words)
/* Of this file alone, whatever linkage or namespace is around it. */
#define WEFT_OWN_BEGIN_ \
	extern "C++" {  \
	namespace       \
	{
#define WEFT_OWN_END_ \
	}             \
	}
#define WEFT_OWN_	  const
#define WEFT_OWN_FORWARD_ extern const
#else
#define WEFT_STATIC_ASSERT_(e, words) _Static_assert(e, words)
#define WEFT_OWN_BEGIN_
#define WEFT_OWN_END_
#define WEFT_OWN_	  static const
#define WEFT_OWN_FORWARD_ static const
#endif

#define WEFT_TEXT_OF_(x)   #x
#define WEFT_TEXT_(x)	   WEFT_TEXT_OF_(x)
#define WEFT_TYPE_WHERE_   __FILE__ ":" WEFT_TEXT_(__LINE__)
#define WEFT_TYPE_WORD_	   sizeof(void *)
#define WEFT_MEMBER_(c, m) (((c *)0)->m)

/* Is it an array? Of its elements, or of itself, and once more: arrays may have two dimensions. */
#ifdef __cplusplus
WEFT_END_DECLS
#include <type_traits>
template <typename t> constexpr bool weft_is_pointer_()
{
	return std::is_pointer<typename std::remove_all_extents<typename std::remove_reference<t>::type>::type>::value;
}
WEFT_BEGIN_DECLS
#define WEFT_POINTS_(c, m) weft_is_pointer_<decltype(WEFT_MEMBER_(c, m))>()
#else
#define WEFT_RVALUE_(x) __typeof__(((void)0, (x)))
#define WEFT_IS_ARRAY_(x)                                                                                  \
	_Generic(&(x), WEFT_RVALUE_(x) * : 0, const WEFT_RVALUE_(x) * : 0, volatile WEFT_RVALUE_(x) * : 0, \
		 const volatile WEFT_RVALUE_(x) * : 0, _Atomic(WEFT_RVALUE_(x)) * : 0, default : 1)
#define WEFT_ELEMENT_(x) \
	__builtin_choose_expr(WEFT_IS_ARRAY_(x), __builtin_choose_expr(WEFT_IS_ARRAY_(x), (x), (void **)0)[0], (x))
#define WEFT_IS_POINTER_(x) (__builtin_classify_type(x) == 5 && !WEFT_IS_ARRAY_(x))
#define WEFT_POINTS_(c, m)  WEFT_IS_POINTER_(WEFT_ELEMENT_(WEFT_ELEMENT_(WEFT_MEMBER_(c, m))))
#endif

#define WEFT_POINTERS_(c, m) {offsetof(c, m), sizeof(WEFT_MEMBER_(c, m)) / WEFT_TYPE_WORD_, #m},
#define WEFT_POINTERS_CHECK_(c, m)                                    \
	WEFT_STATIC_ASSERT_(WEFT_POINTS_(c, m), #m " is no pointer"); \
	WEFT_STATIC_ASSERT_(offsetof(c, m) % WEFT_TYPE_WORD_ == 0, #m " is not aligned as pointers are");

/* Bits [from, from + n) of 64. */
#define WEFT_BITS_(from, n)	 ((from) > 63 ? 0 : ((n) > 63 ? ~(uint64_t)0 : ((uint64_t)1 << ((n)&63)) - 1) << ((from)&63))
#define WEFT_POINTERS_MAP_(c, m) | WEFT_BITS_(offsetof(c, m) / WEFT_TYPE_WORD_, sizeof(WEFT_MEMBER_(c, m)) / WEFT_TYPE_WORD_)

/* From a value of the type to a weft_any, and back. */
#define WEFT_TYPE_CASTS_(name)                                                          \
	typedef weft_c_##name##_ *weft_as_##name##_;                                    \
	WEFT_TYPED weft_any weft_any_of_##name##_(weft_c_##name##_ const *self_)        \
	{                                                                               \
		weft_any any_ = {&weft_methods_of_##name##_, (void *)(uintptr_t)self_}; \
		return any_;                                                            \
	}                                                                               \
	WEFT_TYPED weft_c_##name##_ *weft_to_##name##_(weft_any any_)                   \
	{                                                                               \
		weft_any_must_be_(any_, &weft_type_##name##_);                          \
		return (weft_c_##name##_ *)any_.self;                                   \
	}                                                                               \
	WEFT_TYPED bool weft_try_##name##_(weft_any any_, weft_c_##name##_ **self_)     \
	{                                                                               \
		bool is_ = weft_any_is_(any_, &weft_type_##name##_);                    \
		*self_ = is_ ? (weft_c_##name##_ *)any_.self : NULL;                    \
		return is_;                                                             \
	}                                                                               \
	typedef weft_c_##name##_ weft_cast_##name##_

/* The names that other macros find a type by, before its descriptor is complete: it may refer to itself. */
#define WEFT_TYPE_NAMES_(name, type)                                                              \
	typedef type weft_c_##name##_;                                                            \
	WEFT_OWN_BEGIN_                                                                           \
	WEFT_OWN_FORWARD_ weft_type weft_type_##name##_ __attribute__((unused));                  \
	WEFT_OWN_FORWARD_ struct weft_methods_ weft_methods_of_##name##_ __attribute__((unused)); \
	WEFT_OWN_END_                                                                             \
	WEFT_TYPE_CASTS_(name)

#define WEFT_TYPE_DEFINE_(name, c_name, flags, kind, map, pointers, npointers, elem, key, map_type, fields)       \
	static struct weft_worked_out_ weft_lazy_##name##_;                                                        \
	WEFT_OWN_BEGIN_                                                                                           \
	WEFT_OWN_ weft_type weft_type_##name##_ = {(uint32_t)sizeof(weft_type),                                   \
						   (flags),                                                       \
						   (kind),                                                        \
						   (uint32_t) __alignof__(weft_c_##name##_),                      \
						   sizeof(weft_c_##name##_),                                      \
						   #name,                                                         \
						   c_name,                                                        \
						   WEFT_TYPE_WHERE_,                                              \
						   (map),                                                         \
						   (pointers),                                                    \
						   (npointers),                                                   \
						   (elem),                                                        \
						   (key),                                                         \
						   (map_type),                                                    \
						   (fields),                                                      \
						   &weft_lazy_##name##_};                                                       \
	WEFT_OWN_ struct weft_methods_ weft_methods_of_##name##_ = {&weft_type_##name##_};                        \
	WEFT_OWN_END_                                                                                             \
	typedef weft_c_##name##_ weft_declared_##name##_

/* The table of the pointers, and what is wrong with them. */
#define WEFT_TYPE_POINTERS_(name, ...)                                  \
	WEFT_EACH_(WEFT_POINTERS_CHECK_, weft_c_##name##_, __VA_ARGS__) \
	static const weft_pointers weft_pointers_##name##_[] = {WEFT_EACH_(WEFT_POINTERS_, weft_c_##name##_, __VA_ARGS__)}

#define WEFT_TYPE_TRACED_(name, c_name, kind, fields, ...)                                                                 \
	WEFT_TYPE_POINTERS_(name, __VA_ARGS__);                                                                                  \
	WEFT_TYPE_DEFINE_(name, c_name, 0, kind, 0 WEFT_EACH_(WEFT_POINTERS_MAP_, weft_c_##name##_, __VA_ARGS__),                \
			  weft_pointers_##name##_, sizeof weft_pointers_##name##_ / sizeof *weft_pointers_##name##_, NULL, NULL, \
			  NULL, fields)

#define WEFT_TYPE(name, type, ...)    \
	WEFT_TYPE_NAMES_(name, type); \
	WEFT_TYPE_TRACED_(name, #type, WEFT_KIND_OPAQUE, NULL, __VA_ARGS__)
#define WEFT_TYPE_LEAF(name, type)    \
	WEFT_TYPE_NAMES_(name, type); \
	WEFT_TYPE_DEFINE_(name, #type, 0, WEFT_KIND_OPAQUE, 0, NULL, 0, NULL, NULL, NULL, NULL)
#define WEFT_TYPE_CONSERVATIVE(name, type)                                                                              \
	WEFT_TYPE_NAMES_(name, type);                                                                                   \
	WEFT_TYPE_DEFINE_(name, #type, WEFT_TYPE_CONSERVATIVE_, WEFT_KIND_OPAQUE, 0, NULL, 0, NULL, NULL, NULL, NULL)

/* ---- what is described already ---- */

/* The same by other names. In C `bool` may reach a macro as `_Bool`. */
#define weft_type__Bool_	  weft_type_bool_
#define weft_c__Bool_		  weft_c_bool_
#define weft_methods_of__Bool_	  weft_methods_of_bool_
#define weft_any_of__Bool_	  weft_any_of_bool_
#define weft_as__Bool_		  weft_as_bool_
#define weft_to__Bool_		  weft_to_bool_
#define weft_try__Bool_		  weft_try_bool_
#define weft_type_short_	  weft_type_int16_t_
#define weft_c_short_		  weft_c_int16_t_
#define weft_methods_of_short_	  weft_methods_of_int16_t_
#define weft_any_of_short_	  weft_any_of_int16_t_
#define weft_as_short_		  weft_as_int16_t_
#define weft_to_short_		  weft_to_int16_t_
#define weft_try_short_		  weft_try_int16_t_
#define weft_type_int_		  weft_type_int32_t_
#define weft_c_int_		  weft_c_int32_t_
#define weft_methods_of_int_	  weft_methods_of_int32_t_
#define weft_any_of_int_	  weft_any_of_int32_t_
#define weft_as_int_		  weft_as_int32_t_
#define weft_to_int_		  weft_to_int32_t_
#define weft_try_int_		  weft_try_int32_t_
#define weft_type_unsigned_	  weft_type_uint32_t_
#define weft_c_unsigned_	  weft_c_uint32_t_
#define weft_methods_of_unsigned_ weft_methods_of_uint32_t_
#define weft_any_of_unsigned_	  weft_any_of_uint32_t_
#define weft_as_unsigned_	  weft_as_uint32_t_
#define weft_to_unsigned_	  weft_to_uint32_t_
#define weft_try_unsigned_	  weft_try_uint32_t_
#define weft_type_long_		  weft_type_int64_t_
#define weft_c_long_		  weft_c_int64_t_
#define weft_methods_of_long_	  weft_methods_of_int64_t_
#define weft_any_of_long_	  weft_any_of_int64_t_
#define weft_as_long_		  weft_as_int64_t_
#define weft_to_long_		  weft_to_int64_t_
#define weft_try_long_		  weft_try_int64_t_
#define weft_type_size_t_	  weft_type_uint64_t_
#define weft_c_size_t_		  weft_c_uint64_t_
#define weft_methods_of_size_t_	  weft_methods_of_uint64_t_
#define weft_any_of_size_t_	  weft_any_of_uint64_t_
#define weft_as_size_t_		  weft_as_uint64_t_
#define weft_to_size_t_		  weft_to_uint64_t_
#define weft_try_size_t_	  weft_try_uint64_t_

#define WEFT_TYPE_BUILT_IN_(name, type)                                       \
	typedef type weft_c_##name##_;                                        \
	WEFT_API extern const weft_type weft_type_##name##_;                  \
	WEFT_API extern const struct weft_methods_ weft_methods_of_##name##_; \
	WEFT_TYPE_CASTS_(name)

WEFT_TYPE_BUILT_IN_(bool, bool);
WEFT_TYPE_BUILT_IN_(int8_t, int8_t);
WEFT_TYPE_BUILT_IN_(int16_t, int16_t);
WEFT_TYPE_BUILT_IN_(int32_t, int32_t);
WEFT_TYPE_BUILT_IN_(int64_t, int64_t);
WEFT_TYPE_BUILT_IN_(uint8_t, uint8_t);
WEFT_TYPE_BUILT_IN_(uint16_t, uint16_t);
WEFT_TYPE_BUILT_IN_(uint32_t, uint32_t);
WEFT_TYPE_BUILT_IN_(uint64_t, uint64_t);
WEFT_TYPE_BUILT_IN_(float, float);
WEFT_TYPE_BUILT_IN_(double, double);
WEFT_TYPE_BUILT_IN_(string, char *);
WEFT_TYPE_BUILT_IN_(bytes, weft_bytes);
WEFT_TYPE_BUILT_IN_(any, weft_any);

WEFT_END_DECLS

#endif
