/* Interfaces: values of types that have certain methods, whatever type it is. Go's, in C; docs/reflection.md shows them in use.
 *
 *     #define shape_methods(METHOD, of) \
 *             METHOD(of, double, area) \
 *             METHOD(of, void, scale, double)
 *     WEFT_INTERFACE(shape);
 *
 * at file scope declares the type `shape`, a value of two words that is passed by value, and how its methods are called:
 * double shape_area(shape), void shape_scale(shape, double). A method has the interface, what it returns, its name and the types of at
 * most six arguments; types that are not one declarator long want a typedef. An interface that includes another's methods
 * names its list: #define rw_methods(METHOD, of) reader_methods(METHOD, of) writer_methods(METHOD, of).
 *
 *     WEFT_IMPLEMENTS(circle, shape);
 *
 * says that a type, known to weft as `circle` (WEFT_STRUCT, WEFT_TYPE and their like), has these methods: the functions
 * circle_area and circle_scale, whose first argument is a pointer to it. One that lacks, or takes other arguments, does not
 * compile. It declares shape circle_as_shape(struct circle *), which costs nothing: the method table is a constant.
 *
 * A value refers to the object and does not own it. Zeroed it is nil; a method of nil panics, "method area of a nil shape".
 *
 * With v a value of any interface, weft_any among them:
 *
 *     weft_any_of(circle, &c)              a weft_any that holds it
 *     weft_any_from(v)                     the same value as a weft_any
 *     weft_assert_to(circle, v)            Go's v.(T): the struct circle *, or with an interface's name that interface's value; otherwise
 *                                          a panic: "interface conversion: value is square, not circle"
 *     weft_try_assert_to(circle, v, &c)    Go's x, ok := v.(T): false if it is not, and c is zeroed
 *
 *     WEFT_TYPE_SWITCH(v) {                the first case that fits, and only that; break leaves it, and
 *                                          so does continue
 *     WEFT_TYPE_CASE(circle, c)            c is a struct circle *
 *             use(c);
 *     WEFT_TYPE_CASE(shape, s)
 *             use_any(s);
 *     WEFT_TYPE_NIL
 *             ...
 *     WEFT_TYPE_DEFAULT
 *             ...
 *     }
 *
 * An assertion to an interface looks for the method table by the value's type: it is worked out once and then found in a
 * cache, without a lock. A shared library must stay loaded once it has a WEFT_IMPLEMENTS, or once a type or an interface of its own
 * was asserted; of a static one, the linker takes an object for what it defines, and a WEFT_IMPLEMENTS defines nothing.
 *
 * Nothing here blocks; only the first assertion of its kind allocates, and running out of memory is fatal. */
#ifndef WEFT_IFACE_H
#define WEFT_IFACE_H

#include <string.h>

#include <weft/type.h>

WEFT_BEGIN_DECLS

/* What is known of an interface: its name, and all it declares. */
struct weft_interface_ {
	const char *name;
	const char *methods;
	const char *where;
};

/* That a type implements an interface, and how. The library links them. */
struct weft_implementation_ {
	struct weft_implementation_ *next;
	const struct weft_interface_ *interface;
	const struct weft_methods_ *table;
};

/* Which table a type has for an interface: once known, it is kept for ever. */
struct weft_answer_ {
	const weft_type *type;
	const struct weft_methods_ *table; /* NULL: the type does not implement it */
};

/* Answers that one file has asked for of late: each in one of the two places that its type has. Anybody reads and writes them. */
enum { WEFT_ASKED_ = 8 };
struct weft_asked_ {
	const struct weft_answer_ *answers[WEFT_ASKED_];
};

WEFT_API WEFT_NORETURN void weft_interface_nil_(const struct weft_interface_ *, const char *method);
WEFT_API void weft_interface_implemented_(struct weft_implementation_ *);
/* The table of the type, or NULL, and the answer that will say so from now on. */
WEFT_API const struct weft_methods_ *weft_interface_ask_(const struct weft_interface_ *, const weft_type *,
							 const struct weft_answer_ **);
/* A panic that names both. */
WEFT_API WEFT_NORETURN void weft_interface_not_(const struct weft_interface_ *, weft_any);

static inline const struct weft_answer_ *weft_answers_find_(const struct weft_answer_ **slot, const weft_type *t)
{
	const struct weft_answer_ *a = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	return __builtin_expect(a && a->type == t, 1) ? a : NULL;
}

