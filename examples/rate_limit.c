/* A rate limit: bursts of five, and then so many a second. Who may wait, waits its turn; who may not is turned away at once. */
#include <weft/weft.h>

enum { PER_SECOND = 200, BURST = 5 };

static int app(int argc, char **argv)
{
    int64_t began = weft_now();
    weft_limiter *limiter = weft_limiter_make(PER_SECOND, BURST);
    int served = 0, refused = 0;
    while (!refused)
        weft_limiter_allow(limiter, 1) ? served++ : refused++;
    printf("the burst is served: %s\n", served >= BURST ? "yes" : "no");

    for (int i = 0; i < 10; i++) {
        weft_limiter_wait_until(limiter, 1, WEFT_NEVER);
        served++;
    }
    double seconds = (double)(weft_now() - began) / WEFT_S;
    printf("then no more than %d a second: %s\n", PER_SECOND, served <= BURST + seconds * PER_SECOND ? "yes" : "no");
    printf("six at a time: %s\n", weft_limiter_wait_until(limiter, 6, WEFT_NEVER) ? "never" : "served");
    weft_limiter_free(limiter);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
