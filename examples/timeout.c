/* Three ways not to wait for ever: a deadline on the call, a timer beside it, and a context that ends for all who work for it. */
#include <weft/weft.h>

#include <errno.h>

static weft_chan *all_are_late;

static void answer_late(void *arg)
{
    weft_recv(all_are_late, NULL);
    weft_send(arg, "at last");              /* there is room for it, even if nobody waits any more */
}

static weft_chan *ask(void)
{
    weft_chan *reply = weft_chan_make(8, 1);
    weft_go(answer_late, reply);
    return reply;
}

static int app(int argc, char **argv)
{
    char text[8] = "";
    all_are_late = weft_chan_make(0, 0);
    weft_chan *first = ask(), *second = ask(), *third = ask();

    int got = weft_recv_until(first, text, weft_in(5 * WEFT_MS));
    printf("with a deadline: %s\n", got == -ETIMEDOUT ? "too late" : text);

    weft_chan *enough = weft_after(5 * WEFT_MS);
    weft_case cases[] = {WEFT_CASE_RECV(second, text), WEFT_CASE_RECV(enough, NULL)};
    printf("beside a timer: %s\n", weft_select(cases, 2) == 1 ? "too late" : text);
    weft_chan_free(enough);

    weft_ctx *ctx = weft_ctx_with_timeout(weft_ctx_background(), 5 * WEFT_MS);
    weft_case with_ctx[] = {WEFT_CASE_RECV(third, text), WEFT_CASE_RECV(weft_ctx_done(ctx), NULL)};
    printf("in a context: %s\n", weft_select(with_ctx, 2) == 1 ? weft_ctx_cause(ctx) : text);
    weft_ctx_free(ctx);

    weft_close(all_are_late);
    weft_recv(first, text);                 /* it comes all the same; a channel is freed when nobody uses it */
    weft_recv(second, text);
    weft_recv(third, text);
    printf("afterwards: %s\n", text);
    weft_chan_free(first);
    weft_chan_free(second);
    weft_chan_free(third);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