/* The table of the value's type, or NULL. */
static inline const struct weft_methods_ *weft_interface_table_(const struct weft_interface_ *i, struct weft_asked_ *asked,
								weft_any v)
{
	if (__builtin_expect(!v.methods_, 0))
		return NULL;
	const weft_type *t = v.methods_->type;
	size_t at = ((uintptr_t)t >> 4 ^ (uintptr_t)t >> 7) % WEFT_ASKED_;
	const struct weft_answer_ **first = &asked->answers[at], **second = &asked->answers[at ^ 1];
	const struct weft_answer_ *a = weft_answers_find_(first, t);
	if (!a)
		a = weft_answers_find_(second, t);
	if (__builtin_expect(a != NULL, 1))
		return __atomic_load_n(&a->table, __ATOMIC_ACQUIRE);
	const struct weft_methods_ *table = weft_interface_ask_(i, t, &a);
	bool room = !__atomic_load_n(second, __ATOMIC_RELAXED) && __atomic_load_n(first, __ATOMIC_RELAXED);
	__atomic_store_n(room ? second : first, a, __ATOMIC_RELEASE);
	return table;
}

#define weft_any_of(name, self) weft_any_of_##name##_(self)
/* Every interface value is two pointers: the table, which begins with the type, and the object. */
#ifdef __cplusplus
WEFT_END_DECLS
template <typename t> static inline weft_any weft_any_from(const t &v)
{
	static_assert(sizeof(v.methods_->head_) == sizeof(weft_methods_), "an interface's value");
	return weft_any{v.methods_ ? &v.methods_->head_ : nullptr, v.self};
}
static inline weft_any weft_any_from(const weft_any &v)
{
	return v;
}
WEFT_BEGIN_DECLS
#else
static inline weft_any weft_any_copy_(const void *v)
{
	weft_any any;
	memcpy(&any, v, sizeof any);
	return any;
}
/* Of anything else the size is negative. */
#define WEFT_IS_INTERFACE_(v) (sizeof(v) == sizeof(weft_any) && sizeof((v).methods_) && sizeof((v).self))
#define weft_any_from(v)      weft_any_copy_((__typeof__(v)[WEFT_IS_INTERFACE_(v) ? 1 : -1]){v})
#endif
#define weft_assert_to(name, v)		 weft_to_##name##_(weft_any_from(v))
#define weft_try_assert_to(name, v, out) weft_try_##name##_(weft_any_from(v), (out))

enum weft_switch_state_ { WEFT_SWITCH_OPEN_, WEFT_SWITCH_TAKEN_, WEFT_SWITCH_OVER_ };

struct weft_type_switch_ {
	weft_any any;
	enum weft_switch_state_ state;
};

#ifdef __cplusplus
#define WEFT_ZEROED_ {}
#else
#define WEFT_ZEROED_ {0}
#endif

#define WEFT_TYPE_SWITCH(v)                                                                                                \
	for (struct weft_type_switch_ switch_ = {weft_any_from(v), WEFT_SWITCH_OPEN_}; switch_.state != WEFT_SWITCH_OVER_; \
	     switch_.state = WEFT_SWITCH_OVER_)
