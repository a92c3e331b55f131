/* Bounded parallelism: as many tasks as there are, of which only so many run at a time. Starting one beyond the limit waits, so the tasks that
 * are not started yet cost nothing. */
#include <weft/weft.h>

enum { TASKS = 50, AT_A_TIME = 4 };

static _Atomic int running;
static _Atomic bool too_many;
static long totals[TASKS];

static int total(weft_ctx *ctx, void *number)
{
    if (++running > AT_A_TIME)
        too_many = true;
    weft_yield();
    int n = (int)(intptr_t)number;
    for (int i = 0; i <= n; i++)
        totals[n] += i;
    running--;
    return 0;
}

static int app(int argc, char **argv)
{
    weft_group *g = weft_group_make(NULL);
    weft_group_limit(g, AT_A_TIME);
    for (intptr_t i = 0; i < TASKS; i++)
        weft_group_go(g, total, (void *)i);
    weft_group_wait(g);
    long all = 0;
    for (int i = 0; i < TASKS; i++)
        all += totals[i];
    printf("total %ld, never more than %d at a time: %s\n", all, AT_A_TIME, too_many ? "no" : "yes");
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
