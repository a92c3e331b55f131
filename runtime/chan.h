/* A channel from inside, for chan.c and select.c. */
#ifndef RUNTIME_CHAN_H
#define RUNTIME_CHAN_H

#include "lockfree/epoch.h"
#include "runtime/bias.h"
#include "runtime/park.h"

#include <weft/chan.h>

/* A goroutine that waits on a channel; on its own stack. The channel's lock guards all of it, until it is taken
 * off the queue. */
struct waiter {
	struct waiter *next, *prev;
	struct g *g;
	void *elem;
	bool many;   /* several may end the wait: it is to be claimed */
	bool queued; /* still on its queue */
	bool ok;     /* a value went over; false: the channel was closed */
	struct waiter **taken; /* many: where the one that was taken is noted */
};

enum { CHAN_LINE = 64 };

struct waitq {
	_Atomic(struct waiter *) first; /* looked at without the lock: is anybody there? */
	struct waiter *last;
};

/* What fills a channel that is the user's to free at any time. It is told before that goes, outside calls, and sends nothing afterwards. */
struct chan_source {
	void (*gone)(struct chan_source *);
};

/* What every operation writes is one line, which goes over to another core as a whole; what it only reads is the
 * next, which all cores keep. */
struct weft_chan {
	_Alignas(CHAN_LINE) struct bias lock;
	_Atomic size_t count; /* written under the lock, looked at without it by try_ forms */
	_Atomic size_t head;  /* the oldest element's index; the collector looks at it without the lock */
	struct waitq recvq, sendq;

	_Alignas(CHAN_LINE) size_t cap;
	char *buf;
	uint32_t elem_size;
	_Atomic bool closed; /* as count */
	bool leaf;   /* its elements hold no collected pointers; otherwise the collector looks at its buffer */
	_Atomic bool subscribed; /* to signals (signal.h), at least once; written under the lock there */
	bias_owner owner; /* of the lock */
	uint32_t tag; /* that it is a channel: chan_is */
	struct chan_source *source; /* NULL: none */
	struct epoch_entry retired;
};
_Static_assert(sizeof(struct weft_chan) == 2 * CHAN_LINE, "one line written, one line read");

/* Within a call. */
static inline __attribute__((always_inline)) void chan_lock(struct weft_chan *c)
{
	struct m *m = m_self();
	struct p *p = likely(m != NULL) ? m_p(m) : NULL;
	bias_lock(&c->lock, &c->owner, likely(p != NULL) ? (uint16_t)(p->index + 1) : 0);
}

static inline __attribute__((always_inline)) void chan_unlock(struct weft_chan *c)
{
	bias_unlock(&c->lock);
}

/* What reach.c asks while nobody is at it. Is what lies at an address, or a copy of it, a channel? */
bool chan_is(const struct weft_chan *copy, const struct weft_chan *at);

/* Bytes, the buffer and what is behind it included. */
size_t chan_size(const struct weft_chan *);

/* Calls see(arg, from, to) with what is in it: the waiters, and the elements; what has been received and is still there is none of it. */
void chan_each_range(const struct weft_chan *, void (*see)(void *arg, const void *from, const void *to), void *arg);

void waitq_push(struct waitq *, struct waiter *);
void waitq_remove(struct waitq *, struct waiter *);

/* What became of an attempt made under the channel's lock. */
enum outcome {
	WOULD_BLOCK,
	DONE,        /* sent, or received a value */
	DRAINED,     /* received from a closed, drained channel */
	SENT_CLOSED, /* sent on a closed one */
};

/* Tries under the lock, which stays held. *wake is the goroutine to ready after the unlock, or NULL. */
enum outcome chan_send_locked(struct weft_chan *, const void *elem, struct g **wake);
enum outcome chan_recv_locked(struct weft_chan *, void *elem, struct g **wake);

_Noreturn void chan_panic_closed(void);

/* The timer and the channel end together. Before anybody else knows the channel. */
void chan_set_source(struct weft_chan *, struct chan_source *);

#endif
