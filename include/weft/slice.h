/* Growable arrays, typed: WEFT_SLICE_OF(int, ints); declares `ints` and what can be done with it.
 *
 * A slice is the caller's, ready when zeroed, and not shared: goroutines that use one at the same time need a lock. Its elements are
 * manual memory, contiguous at `data`; they move when it grows, so that pointers to them are good until the next push, insert, append,
 * reserve or resize. Elements are copied as memory, and aligned as malloc does.
 *
 * An index beyond the length panics, "index out of range [5] with length 3", unless NDEBUG is defined before this header is
 * included. A length that no memory could have panics, running out of memory is fatal. Nothing here blocks.
 *
 * For WEFT_SLICE_OF(T, name), with name *s, size_t i:
 *
 *     name_push(s, v)              at the end; amortised constant time
 *     name_pop(s)                  the last one, taken off; panics if there is none
 *     name_get(s, i) name_set(s, i, v) name_at(s, i)       the element, and a pointer to it
 *     name_insert(s, i, v)         before i, which may be the length
 *     name_remove(s, i)            closes the gap, in order
 *     name_append(s, from, n)      copies n elements; from may lie in s
 *     name_resize(s, n)            new elements are zeroed
 *     name_reserve(s, n)           room for n altogether
 *     name_clear(s)                empty, and keeps its room
 *     name_free(s)                 empty, and gives its memory back
 *     name_sort(s, compare)        as qsort(3), typed
 *     name_view(s, from, to)       elements [from, to) as a name_part, to look at: name_view_at(v, i), v.data, v.len */
#ifndef WEFT_SLICE_H
#define WEFT_SLICE_H

#include <stdlib.h>
#include <string.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Room for at least n elements at *data; how many there is room for then. */
WEFT_API size_t weft_slice_grow(void **data, size_t cap, size_t n, size_t elem_size);
WEFT_API void weft_slice_free(void *data);
WEFT_API WEFT_NORETURN void weft_slice_out_of_range(size_t index, size_t length);
WEFT_API WEFT_NORETURN void weft_slice_empty(void);
WEFT_API WEFT_NORETURN void weft_slice_bad_view(size_t from, size_t to, size_t length);

#ifdef NDEBUG
#define WEFT_SLICE_CHECK(i, n)        ((void)0)
#define WEFT_SLICE_CHECK_INSERT(i, n) ((void)0)
#define WEFT_SLICE_CHECK_POP(n)       ((void)0)
#else
#define WEFT_SLICE_CHECK(i, n)        ((i) < (n) ? (void)0 : weft_slice_out_of_range((i), (n)))
#define WEFT_SLICE_CHECK_INSERT(i, n) ((i) <= (n) ? (void)0 : weft_slice_out_of_range((i), (n)))
#define WEFT_SLICE_CHECK_POP(n)       ((n) ? (void)0 : weft_slice_empty())
#endif