/* A loop that runs once, if the case is taken: what it declares is of the case. */
#define WEFT_TYPE_TAKE_(fits) switch_.state == WEFT_SWITCH_OPEN_ && (fits) && (switch_.state = WEFT_SWITCH_TAKEN_)
#define WEFT_TYPE_CASE(name, var)                                          \
	for (weft_as_##name##_ var __attribute__((unused)) = WEFT_ZEROED_; \
	     WEFT_TYPE_TAKE_(weft_try_##name##_(switch_.any, &var));)
#define WEFT_TYPE_NIL	  for (; WEFT_TYPE_TAKE_(!switch_.any.methods_);)
#define WEFT_TYPE_DEFAULT for (; WEFT_TYPE_TAKE_(true);)

/* ---- a method: METHOD(of, what it returns, its name, the types of its arguments...) ---- */

#define WEFT_PICK_ARGS_(of, ret, name, a, b, c, d, e, f, n, ...) n
#define WEFT_N_ARGS_(...)					 WEFT_PICK_ARGS_(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0, )
#define WEFT_JOIN_(a, b)					 WEFT_JOINED_(a, b)
#define WEFT_JOINED_(a, b)					 a##b

/* As parameters, and as what is passed on. */
#define WEFT_PARAMS_(...) WEFT_JOIN_(WEFT_PARAMS_OF_, WEFT_N_ARGS_(__VA_ARGS__))(__VA_ARGS__)
#define WEFT_PARAMS_OF_0(of, ret, name)
#define WEFT_PARAMS_OF_1(of, ret, name, a)		  , a a_
#define WEFT_PARAMS_OF_2(of, ret, name, a, b)		  , a a_, b b_
#define WEFT_PARAMS_OF_3(of, ret, name, a, b, c)	  , a a_, b b_, c c_
#define WEFT_PARAMS_OF_4(of, ret, name, a, b, c, d)	  , a a_, b b_, c c_, d d_
#define WEFT_PARAMS_OF_5(of, ret, name, a, b, c, d, e)	  , a a_, b b_, c c_, d d_, e e_
#define WEFT_PARAMS_OF_6(of, ret, name, a, b, c, d, e, f) , a a_, b b_, c c_, d d_, e e_, f f_
#define WEFT_PASSED_(...)				  WEFT_JOIN_(WEFT_PASSED_OF_, WEFT_N_ARGS_(__VA_ARGS__))
#define WEFT_PASSED_OF_0
#define WEFT_PASSED_OF_1 , a_
#define WEFT_PASSED_OF_2 , a_, b_
#define WEFT_PASSED_OF_3 , a_, b_, c_
#define WEFT_PASSED_OF_4 , a_, b_, c_, d_
#define WEFT_PASSED_OF_5 , a_, b_, c_, d_, e_
#define WEFT_PASSED_OF_6 , a_, b_, c_, d_, e_, f_

#define WEFT_METHOD_TEXT_(...) #__VA_ARGS__ "; "

/* Its place in the method table. */
#define WEFT_METHOD_SLOT_(...)				 WEFT_METHOD_SLOT_OF_(WEFT_PARAMS_(__VA_ARGS__), __VA_ARGS__, )
#define WEFT_METHOD_SLOT_OF_(params, of, ret, name, ...) ret (*name)(void *self_ params);

/* The function that calls it. */
#define WEFT_METHOD_CALL_(...) WEFT_METHOD_CALL_OF_(WEFT_PARAMS_(__VA_ARGS__), WEFT_PASSED_(__VA_ARGS__), __VA_ARGS__, )
#define WEFT_METHOD_CALL_OF_(params, passed, of, ret, name, ...)            \
	WEFT_TYPED ret of##_##name(of v_ params)                            \
	{                                                                   \
		if (__builtin_expect(!v_.methods_, 0))                      \
			weft_interface_nil_(&weft_iface_of_##of##_, #name); \
		return v_.methods_->name(v_.self passed);                   \
	}

/* The function that stands in a type's table, and hands on to the type's own: `of` is (type, interface). */
#define WEFT_METHOD_THUNK_(...) WEFT_METHOD_THUNK_OF_((WEFT_PARAMS_(__VA_ARGS__)), (WEFT_PASSED_(__VA_ARGS__)), __VA_ARGS__, )
#define WEFT_METHOD_THUNK_OF_(params, passed, of, ret, name, ...) \
	WEFT_METHOD_THUNK_IN_(WEFT_INSIDE_ of, ret, name, params, passed)
#define WEFT_METHOD_THUNK_IN_(...) WEFT_METHOD_THUNK_NAMED_(__VA_ARGS__)
#define WEFT_METHOD_THUNK_NAMED_(type, interface, ret, name, params, passed)                       \
	WEFT_TYPED ret weft_##type##_as_##interface##_##name##_(void *self_ WEFT_INSIDE_ params) { \
		return type##_##name((weft_c_##type##_ *)self_ WEFT_INSIDE_ passed);               \
	}
#define WEFT_INSIDE_(...) __VA_ARGS__

#define WEFT_METHOD_ENTRY_(...)				WEFT_METHOD_ENTRY_OF_(__VA_ARGS__, )
#define WEFT_METHOD_ENTRY_OF_(of, ret, name, ...)	WEFT_METHOD_ENTRY_IN_(WEFT_INSIDE_ of, name)
#define WEFT_METHOD_ENTRY_IN_(...)			WEFT_METHOD_ENTRY_NAMED_(__VA_ARGS__)
#define WEFT_METHOD_ENTRY_NAMED_(type, interface, name) weft_##type##_as_##interface##_##name##_,

/* ---- declarations ---- */

/* ISO C lets a function that returns nothing return no call of another such function, C++ does. */
#ifdef __cplusplus
#define WEFT_RETURNS_NOTHING_BEGIN_
#define WEFT_RETURNS_NOTHING_END_
#else
#define WEFT_RETURNS_NOTHING_BEGIN_ _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wpedantic\"")
#define WEFT_RETURNS_NOTHING_END_   _Pragma("GCC diagnostic pop")
#endif

#define WEFT_INTERFACE(name)                                                                                                     \
	struct name##_table_ {                                                                                                   \
		struct weft_methods_ head_;                                                                                      \
		name##_methods(WEFT_METHOD_SLOT_, name)                                                                          \
	};                                                                                                                       \
	typedef struct name {                                                                                                    \
		const struct name##_table_ *methods_;                                                                            \
		void *self;                                                                                                      \
	} name;                                                                                                                  \
	WEFT_OWN_BEGIN_                                                                                                          \
	WEFT_OWN_ struct weft_interface_ weft_iface_of_##name##_                                                                 \
	    __attribute__((unused)) = {#name, name##_methods(WEFT_METHOD_TEXT_, name), WEFT_TYPE_WHERE_};                        \
	WEFT_OWN_END_                                                                                                            \
	WEFT_RETURNS_NOTHING_BEGIN_                                                                                              \
	name##_methods(WEFT_METHOD_CALL_, name) WEFT_RETURNS_NOTHING_END_ typedef name weft_c_##name##_;                         \
	typedef name weft_as_##name##_;                                                                                          \
	static struct weft_asked_ weft_asked_##name##_ __attribute__((unused));                                                  \
	WEFT_TYPED bool weft_try_##name##_(weft_any any_, name *out_)                                                            \
	{                                                                                                                        \
		out_->methods_ = (const struct name##_table_ *)(const void *)weft_interface_table_(&weft_iface_of_##name##_,     \
												   &weft_asked_##name##_, any_); \
		out_->self = out_->methods_ ? any_.self : NULL;                                                                  \
		return out_->methods_ != NULL;                                                                                   \
	}                                                                                                                        \
	WEFT_TYPED name weft_to_##name##_(weft_any any_)                                                                         \
	{                                                                                                                        \
		name v_;                                                                                                         \
		if (__builtin_expect(!weft_try_##name##_(any_, &v_), 0))                                                         \
			weft_interface_not_(&weft_iface_of_##name##_, any_);                                                     \
		return v_;                                                                                                       \
	}                                                                                                                        \
	WEFT_OWN_BEGIN_                                                                                                          \
	WEFT_OWN_FORWARD_ struct weft_methods_ weft_methods_of_##name##_ __attribute__((unused));                                \
	WEFT_OWN_END_                                                                                                            \
	WEFT_TYPE_DEFINE_(name, #name, 0, WEFT_KIND_ANY, 0, NULL, 0, NULL, NULL, NULL, NULL)

#define WEFT_IMPLEMENTS(type, interface)                                                                                       \
	WEFT_RETURNS_NOTHING_BEGIN_                                                                                            \
	interface##_methods(WEFT_METHOD_THUNK_, (type, interface))                                                             \
	    WEFT_RETURNS_NOTHING_END_ static const struct interface##_table_ weft_##type##_as_##interface##_ = {               \
		{&weft_type_##type##_}, interface##_methods(WEFT_METHOD_ENTRY_, (type, interface))};                           \
	static struct weft_implementation_ weft_##type##_implements_##interface##_ = {NULL, &weft_iface_of_##interface##_,     \
										      &weft_##type##_as_##interface##_.head_}; \
	__attribute__((constructor)) static void weft_##type##_registers_##interface##_(void) {                                \
		weft_interface_implemented_(&weft_##type##_implements_##interface##_);                                         \
	} WEFT_TYPED interface type##_as_##interface(weft_c_##type##_ *self_)                                                  \
	{                                                                                                                      \
		interface v_ = {&weft_##type##_as_##interface##_, self_};                                                      \
		return v_;                                                                                                     \
	}                                                                                                                      \
	typedef weft_c_##type##_ weft_##type##_is_##interface##_

WEFT_END_DECLS

#endif
