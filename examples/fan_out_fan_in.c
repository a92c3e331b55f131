/* Fan-out: several goroutines receive from one channel, each element goes to one of them. Fan-in: what they send arrives on one
 * channel, which the last of them closes. */
#include <weft/weft.h>

WEFT_CHAN_OF(long, longs);

enum { SQUARERS = 4 };

static longs in, out;
static _Atomic int left = SQUARERS;

static void make_numbers(void *arg)
{
    for (long i = 1; i <= 100; i++)
        longs_send(in, i);
    longs_close(in);
}

static void square(void *arg)
{
    for (long n; longs_recv(in, &n);)
        longs_send(out, n * n);
    if (--left == 0)
        longs_close(out);
}

static int app(int argc, char **argv)
{
    in = longs_make(0);
    out = longs_make(0);
    weft_go(make_numbers, NULL);
    for (int i = 0; i < SQUARERS; i++)
        weft_go(square, NULL);
    long sum = 0;
    for (long n; longs_recv(out, &n);)
        sum += n;
    printf("sum of squares: %ld\n", sum);
    longs_free(in);
    longs_free(out);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