#define WEFT_SLICE_OF(type, name)                                                                  \
	typedef struct name {                                                                      \
		type *data;                                                                        \
		size_t len, cap;                                                                   \
	} name;                                                                                    \
	typedef struct name##_part {                                                               \
		type const *data;                                                                  \
		size_t len;                                                                        \
	} name##_part;                                                                             \
	WEFT_TYPED void name##_reserve(name *s_, size_t n_)                                        \
	{                                                                                          \
		void *data_ = (void *)s_->data;                                                    \
		if (n_ <= s_->cap)                                                                 \
			return;                                                                    \
		s_->cap = weft_slice_grow(&data_, s_->cap, n_, sizeof(type));                      \
		s_->data = (type *)data_;                                                          \
	}                                                                                          \
	WEFT_TYPED type *name##_at(const name *s_, size_t i_)                                      \
	{                                                                                          \
		WEFT_SLICE_CHECK(i_, s_->len);                                                     \
		return s_->data + i_;                                                              \
	}                                                                                          \
	WEFT_TYPED type name##_get(const name *s_, size_t i_)                                      \
	{                                                                                          \
		return *name##_at(s_, i_);                                                         \
	}                                                                                          \
	WEFT_TYPED void name##_set(name *s_, size_t i_, type v_)                                   \
	{                                                                                          \
		*name##_at(s_, i_) = v_;                                                           \
	}                                                                                          \
	WEFT_TYPED void name##_push(name *s_, type v_)                                             \
	{                                                                                          \
		if (s_->len == s_->cap)                                                            \
			name##_reserve(s_, s_->len + 1);                                           \
		s_->data[s_->len++] = v_;                                                          \
	}                                                                                          \
	WEFT_TYPED type name##_pop(name *s_)                                                       \
	{                                                                                          \
		WEFT_SLICE_CHECK_POP(s_->len);                                                     \
		return s_->data[--s_->len];                                                        \
	}                                                                                          \
	WEFT_TYPED void name##_insert(name *s_, size_t i_, type v_)                                \
	{                                                                                          \
		WEFT_SLICE_CHECK_INSERT(i_, s_->len);                                              \
		name##_reserve(s_, s_->len + 1);                                                   \
		memmove((void *)(s_->data + i_ + 1), (const void *)(s_->data + i_),                \
			(s_->len - i_) * sizeof(type));                                            \
		s_->data[i_] = v_;                                                                 \
		s_->len++;                                                                         \
	}                                                                                          \
	WEFT_TYPED void name##_remove(name *s_, size_t i_)                                         \
	{                                                                                          \
		WEFT_SLICE_CHECK(i_, s_->len);                                                     \
		memmove((void *)(s_->data + i_), (const void *)(s_->data + i_ + 1),                \
			(s_->len - i_ - 1) * sizeof(type));                                        \
		s_->len--;                                                                         \
	}                                                                                          \
	WEFT_TYPED void name##_append(name *s_, type const *from_, size_t n_)                      \
	{                                                                                          \
		size_t at_ = s_->data ? (size_t)((uintptr_t)from_ - (uintptr_t)s_->data) : 0;      \
		bool inside_ = s_->data && at_ < s_->len * sizeof(type);                           \
		if (n_ == 0)                                                                       \
			return;                                                                    \
		name##_reserve(s_, n_ > SIZE_MAX - s_->len ? SIZE_MAX : s_->len + n_);             \
		if (inside_) /* it may have moved */                                               \
			from_ = (type const *)(const void *)((const char *)(const void *)s_->data + at_); \
		memmove((void *)(s_->data + s_->len), (const void *)from_, n_ * sizeof(type));     \
		s_->len += n_;                                                                     \
	}                                                                                          \
	WEFT_TYPED void name##_resize(name *s_, size_t n_)                                         \
	{                                                                                          \
		name##_reserve(s_, n_);                                                            \
		if (n_ > s_->len)                                                                  \
			memset((void *)(s_->data + s_->len), 0, (n_ - s_->len) * sizeof(type));    \
		s_->len = n_;                                                                      \
	}                                                                                          \
	WEFT_TYPED void name##_clear(name *s_)                                                     \
	{                                                                                          \
		s_->len = 0;                                                                       \
	}                                                                                          \
	WEFT_TYPED void name##_free(name *s_)                                                      \
	{                                                                                          \
		weft_slice_free((void *)s_->data);                                                 \
		s_->data = NULL;                                                                   \
		s_->len = s_->cap = 0;                                                             \
	}                                                                                          \
	WEFT_TYPED void name##_sort(name *s_, int (*compare_)(type const *, type const *))         \
	{                                                                                          \
		if (s_->len > 1)                                                                   \
			qsort((void *)s_->data, s_->len, sizeof(type),                             \
			      (int (*)(const void *, const void *))compare_);                      \
	}                                                                                          \
	WEFT_TYPED name##_part name##_view(const name *s_, size_t from_, size_t to_)               \
	{                                                                                          \
		name##_part v_;                                                                    \
		if (from_ > to_ || to_ > s_->len)                                                  \
			weft_slice_bad_view(from_, to_, s_->len);                                  \
		v_.data = s_->data ? s_->data + from_ : NULL;                                      \
		v_.len = to_ - from_;                                                              \
		return v_;                                                                         \
	}                                                                                          \
	WEFT_TYPED type const *name##_view_at(name##_part v_, size_t i_)                           \
	{                                                                                          \
		WEFT_SLICE_CHECK(i_, v_.len);                                                      \
		return v_.data + i_;                                                               \
	}                                                                                          \
	typedef struct name name##_declared_

WEFT_END_DECLS

#endif
