/* Channels and select: the semantics of the Go specification ("Channel types", "Send statements",
 * "Receive operator", "Select statements", "Close") and of the Go memory model, in C.
 *
 * A NULL channel is Go's nil channel: it blocks for ever. Sending on a closed channel panics. `elem` may
 * be NULL to discard what is received, and for elements of size zero. Blocking forms block the
 * goroutine; on a thread outside the runtime they block the thread. */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* A channel of `cap` elements of `elem_size` bytes (at most 64 KiB); cap 0 is unbuffered. Panics when
 * the size cannot be; running out of memory is fatal. The collector looks at its elements conservatively;
 * _leaf says that they hold no collected pointers. */
WEFT_API weft_chan *weft_chan_make(size_t elem_size, size_t cap);
WEFT_API weft_chan *weft_chan_make_leaf(size_t elem_size, size_t cap);

/* Gives the memory back after a grace period, so that a receiver that has seen the close may free while
 * the closer is still leaving weft_close. NULL is ignored. Panics if a goroutine waits on it. */
WEFT_API void weft_chan_free(weft_chan *);

WEFT_API void weft_send(weft_chan *, const void *elem);

/* True: *elem is the value. False: closed and drained, *elem is zeroed. */
WEFT_API bool weft_recv(weft_chan *, void *elem);

WEFT_API int weft_try_send(weft_chan *, const void *elem); /* 0, -EAGAIN */
WEFT_API int weft_try_recv(weft_chan *, void *elem);       /* 1 a value, 0 closed and drained, -EAGAIN */
WEFT_API int weft_send_until(weft_chan *, const void *elem, weft_deadline); /* 0, -ETIMEDOUT */
WEFT_API int weft_recv_until(weft_chan *, void *elem, weft_deadline); /* 1, 0, -ETIMEDOUT */

/* Wakes everybody who waits. Panics on NULL and on a second close. */
WEFT_API void weft_close(weft_chan *);

/* Elements held now, and room for elements; 0 for NULL. */
WEFT_API size_t weft_chan_len(const weft_chan *);
WEFT_API size_t weft_chan_cap(const weft_chan *);

typedef enum weft_op { WEFT_SEND, WEFT_RECV } weft_op;

typedef struct weft_case {
	weft_chan *ch;
	weft_op op;
	void *elem;
	bool ok; /* set for the case taken; false only for a receive from a closed, drained channel */
} weft_case;

/* Takes exactly one case, uniformly at random among those that are ready. The index taken; n = 0 blocks
 * for ever. At most 65535 cases. */
WEFT_API int weft_select(weft_case *cases, int n);
WEFT_API int weft_try_select(weft_case *cases, int n);                   /* the index, -EAGAIN */
WEFT_API int weft_select_until(weft_case *cases, int n, weft_deadline); /* the index, -ETIMEDOUT */

static inline weft_case weft_case_make(weft_chan *ch, weft_op op, const void *elem)
{
	weft_case c = {ch, op, (void *)(uintptr_t)elem, false};
	return c;
}
#define WEFT_CASE_SEND(ch, elem) (weft_case_make((ch), WEFT_SEND, (elem)))
#define WEFT_CASE_RECV(ch, elem) (weft_case_make((ch), WEFT_RECV, (elem)))

/* WEFT_CHAN_OF(int, intchan); declares a channel of int with intchan_make(cap), intchan_send(c, 42),
 * intchan_recv(c, &v) and so on: the functions above without casts. */
#define WEFT_CHAN_OF(type, name)                                                                   \
	typedef struct name {                                                                      \
		weft_chan *ch;                                                                     \
	} name;                                                                                    \
	WEFT_TYPED name name##_make(size_t cap)                                                    \
	{                                                                                          \
		name c_ = {weft_chan_make(sizeof(type), cap)};                                     \
		return c_;                                                                         \
	}                                                                                          \
	WEFT_TYPED void name##_free(name c_)                                                       \
	{                                                                                          \
		weft_chan_free(c_.ch);                                                             \
	}                                                                                          \
	WEFT_TYPED void name##_close(name c_)                                                      \
	{                                                                                          \
		weft_close(c_.ch);                                                                 \
	}                                                                                          \
	WEFT_TYPED void name##_send(name c_, type v_)                                              \
	{                                                                                          \
		weft_send(c_.ch, &v_);                                                             \
	}                                                                                          \
	WEFT_TYPED bool name##_recv(name c_, type *v_)                                             \
	{                                                                                          \
		return weft_recv(c_.ch, v_);                                                       \
	}                                                                                          \
	WEFT_TYPED int name##_try_send(name c_, type v_)                                           \
	{                                                                                          \
		return weft_try_send(c_.ch, &v_);                                                  \
	}                                                                                          \
	WEFT_TYPED int name##_try_recv(name c_, type *v_)                                          \
	{                                                                                          \
		return weft_try_recv(c_.ch, v_);                                                   \
	}                                                                                          \
	WEFT_TYPED int name##_send_until(name c_, type v_, weft_deadline d_)                       \
	{                                                                                          \
		return weft_send_until(c_.ch, &v_, d_);                                            \
	}                                                                                          \
	WEFT_TYPED int name##_recv_until(name c_, type *v_, weft_deadline d_)                      \
	{                                                                                          \
		return weft_recv_until(c_.ch, v_, d_);                                             \
	}                                                                                          \
	WEFT_TYPED size_t name##_len(name c_)                                                      \
	{                                                                                          \
		return weft_chan_len(c_.ch);                                                       \
	}                                                                                          \
	WEFT_TYPED size_t name##_cap(name c_)                                                      \
	{                                                                                          \
		return weft_chan_cap(c_.ch);                                                       \
	}                                                                                          \
	typedef struct name name##_declared_

WEFT_END_DECLS

#endif
