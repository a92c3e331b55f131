/* Reflection: values whose type is data, by the descriptors of <weft/type.h>. docs/reflection.md shows it in use.
 *
 *     struct user {
 *             int64_t id;
 *             char *name;
 *             char country[3];
 *             struct address home;
 *             ints scores;                        WEFT_SLICE_OF(int, ints);
 *             struct user *boss;
 *     };
 *     WEFT_STRUCT(user, struct user, WEFT_FIELD(id), WEFT_FIELD(name), WEFT_FIELD(country), WEFT_FIELD_OF(address, home),
 *                 WEFT_FIELD_OF(ints, scores), WEFT_FIELD_OF(user, boss));
 *
 * WEFT_STRUCT(name, type, fields...); names fields of a struct, in the order in which they are to be printed; those left
 * out are not seen by anything here. A field is
 *
 *     WEFT_FIELD(member)              a number, bool, enum, char *, char [n], weft_bytes, weft_any; an array of these, or
 *                                     a pointer to one
 *     WEFT_FIELD_OF(name, member)     a described type, or an array of it, or a pointer to one; others do not compile
 *
 * Fields lie apart: of a union at most one member is a field, and none twice; otherwise the first use panics. Arrays of arrays, and
 * members of packed structs, do not compile.
 *
 * A field takes a tag as its last argument: "json:full_name,omitempty max:20", words of KEY:TEXT with spaces between.
 * WEFT_STRUCT_TRACED(name, type, (pointers...), fields...) is WEFT_STRUCT for a collected type: the members in
 * parentheses are those of WEFT_TYPE. Types of their own, as an element, a field or a value may have:
 *
 *     WEFT_TYPE_SLICE(name, elem)     of WEFT_SLICE_OF(..., name)
 *     WEFT_TYPE_MAP(name, key, elem)  of WEFT_MAP_OF(..., name) and its like; keys of strings and bytes: `string`, `bytes`
 *     WEFT_TYPE_POINTER(name, elem)   name is free: the type is a pointer to elem's
 *
 * A value owns what its strings, bytes, pointers, slices and maps lead to, as manual memory (weft_malloc), where
 * weft_value_fini and the decoders say so; what reads only does not care. A weft_any owns nothing. In C++ a described struct is one
 * that C could have: trivially copyable, of standard layout. */
#ifndef WEFT_REFLECT_H
#define WEFT_REFLECT_H

#include <stdio.h>

#include <weft/map.h>
#include <weft/slice.h>
#include <weft/type.h>

WEFT_BEGIN_DECLS

typedef enum weft_form_ { WEFT_VALUE_, WEFT_POINTER_, WEFT_ARRAY_ } weft_form_;

typedef struct weft_field {
	const char *name;
	const char *tag; /* "" if it has none */
	size_t offset;	 /* bytes */
	weft_form_ form_;
	weft_type own_; /* of a pointer, an array, a text; else its elem is the field's type */
} weft_field;

/* The field's type. */
static inline const weft_type *weft_field_type(const weft_field *f)
{
	return f->form_ == WEFT_VALUE_ ? f->own_.elem : &f->own_;
}

/* Of a struct, its fields; of any other type, none. */
static inline weft_fields weft_type_fields(const weft_type *t)
{
	weft_fields none = {NULL, 0};
	return t->fields_ ? t->fields_() : none;
}

/* The field of this name, or NULL. */
WEFT_API const weft_field *weft_type_field(const weft_type *, const char *name);

/* The text of this key in the field's tag, not ended by NUL; false: it has none. */
WEFT_API bool weft_field_tag(const weft_field *, const char *key, weft_bytes *text);

/* How many elements an array has, 0 if the type is none. */
static inline size_t weft_type_len(const weft_type *t)
{
	return t->kind == WEFT_KIND_ARRAY && t->elem->size ? t->size / t->elem->size : 0;
}

/* A value as a person writes it: user{id: 7, name: "ann", scores: [1, 2], boss: 0x7f...}. A pointer that is not the whole
 * value is printed as an address, what a weft_any holds is printed whole; deeper than 64 it is "...". weft_format_value is to
 * weft_print_value as snprintf(3) is to fprintf(3): n bytes with the NUL at most, NULL for 0. Both return how many bytes
 * it is, without the NUL; weft_print_value -errno if the stream failed. Map entries come in random order. Allocates; running out of
 * memory is fatal. */
