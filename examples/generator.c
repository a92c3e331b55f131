/* A generator: a goroutine that makes values for whoever asks, for as long as somebody does.
 *
 * The consumer says that it has had enough by closing `quit`; without that the generator would wait for ever with a
 * number that nobody takes. */
#include <weft/weft.h>

struct fibonacci {
    weft_chan *numbers, *quit;
    weft_waitgroup running;
};

static void generate(void *arg)
{
    struct fibonacci *f = arg;
    long a = 0, b = 1;
    for (;;) {
        weft_case cases[] = {WEFT_CASE_SEND(f->numbers, &a), WEFT_CASE_RECV(f->quit, NULL)};
        if (weft_select(cases, 2) == 1)
            break;
        long next = a + b;
        a = b;
        b = next;
    }
    weft_waitgroup_done(&f->running);
}

static int app(int argc, char **argv)
{
    struct fibonacci f = {.numbers = weft_chan_make(sizeof(long), 0), .quit = weft_chan_make(0, 0)};
    weft_waitgroup_add(&f.running, 1);
    weft_go(generate, &f);
    for (long n; weft_recv(f.numbers, &n) && n < 100;)
        printf("%ld\n", n);
    weft_close(f.quit);
    weft_waitgroup_wait(&f.running);        /* from here on nobody uses the channels */
    weft_chan_free(f.numbers);
    weft_chan_free(f.quit);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
