/* Child processes.
 *
 * posix_spawn makes the child share memory with its parent until it has become the program, with the calling thread
 * standing still meanwhile: nothing is copied, and no code of ours runs in between. That can take as long as the disk
 * does, so it is a blocking section.
 *
 * A child is waited for through a pidfd (Linux 5.3), which is readable when it has ended, in the poller like a socket:
 * no thread waits, and no signal is needed. SIGCHLD stays the program's own. Where there is none (an old
 * kernel, a filter, no descriptor left) the waiter looks now and then. Rejected: waitpid in a blocking section, which
 * costs a thread for each child, and which no deadline ends.
 *
 * waitpid has the last word in either case, and is asked again after the pidfd has been opened: if somebody
 * else has waited for the child, the number may be another process's by now.
 */
#include "net/process.h"
#include "net/section.h"
#include "net/wait.h"

#include "lockfree/atomic.h"
#include "runtime/sim.h"

#include <weft/process.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- starting ---- */

struct plan {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int moved[3]; /* copies of descriptors that stood where the child's streams go; 0: none */
};

static int check(const char *const argv[], const weft_spawn_opts *o)
{
	for (size_t i = 0; i < sizeof o->reserved / sizeof *o->reserved; i++)
		if (o->reserved[i])
			return EINVAL;
	bool streams = o->stdin_fd >= WEFT_SPAWN_NULL && o->stdout_fd >= WEFT_SPAWN_NULL &&
		       o->stderr_fd >= WEFT_SPAWN_NULL;
	bool group = (unsigned)o->group <= WEFT_SPAWN_NEW_SESSION;
	return argv && argv[0] && streams && group ? 0 : EINVAL;
}

/* The child's streams are put in place one after the other: what would be overwritten by an earlier one is copied. */
static int add_stream(struct plan *p, int target, int fd)
{
	if (fd == 0)
		return 0;
	if (fd == WEFT_SPAWN_NULL)
		return posix_spawn_file_actions_addopen(&p->actions, target, "/dev/null",
							target == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
	if (fd <= STDERR_FILENO) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (fd < 0)
			return last_error();
		p->moved[target] = fd;
	}
	return posix_spawn_file_actions_adddup2(&p->actions, fd, target);
}

static int add_actions(struct plan *p, const weft_spawn_opts *o)
{
	int err = o->cwd ? posix_spawn_file_actions_addchdir_np(&p->actions, o->cwd) : 0;
	if (!err)
		err = add_stream(p, STDIN_FILENO, o->stdin_fd);
	if (!err)
		err = add_stream(p, STDOUT_FILENO, o->stdout_fd);
	if (!err)
		err = add_stream(p, STDERR_FILENO, o->stderr_fd);
	if (!err && o->close_others)
		err = posix_spawn_file_actions_addclosefrom_np(&p->actions, STDERR_FILENO + 1);
	return err;
}

static int set_attributes(struct plan *p, const weft_spawn_opts *o)
{
	static const short flag[] = {
		[WEFT_SPAWN_SAME_GROUP] = 0,
		[WEFT_SPAWN_NEW_GROUP] = POSIX_SPAWN_SETPGROUP,
		[WEFT_SPAWN_NEW_SESSION] = POSIX_SPAWN_SETSID,
	};
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	int err = posix_spawnattr_setsigdefault(&p->attr, &all);
	if (!err)
		err = posix_spawnattr_setsigmask(&p->attr, &none);
	if (!err)
		err = posix_spawnattr_setpgroup(&p->attr, 0);
	short flags = (short)(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | flag[o->group]);
	return err ? err : posix_spawnattr_setflags(&p->attr, flags);
}

