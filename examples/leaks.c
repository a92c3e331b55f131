/* How goroutines leak, and what cures it. One that waits for what never comes stays, with its stack and all that it refers to. */
#include <weft/weft.h>

static void send_answer(void *ch)
{
    weft_send(ch, &(int){42});
}

/* The caller gives up, and nobody receives. Cure: room for the answer, so that sending it waits for nobody. */
static void abandoned_sender(void)
{
    weft_chan *reply = weft_chan_make(sizeof(int), 1);      /* with 0 send_answer waits for ever */
    weft_go(send_answer, reply);
    if (weft_recv_until(reply, NULL, weft_in(10 * WEFT_US)) < 0)
        weft_recv(reply, NULL);                             /* it is freed when nobody uses it any more */
    weft_chan_free(reply);
}

static void read_all(void *ch)
{
    while (weft_recv(ch, NULL)) {}
    weft_chan_free(ch);
}

/* The sender has sent all, and says nothing. Cure: it closes the channel. */
static void forgotten_receiver(void)
{
    weft_chan *ch = weft_chan_make(sizeof(int), 0);
    weft_go(read_all, ch);
    weft_send(ch, &(int){1});
    weft_close(ch);                                         /* without it read_all waits for ever */
}

static void watch(void *ctx)
{
    weft_recv(weft_ctx_done(ctx), NULL);
    weft_ctx_free(ctx);
}

/* A context that is never cancelled. Cure: whoever makes one cancels it, or gives it back, on every path. */
static void context_without_end(void)
{
    weft_ctx *ctx = weft_ctx_with_cancel(weft_ctx_background());
    weft_go(watch, weft_ctx_ref(ctx));
    weft_ctx_cancel(ctx, NULL);                             /* without it watch waits for ever */
    weft_ctx_free(ctx);
}

static int app(int argc, char **argv)
{
    abandoned_sender(), forgotten_receiver(), context_without_end();
    for (; weft_num_goroutine() > 1; weft_yield()) {}
    printf("goroutines left: %ld\n", weft_num_goroutine());
    if (weft_leaks(1) == 0)                                 /* a line for the end of a test: it prints who has leaked */
        printf("none has leaked\n");
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
