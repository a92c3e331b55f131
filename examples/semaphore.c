/* A weighted semaphore: tasks take as much of something as they need, here of a budget of memory, in the order in which they ask. */
#include <weft/weft.h>

enum { BUDGET = 100 };

static weft_sem memory;
static weft_waitgroup running;
static _Atomic int used;
static _Atomic bool too_much;

static void work(void *arg)
{
    int need = (int)(intptr_t)arg;
    weft_sem_acquire(&memory, need);
    used += need;
    if (used > BUDGET)
        too_much = true;
    weft_sleep(WEFT_MS);
    used -= need;
    weft_sem_release(&memory, need);
    weft_waitgroup_done(&running);
}

static int app(int argc, char **argv)
{
    static const int needs[] = {10, 60, 30, 100, 5, 5, 40, 50};
    int n = sizeof needs / sizeof *needs;
    weft_sem_init(&memory, BUDGET);
    weft_waitgroup_add(&running, n);
    for (int i = 0; i < n; i++)
        weft_go(work, (void *)(intptr_t)needs[i]);
    weft_waitgroup_wait(&running);
    printf("%d tasks, within the budget: %s\n", n, too_much ? "no" : "yes");
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
