/* Other programs: starting one, and waiting for its end.
 *
 * A process of many threads must not go on after fork(2): only exec may follow, and weft_spawn_process does both in one.
 * Neither call stops other goroutines. */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <sys/types.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* Which process group the child is in: a signal from the terminal, and kill(2) with a negative number, go to a group. */
typedef enum weft_spawn_group {
	WEFT_SPAWN_SAME_GROUP,
	WEFT_SPAWN_NEW_GROUP,   /* its own, numbered as the child */
	WEFT_SPAWN_NEW_SESSION, /* its own session and group, without a terminal */
} weft_spawn_group;

/* A stream that reads as empty, and swallows what is written: the child's /dev/null. */
#define WEFT_SPAWN_NULL (-1)

/* Zeroed, the child has what this process has. */
typedef struct weft_spawn_opts {
	/* The child's standard streams: descriptors of this process, which stay open here; the same one may serve twice.
	 * 0 leaves the child the one that this process has. (So 0 cannot be asked for as the child's output: nobody
	 * writes to what is read from.) */
	int stdin_fd, stdout_fd, stderr_fd;

	/* The working directory; NULL: this process's. Relative names in argv[0] and in PATH are looked up there. */
	const char *cwd;

	/* NAME=value strings, ended by NULL; NULL: this process's environment. The program is looked for in this
	 * process's PATH. */
	const char *const *env;

	weft_spawn_group group;

	/* Descriptors from 3 on are closed in the child. Otherwise it has those that are not close-on-exec; weft opens
	 * none of the other kind. */
	bool close_others;

	uint64_t reserved[4]; /* zero */
} weft_spawn_opts;

/* Starts the program argv[0], found through PATH if there is no slash in it, with the arguments argv, which NULL ends.
 * opts may be NULL. 0 and the child's number in *pid, once the program runs; or a negative errno, and there is no child:
 * -ENOENT, -EACCES, -ENOEXEC (a script without its #! line), -EBADF, -EAGAIN, -EINVAL: no argv[0], an option that
 * cannot be. A missing cwd is -ENOENT too. -ENOTSUP: in a simulation (WEFT_DEBUG=seed=N).
 *
 * Every signal has its default action in the child and none is blocked, whatever this process does with it; SIGPIPE,
 * which weft ignores, and SIGHUP under nohup included. The child must be waited for, or it stays as a zombie. */
WEFT_API int weft_spawn_process(pid_t *pid, const char *const argv[], const weft_spawn_opts *opts);

/* Blocks until the child has ended. 0 and its status as of waitpid(2) (WIFEXITED and so on) in *status, which may be
 * NULL; the child is gone then. -ETIMEDOUT: it runs, and may be waited for again. -ECHILD: no child of this process,
 * one that somebody else has waited for, or SIGCHLD is ignored and nobody can be told. */
WEFT_API int weft_wait_process(pid_t, int *status, weft_deadline);

WEFT_END_DECLS

#endif
