/* Publish and subscribe: each subscriber has a queue of its own. One that is slow loses its oldest messages, and holds up nobody. */
#include <weft/weft.h>

enum { SUBSCRIBERS = 3, MESSAGES = 100, ROOM = 10 };

struct subscriber {
    weft_queue *messages;
    int seen, last;
};

static struct subscriber subscribers[SUBSCRIBERS];
static weft_waitgroup reading;

static void publish(int message)
{
    for (int i = 0; i < SUBSCRIBERS; i++)
        weft_queue_put(subscribers[i].messages, &message);
}

static void read_all(void *arg)
{
    struct subscriber *s = arg;
    for (int message; weft_queue_get(s->messages, &message);) {
        s->seen++;
        s->last = message;
    }
    weft_waitgroup_done(&reading);
}

static int app(int argc, char **argv)
{
    for (int i = 0; i < SUBSCRIBERS; i++)
        subscribers[i].messages = weft_queue_make(sizeof(int), ROOM, WEFT_QUEUE_SHED);
    for (int i = 1; i <= MESSAGES; i++)     /* nobody reads yet: the slowest that can be */
        publish(i);
    weft_waitgroup_add(&reading, SUBSCRIBERS);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        weft_queue_close(subscribers[i].messages);
        weft_go(read_all, &subscribers[i]);
    }
    weft_waitgroup_wait(&reading);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        printf("subscriber %d: %d messages, the last %d\n", i, subscribers[i].seen, subscribers[i].last);
        weft_queue_free(subscribers[i].messages);
    }
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
