/* The bare io_uring server: one ring a thread, a multishot accept on it, a multishot receive for each
 * connection out of a ring of provided buffers, and at most one send in flight for each connection, so
 * that answers keep their order. Submissions and the wait for completions are one system call.
 *
 * The set-up asks for SINGLE_ISSUER and DEFER_TASKRUN (completions are run when the thread asks for
 * them, not in the middle of something else; Linux 6.1) and steps down to COOP_TASKRUN and to nothing
 * on a kernel that refuses. Multishot receive needs Linux 6.0; without it the server says so and ends.
 *
 * A receive is answered from the provided buffer itself when the connection sends nothing else: the
 * buffer is held until the send completes. Otherwise, or when half of the buffers are held, the bytes
 * are copied to the connection's backlog; beyond BACKLOG_MAX the receive is cancelled until it drains.
 * Raw answers hold nothing: they leave from the answer block.
 */
#include "bench/peers/c/server.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

enum {
	ENTRIES = 1024,
	COMPLETIONS = 8192,
	BUFFERS = 512, /* a power of two */
	HELD_MAX = BUFFERS / 2,
	SLOT = 4224, /* a buffer and the room for the carry before it, in cache lines */
	BACKLOG_MAX = 256 * 1024,
	GROUP = 0,
	NO_BUFFER = -1,
};
static_assert(SLOT >= BUFFER + CARRY && SLOT % 64 == 0, "a slot is whole cache lines");

/* The kind of a completion, in the low bits of its user data; the rest is the connection. */
enum kind { ON_ACCEPT, ON_RECV, ON_SEND, ON_CANCEL, KIND_MASK = 3 };

struct bytes {
	char *at;
	size_t size, room;
};

struct conn {
	int fd;
	int held;	     /* the buffer that is being sent, or NO_BUFFER */
	bool receiving;	     /* a multishot receive is armed */
	bool paused;	     /* it is being cancelled: the backlog is full */
	bool sending;	     /* a send is in flight */
	bool ended;	     /* nothing more will be read */
	struct carry carry;
	struct owed owed;
	const char *piece;   /* echo: what is in flight */
	size_t piece_size;
	struct bytes out, backlog; /* out is in flight when no buffer is held */
};

struct loop {
	const struct server *server;
	int listener;
	struct io_uring ring;
	struct io_uring_buf_ring *buffers;
	char *memory;
	int held;
};

static char *buffer_at(const struct loop *loop, int id)
{
	return loop->memory + (size_t)id * SLOT + (SLOT - BUFFER);
}

static void give_buffer(struct loop *loop, int id)
{
	io_uring_buf_ring_add(loop->buffers, buffer_at(loop, id), BUFFER, (unsigned short)id,
			      io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(loop->buffers, 1);
}

static struct io_uring_sqe *entry(struct loop *loop, struct conn *conn, enum kind kind)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
	if (!sqe) {
		int submitted = io_uring_submit(&loop->ring);
		if (submitted < 0)
			die("io_uring_submit", -submitted);
		sqe = io_uring_get_sqe(&loop->ring);
	}
	if (!sqe)
		die("the submission queue stays full", 0);
	sqe->user_data = (uint64_t)(uintptr_t)conn | kind; /* the prep functions leave it */
	return sqe;
}

static void start_accept(struct loop *loop)
{
	struct io_uring_sqe *sqe = entry(loop, NULL, ON_ACCEPT);
	io_uring_prep_multishot_accept(sqe, loop->listener, NULL, NULL, SOCK_CLOEXEC);
}

static void start_receive(struct loop *loop, struct conn *conn)
{
	struct io_uring_sqe *sqe = entry(loop, conn, ON_RECV);
	io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	conn->receiving = true;
}

static void pause_receive(struct loop *loop, struct conn *conn)
{
	struct io_uring_sqe *sqe = entry(loop, conn, ON_CANCEL);
	io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)conn | ON_RECV, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	conn->paused = true;
}

/* MSG_WAITALL: the kernel itself goes on with a send that the socket's buffer cut short. */
static void start_send(struct loop *loop, struct conn *conn, const char *piece, size_t size)
{
	struct io_uring_sqe *sqe = entry(loop, conn, ON_SEND);
	io_uring_prep_send(sqe, conn->fd, piece, size, MSG_NOSIGNAL | MSG_WAITALL);
	conn->sending = true;
}

static void append(struct bytes *to, const char *text, size_t size)
{
	if (to->size + size > to->room) {
		to->room = 2 * (to->size + size);
		to->at = realloc(to->at, to->room);
		if (!to->at)
			die("out of memory", 0);
	}
	memcpy(to->at + to->size, text, size);
	to->size += size;
}

/* Sends what waits, resumes reading, or frees the connection, whichever its state asks for. */
static void advance(struct loop *loop, struct conn *conn)
{
	if (conn->sending)
		return;
	if (conn->owed.bytes) {
		const char *piece;
		size_t size = owed_piece(&conn->owed, &piece);
		start_send(loop, conn, piece, size);
	} else if (conn->piece_size) {
		start_send(loop, conn, conn->piece, conn->piece_size);
	} else if (conn->backlog.size) {
		struct bytes sent = conn->out;
		conn->out = conn->backlog;
		conn->backlog = sent;
		conn->backlog.size = 0;
		conn->piece = conn->out.at;
		conn->piece_size = conn->out.size;
		start_send(loop, conn, conn->piece, conn->piece_size);
	} else if (conn->ended && !conn->receiving) {
		close(conn->fd);
		free(conn->out.at);
		free(conn->backlog.at);
		free(conn);
	} else {
		/* Also while the cancellation is under way: its completion then finds no pause, and arms again. */
		conn->paused = false;
		if (!conn->receiving)
			start_receive(loop, conn);
	}
}

