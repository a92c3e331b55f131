/* Runs shell commands, at most so many at a time:
 *
 *     run_commands 2 'make docs' 'make lib' 'make tests'
 *
 * SIGTERM or SIGINT ends those that run, and no more are started. The status is 0 if all have been run and have ended
 * with 0, otherwise 1. */
#include <weft/weft.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static weft_chan *slots;                    /* holds an element for each command that runs */
static weft_chan *stop;                     /* closed when the program is told to stop */
static weft_waitgroup running;
static _Atomic int failed;

static void listen_for_signals(void *signals)
{
    weft_recv(signals, NULL);
    weft_close(stop);
}

static bool is_stopping(void)
{
    return weft_try_recv(stop, NULL) == 0;
}

/* Only while the child has not been waited for is its number certainly its own, so the goroutine that waits is the one
 * that ends it: the whole group, as a shell starts others. */
static int wait_or_end(pid_t pid)
{
    int err, status;
    bool ended = false;
    while ((err = weft_wait_process(pid, &status, weft_in(50 * WEFT_MS))) == -ETIMEDOUT) {
        if (!ended && is_stopping())
            ended = kill(-pid, SIGTERM) == 0;
    }
    return err ? err : status;
}

static void run(void *arg)
{
    char *command = arg;
    const char *const argv[] = {"sh", "-c", command, NULL};
    weft_spawn_opts opts = {.stdin_fd = WEFT_SPAWN_NULL, .group = WEFT_SPAWN_NEW_GROUP, .close_others = true};
    pid_t pid;
    int err = weft_spawn_process(&pid, argv, &opts);
    if (err)
        fprintf(stderr, "run_commands: %s: %s\n", command, strerror(-err));
    if (err || wait_or_end(pid) != 0)
        failed = 1;
    weft_recv(slots, NULL);
    weft_waitgroup_done(&running);
}

/* Waits for a free slot. False: there is none to wait for any more. */
static bool may_start(void)
{
    weft_case cases[] = {WEFT_CASE_SEND(slots, NULL), WEFT_CASE_RECV(stop, NULL)};
    return weft_select(cases, 2) == 0 && !is_stopping();
}

static int app(int argc, char **argv)
{
    int limit = argc > 1 ? atoi(argv[1]) : 0;
    if (limit < 1) {
        fprintf(stderr, "usage: run_commands NUMBER COMMAND...\n");
        return 2;
    }
    weft_chan *signals = weft_chan_make(sizeof(int), 1);
    slots = weft_chan_make(0, (size_t)limit);
    stop = weft_chan_make(0, 0);
    weft_signal_notify(signals, SIGTERM);
    weft_signal_notify(signals, SIGINT);
    weft_go(listen_for_signals, signals);
    int next = 2;
    for (; next < argc && may_start(); next++) {
        weft_waitgroup_add(&running, 1);
        weft_go(run, argv[next]);
    }
    weft_waitgroup_wait(&running);
    return failed || next < argc;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
