/* Child processes when the kernel refuses. The program's own posix_spawnp, pidfd_open and eventfd stand before libc's, and
 * fail as they are told. */
#include "net/process.h"
#include "tests/unit/outside.h"

#include <dlfcn.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static _Atomic int spawn_error, pidfd_error, eventfd_error;

int posix_spawnp(pid_t *restrict pid, const char *restrict file, const posix_spawn_file_actions_t *restrict actions,
		 const posix_spawnattr_t *restrict attr, char *const argv[restrict], char *const env[restrict])
{
	typedef int spawn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
			  char *const[], char *const[]);
	return spawn_error ? spawn_error
			   : ((spawn *)dlsym(RTLD_NEXT, "posix_spawnp"))(pid, file, actions, attr, argv, env);
}

int pidfd_open(pid_t pid, unsigned flags)
{
	if (!pidfd_error)
		return (int)syscall(SYS_pidfd_open, pid, flags);
	set_error(pidfd_error);
	return -1;
}

int eventfd(unsigned count, int flags)
{
	if (!eventfd_error)
		return (int)syscall(SYS_eventfd2, count, flags);
	set_error(eventfd_error);
	return -1;
}

static pid_t spawn_that_waits(int *tell)
{
	pid_t pid;
	struct pipe_ends p = pipe_open(0);
	CHECK_EQ(weft_spawn_process(&pid, (const char *const[]){"sh", "-c", "read line; exit 3", NULL},
				    &(weft_spawn_opts){.stdin_fd = p.out}), 0);
	close(p.out);
	*tell = p.in;
	return pid;
}

/* It is waited for all the same, by deadlines too, and nobody is stopped meanwhile. */
static void wait_as(const char *way)
{
	struct meanwhile m;
	int tell, status;
	pid_t pid = spawn_that_waits(&tell);
	CHECK_EQ(weft_wait_process(pid, &status, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(weft_wait_process(pid, &status, weft_in(10 * WEFT_MS)), -ETIMEDOUT);
	CHECK_STR(process_wait_way(), way);
	meanwhile_start(&m, tell);
	CHECK_EQ(weft_wait_process(pid, &status, WEFT_NEVER), 0);
	meanwhile_end(&m);
	CHECK_EQ(WEXITSTATUS(status), 3);
	CHECK_STR(process_wait_way(), way);
	CHECK_EQ(weft_wait_process(pid, &status, WEFT_NEVER), -ECHILD);
	close(tell);
}

TEST_GO(without_pidfds_one_looks)
{
	static const int errors[] = {ENOSYS, EPERM, EMFILE, ENOMEM};
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		pidfd_error = errors[i];
		wait_as("looking");
	}
	pidfd_error = 0;
	wait_as("pidfd");
	return 0;
}

/* The net library has not started before, and cannot. */
TEST_GO(without_pollers_one_looks)
{
	int tell, status;
	eventfd_error = EMFILE;
	pid_t pid = spawn_that_waits(&tell);
	int before = open_descriptors();
	CHECK_EQ(weft_wait_process(pid, &status, weft_in(10 * WEFT_MS)), -ETIMEDOUT);
	CHECK_STR(process_wait_way(), "looking");
	int after = open_descriptors();
	CHECK_EQ(weft_wait_process(pid, &status, weft_in(10 * WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(open_descriptors(), after);
	CHECK(after <= before + 1); /* an epoll instance, made before the eventfd was refused */
	close(tell);
	CHECK_EQ(weft_wait_process(pid, &status, WEFT_NEVER), 0);
	struct pipe_ends p = pipe_open(0);
	CHECK_EQ(weft_wait_fd(p.out, POLLIN, WEFT_NEVER), -EMFILE);
	CHECK_EQ(open_descriptors(), after + 1); /* the pipe's two, and the child's input gone */
	return 0;
}

TEST_GO(a_refused_spawn_is_an_error_and_leaves_nothing)
{
	static const int errors[] = {EAGAIN, ENOMEM, ENOENT};
	struct pipe_ends p = pipe_open(0);
	int before = open_descriptors();
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		pid_t pid = -5;
		spawn_error = errors[i];
		CHECK_EQ(weft_spawn_process(&pid, (const char *const[]){"true", NULL},
					    &(weft_spawn_opts){.stdout_fd = 2, .stderr_fd = 1}), -errors[i]);
		CHECK_EQ(pid, -5);
	}
	CHECK_EQ(open_descriptors(), before);
	spawn_error = 0;
	close(p.in);
	close(p.out);
	wait_as("pidfd");
	return 0;
}