WEFT_API int weft_print_value(FILE *, const weft_type *, const void *value);
WEFT_API int weft_format_value(char *buf, size_t n, const weft_type *, const void *value);

/* Go's reflect.DeepEqual: pointers by what they point to, slices and maps by their elements, weft_any by type and value;
 * NULL differs from an empty string, and NaN from itself, but equal pointers, slices of the same memory and the same map are equal.
 * Values may be cyclic. Opaque types are compared as bytes, padding too. Allocates; running out of memory is fatal. */
WEFT_API bool weft_deep_equal(const weft_type *, const void *, const void *);

/* Frees what the value owns, however deep, a map's keys too, and zeroes it. Each part is owned once: no cycles, nothing shared, nothing that
 * weft_malloc has not given. It does not fail: where a deep value's path finds no memory, what lies below is not freed. */
WEFT_API void weft_value_fini(const weft_type *, void *value);

/* ---- declarations ---- */

#define WEFT_STRUCT(name, type, ...)                                                                             \
	WEFT_TYPE_NAMES_(name, type);                                                                            \
	WEFT_STRUCT_FIELDS_(name, __VA_ARGS__);                                                                  \
	WEFT_TYPE_DEFINE_(name, #type, 0, WEFT_KIND_STRUCT, 0, NULL, 0, NULL, NULL, NULL, weft_fields_##name##_)
#define WEFT_STRUCT_TRACED(name, type, pointers, ...) \
	WEFT_TYPE_NAMES_(name, type);                 \
	WEFT_STRUCT_FIELDS_(name, __VA_ARGS__);       \
	WEFT_TYPE_TRACED_(name, #type, WEFT_KIND_STRUCT, weft_fields_##name##_, WEFT_BARE_ pointers)
#define WEFT_BARE_(...) __VA_ARGS__

#ifdef __cplusplus
#define WEFT_AS_C_HAS_IT_(c)                                                                     \
	static_assert(std::is_trivially_copyable<c>::value && std::is_standard_layout<c>::value, \
		      "fields are described of what C could have: trivially copyable, of standard layout")
#else
#define WEFT_AS_C_HAS_IT_(c) _Static_assert(sizeof(c) > 0, "a struct has a size")
#endif

/* In a function, whose scope can have a name for the struct. */
#define WEFT_STRUCT_FIELDS_(name, ...)                                          \
	WEFT_AS_C_HAS_IT_(weft_c_##name##_);                                    \
	static weft_fields weft_fields_##name##_(void)                          \
	{                                                                       \
		typedef weft_c_##name##_ weft_self_;                            \
		static const weft_field fields_[] = {__VA_ARGS__};              \
		weft_fields all_ = {fields_, sizeof fields_ / sizeof *fields_}; \
		return all_;                                                    \
	}                                                                       \
	typedef weft_c_##name##_ weft_fielded_##name##_

#define WEFT_FIELD(...)				  WEFT_FIELD_PICK_(__VA_ARGS__, WEFT_FIELD_TAGGED_, WEFT_FIELD_BARE_, )(__VA_ARGS__)
#define WEFT_FIELD_OF(...)			  WEFT_FIELD_OF_PICK_(__VA_ARGS__, WEFT_FIELD_OF_TAGGED_, WEFT_FIELD_OF_BARE_, )(__VA_ARGS__)
#define WEFT_FIELD_PICK_(m, tag, f, ...)	  f
#define WEFT_FIELD_OF_PICK_(name, m, tag, f, ...) f
#define WEFT_FIELD_BARE_(m)			  WEFT_FIELD_TAGGED_(m, "")
#define WEFT_FIELD_OF_BARE_(name, m)		  WEFT_FIELD_OF_TAGGED_(name, m, "")

#define WEFT_SELF_(m)	    WEFT_MEMBER_(weft_self_, m)
#define WEFT_IS_ALIGNED_(x) (__alignof__(x) >= __alignof__(__typeof__(x))) /* a packed struct's member is not */
#define WEFT_FIELD_TAGGED_(m, tag)                                                                      \
	WEFT_FIELD_DEFINE_(m, tag, WEFT_DESCRIBED_(WEFT_SELF_(m)), WEFT_DESCRIBED_FORM_(WEFT_SELF_(m)), \
			   WEFT_DESCRIBED_KIND_(WEFT_SELF_(m)))
#define WEFT_FIELD_OF_TAGGED_(name, m, tag)                                                              \
	WEFT_FIELD_DEFINE_(m, tag, &weft_type_##name##_, WEFT_FORM_OF_(weft_c_##name##_, WEFT_SELF_(m)), \
			   WEFT_FORM_KIND_(WEFT_FORM_OF_(weft_c_##name##_, WEFT_SELF_(m))))
#define WEFT_FIELD_DEFINE_(m, tag, of, form, kind)                                                                          \
	{                                                                                                                   \
#m, tag, offsetof(weft_self_, m) + 0 * sizeof(char[WEFT_IS_ALIGNED_(WEFT_SELF_(m)) ? 1 : -1]), form,        \
		{                                                                                                           \
			(uint32_t)sizeof(weft_type), 0, kind, (uint32_t) __alignof__(WEFT_SELF_(m)), sizeof(WEFT_SELF_(m)), \
			    NULL, NULL, WEFT_TYPE_WHERE_, 0, NULL, 0, of, NULL, NULL, NULL, NULL                            \
		}                                                                                                           \
	}
#define WEFT_FORM_KIND_(form) \
	((form) == WEFT_ARRAY_ ? WEFT_KIND_ARRAY : (form) == WEFT_POINTER_ ? WEFT_KIND_POINTER : WEFT_KIND_OPAQUE)

#ifdef __cplusplus
WEFT_END_DECLS
/* What WEFT_FIELD knows of a member's type. Others have no `of`, and that is the error. */
template <typename t, typename = void> struct weft_described_;
#define WEFT_DESCRIBED_AS_(ctype, name)                                      \
	template <> struct weft_described_<ctype, void> {                    \
		static constexpr const weft_type *of = &weft_type_##name##_; \
		static constexpr weft_form_ form = WEFT_VALUE_;              \
		static constexpr weft_kind kind = WEFT_KIND_OPAQUE;          \
	}
WEFT_DESCRIBED_AS_(bool, bool);
WEFT_DESCRIBED_AS_(signed char, int8_t);
WEFT_DESCRIBED_AS_(short, int16_t);
WEFT_DESCRIBED_AS_(int, int32_t);
WEFT_DESCRIBED_AS_(long, int64_t);
WEFT_DESCRIBED_AS_(long long, int64_t);
WEFT_DESCRIBED_AS_(unsigned char, uint8_t);
WEFT_DESCRIBED_AS_(unsigned short, uint16_t);
WEFT_DESCRIBED_AS_(unsigned, uint32_t);
WEFT_DESCRIBED_AS_(unsigned long, uint64_t);
WEFT_DESCRIBED_AS_(unsigned long long, uint64_t);
WEFT_DESCRIBED_AS_(float, float);
WEFT_DESCRIBED_AS_(double, double);
WEFT_DESCRIBED_AS_(char *, string);
WEFT_DESCRIBED_AS_(const char *, string);
WEFT_DESCRIBED_AS_(weft_bytes, bytes);
WEFT_DESCRIBED_AS_(weft_any, any);
template <> struct weft_described_<char, void> {
	static constexpr const weft_type *of = (char)-1 < 0 ? &weft_type_int8_t_ : &weft_type_uint8_t_;
	static constexpr weft_form_ form = WEFT_VALUE_;
	static constexpr weft_kind kind = WEFT_KIND_OPAQUE;
};
template <typename t>
struct weft_described_<t, typename std::enable_if<std::is_enum<t>::value>::type>
    : weft_described_<typename std::underlying_type<t>::type> {
};
template <typename t, size_t n> struct weft_described_<t[n], void> {
	static constexpr const weft_type *of = weft_described_<typename std::remove_cv<t>::type>::of;
	static constexpr weft_form_ form = WEFT_ARRAY_;
	static constexpr weft_kind kind = WEFT_KIND_ARRAY;
	static_assert(weft_described_<typename std::remove_cv<t>::type>::form == WEFT_VALUE_, "an array of a described type");
};
template <size_t n> struct weft_described_<char[n], void> {
	static constexpr const weft_type *of = &weft_type_string_;
	static constexpr weft_form_ form = WEFT_ARRAY_;
	static constexpr weft_kind kind = WEFT_KIND_TEXT;
};
template <typename t> struct weft_described_<t *, void> {
	static constexpr const weft_type *of = weft_described_<typename std::remove_cv<t>::type>::of;
	static constexpr weft_form_ form = WEFT_POINTER_;
	static constexpr weft_kind kind = WEFT_KIND_POINTER;
	static_assert(weft_described_<typename std::remove_cv<t>::type>::form == WEFT_VALUE_, "a pointer to a described type");
};
/* The form in which a member of type t has a described type c. */
template <typename c, typename t> struct weft_form_of_;
template <typename c> struct weft_form_of_<c, c> {
	static constexpr weft_form_ form = WEFT_VALUE_;
};
template <typename c> struct weft_form_of_<c, c *> {
	static constexpr weft_form_ form = WEFT_POINTER_;
};
template <typename c> struct weft_form_of_<c, const c *> {
	static constexpr weft_form_ form = WEFT_POINTER_;
};
template <typename c, size_t n> struct weft_form_of_<c, c[n]> {
	static constexpr weft_form_ form = WEFT_ARRAY_;
};
template <typename t> using weft_plain_ = typename std::remove_cv<typename std::remove_reference<t>::type>::type;
/* As far as a descriptor tells them apart: integers of one size and sign are the same, and pointers whether to const or not. */
template <typename t, bool = std::is_enum<t>::value> struct weft_number_ {
	using type = t;
};
template <typename t> struct weft_number_<t, true> {
	using type = typename std::underlying_type<t>::type;
};
template <typename a, typename b> constexpr bool weft_same_()
{
	using x = typename weft_number_<typename std::remove_cv<a>::type>::type;
	using y = typename weft_number_<typename std::remove_cv<b>::type>::type;
	if (std::is_integral<x>::value && std::is_integral<y>::value)
		return sizeof(x) == sizeof(y) && std::is_signed<x>::value == std::is_signed<y>::value;
	if (std::is_pointer<x>::value && std::is_pointer<y>::value)
		return std::is_same<typename std::remove_cv<typename std::remove_pointer<x>::type>::type,
				    typename std::remove_cv<typename std::remove_pointer<y>::type>::type>::value;
	return std::is_same<x, y>::value;
}
#define WEFT_SAME_(a, b)	weft_same_<a, b>()
#define WEFT_ELEMENTS_(name)	typename std::remove_reference<decltype(*((name *)0)->data)>::type
#define WEFT_DESCRIBED_OF_(x)	weft_described_<weft_plain_<decltype(x)>>
#define WEFT_DESCRIBED_(x)	WEFT_DESCRIBED_OF_(x)::of
#define WEFT_DESCRIBED_FORM_(x) WEFT_DESCRIBED_OF_(x)::form
#define WEFT_DESCRIBED_KIND_(x) WEFT_DESCRIBED_OF_(x)::kind
#define WEFT_FORM_OF_(c, x)	weft_form_of_<c, weft_plain_<decltype(x)>>::form
WEFT_BEGIN_DECLS
#else
/* What WEFT_FIELD knows of a member's type, an array's being that of a pointer to its elements. Others match nothing, and
 * that is the error. */
#define WEFT_DESCRIBED_AS_(ctype, name) \
	ctype:                          \
	&weft_type_##name##_, ctype * : &weft_type_##name##_, const ctype * : &weft_type_##name##_
#define WEFT_DESCRIBED_(x) \
	_Generic((x), WEFT_DESCRIBED_AS_(bool, bool), WEFT_DESCRIBED_AS_(signed char, int8_t),                         \
		WEFT_DESCRIBED_AS_(short, int16_t), WEFT_DESCRIBED_AS_(int, int32_t),                                  \
		WEFT_DESCRIBED_AS_(long, int64_t), WEFT_DESCRIBED_AS_(long long, int64_t),                             \
		WEFT_DESCRIBED_AS_(unsigned char, uint8_t), WEFT_DESCRIBED_AS_(unsigned short, uint16_t),              \
		WEFT_DESCRIBED_AS_(unsigned, uint32_t), WEFT_DESCRIBED_AS_(unsigned long, uint64_t),                   \
		WEFT_DESCRIBED_AS_(unsigned long long, uint64_t), WEFT_DESCRIBED_AS_(float, float),                    \
		WEFT_DESCRIBED_AS_(double, double), WEFT_DESCRIBED_AS_(weft_bytes, bytes),                             \
		WEFT_DESCRIBED_AS_(weft_any, any),                                                                     \
		char : ((char)-1 < 0 ? &weft_type_int8_t_ : &weft_type_uint8_t_), WEFT_DESCRIBED_AS_(char *, string),  \
		const char * : &weft_type_string_, const char *const * : &weft_type_string_)
#define WEFT_IS_TEXT_(x)   _Generic((x), char * : WEFT_IS_ARRAY_(x), const char * : WEFT_IS_ARRAY_(x), default : 0)
#define WEFT_IS_STRING_(x) _Generic((x), char * : !WEFT_IS_ARRAY_(x), const char * : !WEFT_IS_ARRAY_(x), default : 0)
#define WEFT_DESCRIBED_FORM_(x) \
	(WEFT_IS_ARRAY_(x) ? WEFT_ARRAY_ : __builtin_classify_type((x)) == 5 && !WEFT_IS_STRING_(x) ? WEFT_POINTER_ : WEFT_VALUE_)
#define WEFT_DESCRIBED_KIND_(x) (WEFT_IS_TEXT_(x) ? WEFT_KIND_TEXT : WEFT_FORM_KIND_(WEFT_DESCRIBED_FORM_(x)))
/* As far as a descriptor tells them apart: integers of one size and sign are the same, and pointers whether to const or not. */
#define WEFT_CLASS_(t)		__builtin_classify_type(*(t *)0)
#define WEFT_IS_INTEGER_(t)	(WEFT_CLASS_(t) >= 1 && WEFT_CLASS_(t) <= 4)
#define WEFT_NUMBER_(t)		__typeof__(__builtin_choose_expr(WEFT_IS_INTEGER_(t), *(t *)0, 0))
#define WEFT_IS_SIGNED_(t)	((WEFT_NUMBER_(t)) - 1 < (WEFT_NUMBER_(t))1)
#define WEFT_POINTEE_(t)	__typeof__(*__builtin_choose_expr(WEFT_CLASS_(t) == 5, *(t *)0, (char *)0))
#define WEFT_SAME_(a, b)                                                                                                       \
	(__builtin_types_compatible_p(a, b) ||                                                                                 \
	 (WEFT_IS_INTEGER_(a) && WEFT_IS_INTEGER_(b) && sizeof(a) == sizeof(b) && WEFT_IS_SIGNED_(a) == WEFT_IS_SIGNED_(b)) || \
	 (WEFT_CLASS_(a) == 5 && WEFT_CLASS_(b) == 5 && __builtin_types_compatible_p(WEFT_POINTEE_(a), WEFT_POINTEE_(b))))
#define WEFT_ELEMENTS_(name) __typeof__(*((name *)0)->data)
#define WEFT_FORM_OF_(c, x) \
	_Generic((x), c : WEFT_VALUE_, c * : WEFT_IS_ARRAY_(x) ? WEFT_ARRAY_ : WEFT_POINTER_,                          \
		const c * : WEFT_IS_ARRAY_(x) ? WEFT_ARRAY_ : WEFT_POINTER_)
#endif

#define WEFT_TYPE_SLICE(name, elem)                                                                                     \
	WEFT_TYPE_NAMES_(name, name);                                                                                   \
	WEFT_STATIC_ASSERT_(WEFT_SAME_(WEFT_ELEMENTS_(name), weft_c_##elem##_), #name " has elements of another type"); \
	WEFT_TYPE_DEFINE_(name, #name, 0, WEFT_KIND_SLICE, 0, NULL, 0, &weft_type_##elem##_, NULL, NULL, NULL)
#define WEFT_TYPE_MAP(name, key, elem)                                                                                         \
	WEFT_TYPE_NAMES_(name, name);                                                                                          \
	WEFT_STATIC_ASSERT_(WEFT_SAME_(name##_given_, weft_c_##key##_), #name " has keys of another type");                    \
	WEFT_STATIC_ASSERT_(WEFT_SAME_(name##_value_, weft_c_##elem##_), #name " has values of another type");                 \
	WEFT_TYPE_DEFINE_(name, #name, 0, WEFT_KIND_MAP, 0, NULL, 0, &weft_type_##elem##_, &weft_type_##key##_, &name##_type_, \
			  NULL)
#define WEFT_TYPE_POINTER(name, elem)               \
	WEFT_TYPE_NAMES_(name, weft_c_##elem##_ *); \
	WEFT_TYPE_DEFINE_(name, #name, 0, WEFT_KIND_POINTER, 0, NULL, 0, &weft_type_##elem##_, NULL, NULL, NULL)

WEFT_END_DECLS

#endif