static void echo(struct loop *loop, struct conn *conn, int id, size_t size)
{
	if (!conn->piece_size && loop->held < HELD_MAX) {
		conn->piece = buffer_at(loop, id);
		conn->piece_size = size;
		conn->held = id;
		loop->held++;
		return;
	}
	append(&conn->backlog, buffer_at(loop, id), size);
	give_buffer(loop, id);
	if (conn->backlog.size > BACKLOG_MAX && conn->receiving && !conn->paused)
		pause_receive(loop, conn);
}

static void on_recv(struct loop *loop, struct conn *conn, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		conn->receiving = false;
	if (cqe->res == -EINVAL)
		die("multishot receive needs Linux 6.0", 0);
	if (cqe->res > 0) {
		int id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		if (loop->server->mode == MODE_ECHO) {
			echo(loop, conn, id, (size_t)cqe->res);
		} else {
			unsigned requests = count_requests(&conn->carry, buffer_at(loop, id), (size_t)cqe->res);
			conn->owed.bytes += (uint64_t)requests * ANSWER_SIZE;
			give_buffer(loop, id);
		}
	} else if (cqe->res != -ENOBUFS && cqe->res != -ECANCELED) {
		conn->ended = true;
	}
	/* Out of buffers while sending nothing, or ended early by the kernel: armed again at once. */
	if (!conn->receiving && !conn->ended && !conn->paused)
		start_receive(loop, conn);
	advance(loop, conn);
}

static void on_send(struct loop *loop, struct conn *conn, int sent)
{
	conn->sending = false;
	if (sent < 0) { /* broken: forget what is owed, and let the receive end */
		if (conn->receiving)
			shutdown(conn->fd, SHUT_RDWR);
		conn->ended = true;
		conn->owed.bytes = 0;
		conn->piece_size = conn->backlog.size = 0;
	} else if (loop->server->mode == MODE_RAW) {
		owed_sent(&conn->owed, (size_t)sent);
	} else {
		conn->piece += sent;
		conn->piece_size -= (size_t)sent;
	}
	if (!conn->piece_size && conn->held != NO_BUFFER) {
		give_buffer(loop, conn->held);
		conn->held = NO_BUFFER;
		loop->held--;
	}
	advance(loop, conn);
}

static void on_accept(struct loop *loop, const struct io_uring_cqe *cqe)
{
	if (cqe->res >= 0) {
		struct conn *conn = calloc(1, sizeof *conn);
		if (!conn)
			die("out of memory", 0);
		conn->fd = cqe->res;
		conn->held = NO_BUFFER;
		start_receive(loop, conn);
	} else if (cqe->res != -ECONNABORTED && cqe->res != -EINTR) {
		die("accept", -cqe->res);
	}
	if (!(cqe->flags & IORING_CQE_F_MORE))
		start_accept(loop);
}

static void open_ring(struct loop *loop)
{
	static const unsigned ways[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int error = -EINVAL;
	for (unsigned i = 0; i < sizeof ways / sizeof ways[0] && error == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = ways[i] | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
			.cq_entries = COMPLETIONS,
		};
		error = io_uring_queue_init_params(ENTRIES, &loop->ring, &params);
	}
	if (error)
		die("io_uring", -error);
	io_uring_register_ring_fd(&loop->ring); /* saves a reference count per call; may fail */

	size_t ring_size = BUFFERS * sizeof(struct io_uring_buf);
	loop->buffers = mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	loop->memory = mmap(NULL, (size_t)BUFFERS * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (loop->buffers == MAP_FAILED || loop->memory == MAP_FAILED)
		die("out of memory", 0);
	struct io_uring_buf_reg registration = {
		.ring_addr = (uintptr_t)loop->buffers, .ring_entries = BUFFERS, .bgid = GROUP};
	error = io_uring_register_buf_ring(&loop->ring, &registration, 0);
	if (error)
		die("provided buffer ring (Linux 5.19)", -error);
	io_uring_buf_ring_init(loop->buffers);
	for (int id = 0; id < BUFFERS; id++)
		give_buffer(loop, id);
}

void serve(const struct server *server, int listener)
{
	struct loop loop = {.server = server, .listener = listener};
	open_ring(&loop);
	start_accept(&loop);
	for (;;) {
		int submitted = io_uring_submit_and_wait(&loop.ring, 1);
		if (submitted < 0 && submitted != -EINTR && submitted != -EBUSY && submitted != -EAGAIN)
			die("io_uring_submit_and_wait", -submitted);
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;
		io_uring_for_each_cqe(&loop.ring, head, cqe)
		{
			struct conn *conn = (struct conn *)(uintptr_t)(cqe->user_data & ~(uint64_t)KIND_MASK);
			switch (cqe->user_data & KIND_MASK) {
			case ON_ACCEPT: on_accept(&loop, cqe); break;
			case ON_RECV: on_recv(&loop, conn, cqe); break;
			case ON_SEND: on_send(&loop, conn, cqe->res); break;
			default: break; /* a cancellation that came too late */
			}
			seen++;
		}
		io_uring_cq_advance(&loop.ring, seen);
	}
}
