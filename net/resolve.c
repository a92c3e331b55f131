/* Names are looked up by getaddrinfo(3), which knows what the system's administrator has set up, takes as long as it
 * takes, and cannot be called off. Without a deadline the caller makes the call itself, in a blocking section. With one,
 * a goroutine of its own makes it, and the caller waits for that one's answer: if it does not come in time, the caller
 * leaves, and the answer goes with the last of the two.
 */
#include "net/resolve.h"
#include "net/section.h"

#include "lockfree/atomic.h"

#include <weft/chan.h>
#include <weft/mem.h>

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/un.h>

static int unix_addr(const char *path, struct addr *out)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	strcpy(un.sun_path, path);
	memcpy(&out->storage, &un, sizeof un);
	out->len = sizeof un;
	return 1;
}

static int errno_of(int gai)
{
	switch (gai) {
	case EAI_SYSTEM:
		return last_error() ? -last_error() : -EIO;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EAGAIN;
	default:
		return -ENOENT;
	}
}

static int copy_out(const struct addrinfo *list, struct addr *out, int max)
{
	int n = 0;
	for (const struct addrinfo *i = list; i && n < max; i = i->ai_next) {
		memcpy(&out[n].storage, i->ai_addr, i->ai_addrlen);
		out[n++].len = i->ai_addrlen;
	}
	return n ? n : -ENOENT;
}

static int ask(const struct addr_text *a, int flags, struct addr *out, int max)
{
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
	int gai = getaddrinfo(a->host, a->port, &hints, &list);
	if (gai)
		return errno_of(gai);
	int n = copy_out(list, out, max);
	freeaddrinfo(list);
	return n;
}

static int look_up(const struct addr_text *a, struct addr *out, int max)
{
	struct section s = section_begin();
	int n = ask(a, AI_ADDRCONFIG, out, max);
	section_end(s);
	return n;
}

/* ---- by a deadline ---- */

struct request {
	struct addr_text text;
	struct addr out[RESOLVE_MOST];
	int n;
	weft_chan *done;
	_Atomic int xusers;
};

static void request_unref(struct request *r)
{
	if (sub_acqrel(&r->xusers, 1) != 1)
		return;
	weft_chan_free(r->done);
	weft_free(r);
}

static void answer(void *arg)
{
	struct request *r = arg;
	r->n = look_up(&r->text, r->out, RESOLVE_MOST);
	weft_send(r->done, NULL);
	request_unref(r);
}

static struct request *request_make(const struct addr_text *a)
{
	static const weft_go_opts opts = {.name = "resolver"};
	struct request *r = weft_calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->text = *a;
	r->done = weft_chan_make_leaf(0, 1);
	store_rlx(&r->xusers, 2);
	if (weft_go_with(&opts, answer, r) == 0)
		return r;
	weft_chan_free(r->done);
	weft_free(r);
	return NULL;
}

static int look_up_until(const struct addr_text *a, struct addr *out, int max, weft_deadline deadline)
{
	struct request *r = request_make(a);
	if (!r)
		return -ENOMEM;
	int n = weft_recv_until(r->done, NULL, deadline);
	if (n == 1) {
		n = r->n < max ? r->n : max;
		if (n > 0)
			memcpy(out, r->out, (size_t)n * sizeof *out);
	}
	request_unref(r);
	return n;
}

int resolve(const struct addr_text *a, struct addr *out, int max, weft_deadline deadline)
{
	if (a->family == AF_UNIX)
		return unix_addr(a->host, out);
	int n = ask(a, AI_NUMERICHOST, out, max);
	if (n != -ENOENT)
		return n;
	return deadline.ns == INT64_MAX ? look_up(a, out, max) : look_up_until(a, out, max, deadline);
}
