/* A worker pool: so many goroutines take jobs from one channel and put results into another. weft_workers is the same, ready made,
 * for jobs that give no result. */
#include <weft/weft.h>

enum { WORKERS = 3, JOBS = 9 };

static weft_chan *jobs, *results;
static weft_waitgroup working;

static void work(void *arg)
{
    for (int job; weft_recv(jobs, &job);) { /* until there are no more */
        int result = job * job;
        weft_send(results, &result);
    }
    weft_waitgroup_done(&working);
}

static void end_results(void *arg)
{
    weft_waitgroup_wait(&working);          /* only then will nobody send any more */
    weft_close(results);
}

static int app(int argc, char **argv)
{
    jobs = weft_chan_make(sizeof(int), JOBS);
    results = weft_chan_make(sizeof(int), 0);
    weft_waitgroup_add(&working, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        weft_go(work, NULL);
    weft_go(end_results, NULL);
    for (int i = 1; i <= JOBS; i++)
        weft_send(jobs, &i);
    weft_close(jobs);
    int sum = 0, count = 0;
    for (int result; weft_recv(results, &result); count++)
        sum += result;
    printf("%d results, sum %d\n", count, sum);
    weft_chan_free(jobs);
    weft_chan_free(results);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