static int spawn_planned(struct plan *p, pid_t *pid, const char *const argv[], const weft_spawn_opts *o)
{
	int err = set_attributes(p, o);
	if (!err)
		err = add_actions(p, o);
	char *const *args = (char *const *)(uintptr_t)argv;
	char *const *env = o->env ? (char *const *)(uintptr_t)o->env : environ;
	if (!err)
		err = posix_spawnp(pid, argv[0], &p->actions, &p->attr, args, env);
	for (int i = 0; i < 3; i++)
		if (p->moved[i])
			close(p->moved[i]);
	return err;
}

static int spawn(pid_t *pid, const char *const argv[], const weft_spawn_opts *o)
{
	struct plan p = {.moved = {0}};
	int err = posix_spawn_file_actions_init(&p.actions);
	if (err)
		return err;
	err = posix_spawnattr_init(&p.attr);
	if (!err) {
		err = spawn_planned(&p, pid, argv, o);
		posix_spawnattr_destroy(&p.attr);
	}
	posix_spawn_file_actions_destroy(&p.actions);
	return err;
}

int weft_spawn_process(pid_t *pid, const char *const argv[], const weft_spawn_opts *opts)
{
	static const weft_spawn_opts none;
	const weft_spawn_opts *o = opts ? opts : &none;
	pid_t child = -1;
	int err = check(argv, o);
	if (!err && sim_on)
		err = ENOTSUP; /* nobody could wait for it */
	if (err)
		return -err;
	struct section s = section_begin();
	err = spawn(&child, argv, o);
	section_end(s);
	if (!err)
		*pid = child;
	return -err;
}

/* ---- waiting ---- */

static _Atomic(const char *) wait_way = "none";

const char *process_wait_way(void)
{
	return load_rlx(&wait_way);
}

/* How it stands with the child: 0 it has ended, and is gone; -EAGAIN it runs; another negative errno. */
static int look(pid_t pid, int *status)
{
	int at_end;
	pid_t got;
	do
		got = waitpid(pid, &at_end, WNOHANG);
	while (got < 0 && last_error() == EINTR);
	if (got <= 0)
		return got < 0 ? -last_error() : -EAGAIN;
	if (status)
		*status = at_end;
	return 0;
}

/* Between two looks: from as long as a short program runs, to what an idle process can afford. */
enum { PAUSE_NS_MIN = 100000, PAUSE_NS_MAX = 5000000 };

static int look_now_and_then(pid_t pid, int *status, weft_deadline deadline)
{
	int64_t pause = PAUSE_NS_MIN;
	int err;
	store_rlx(&wait_way, "looking");
	while ((err = look(pid, status)) == -EAGAIN) {
		int64_t now = weft_now();
		if (deadline.ns <= now)
			return -ETIMEDOUT;
		weft_sleep(pause < deadline.ns - now ? pause : deadline.ns - now);
		pause = pause < PAUSE_NS_MAX / 2 ? 2 * pause : PAUSE_NS_MAX;
	}
	return err;
}

/* Until the child has ended, as the pidfd sees it. */
static int wait_on_pidfd(pid_t pid, int *status, weft_deadline deadline)
{
	int fd = pidfd_open(pid, 0);
	if (fd < 0)
		return -last_error();
	int err = look(pid, status);
	if (err != -EAGAIN) {
		close(fd);
		return err;
	}
	store_rlx(&wait_way, "pidfd");
	int waited = wait_readable(fd, deadline);
	err = look(pid, status);
	return err == -EAGAIN && waited ? waited : err;
}

static int wait_for(pid_t pid, int *status, weft_deadline deadline)
{
	int err = look(pid, status);
	if (err != -EAGAIN)
		return err;
	err = wait_on_pidfd(pid, status, deadline);
	bool answered = err == 0 || err == -ECHILD || err == -ETIMEDOUT;
	return answered ? err : look_now_and_then(pid, status, deadline);
}

int weft_wait_process(pid_t pid, int *status, weft_deadline deadline)
{
	if (pid <= 0)
		return -ECHILD; /* which to waitpid would be any of several */
	int error = last_error();
	int err = wait_for(pid, status, deadline);
	set_error(error);
	return err;
}
