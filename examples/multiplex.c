/* Multiplexing: one goroutine listens to several channels with select. A channel that has ended is set to NULL, which is never ready, and
 * so drops out of the choice. */
#include <weft/weft.h>

struct speaker {
    weft_chan *out;
    int times;
};

static void speak(void *arg)
{
    struct speaker *s = arg;
    for (int i = 0; i < s->times; i++) {
        weft_send(s->out, &i);
        weft_yield();
    }
    weft_close(s->out);
}

static int app(int argc, char **argv)
{
    struct speaker ann = {weft_chan_make(sizeof(int), 0), 5}, joe = {weft_chan_make(sizeof(int), 0), 8};
    int value, heard[2] = {0, 0};
    weft_go(speak, &ann);
    weft_go(speak, &joe);
    weft_case cases[] = {WEFT_CASE_RECV(ann.out, &value), WEFT_CASE_RECV(joe.out, &value)};
    while (cases[0].ch || cases[1].ch) {
        int who = weft_select(cases, 2);
        if (cases[who].ok)
            heard[who]++;
        else
            cases[who].ch = NULL;
    }
    printf("ann %d, joe %d\n", heard[0], heard[1]);
    weft_chan_free(ann.out);
    weft_chan_free(joe.out);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
