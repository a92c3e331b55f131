/* Producers and consumers around a bounded queue. Whoever produces faster than others consume waits (back-pressure), instead of filling the
 * memory; with WEFT_QUEUE_REJECT it would be told so, with WEFT_QUEUE_SHED the oldest would go. */
#include <weft/weft.h>

enum { PRODUCERS = 3, CONSUMERS = 2, EACH = 1000 };

static weft_queue *queue;
static weft_waitgroup producing, consuming;
static _Atomic long consumed, sum;

static void produce(void *arg)
{
    for (int i = 1; i <= EACH; i++)
        weft_queue_put(queue, &i);
    weft_waitgroup_done(&producing);
}

static void consume(void *arg)
{
    for (int item; weft_queue_get(queue, &item);) {
        consumed++;
        sum += item;
    }
    weft_waitgroup_done(&consuming);
}

static int app(int argc, char **argv)
{
    queue = weft_queue_make(sizeof(int), 16, WEFT_QUEUE_BLOCK);
    weft_waitgroup_add(&producing, PRODUCERS);
    weft_waitgroup_add(&consuming, CONSUMERS);
    for (int i = 0; i < PRODUCERS; i++)
        weft_go(produce, NULL);
    for (int i = 0; i < CONSUMERS; i++)
        weft_go(consume, NULL);
    weft_waitgroup_wait(&producing);
    weft_queue_close(queue);                /* the consumers end when it is empty */
    weft_waitgroup_wait(&consuming);
    printf("%ld consumed, sum %ld\n", consumed, sum);
    weft_queue_free(queue);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
