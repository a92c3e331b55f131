/* A goroutine sends squares over a channel; the main goroutine prints them until the channel is closed. */
#include <weft/weft.h>

static void squares(void *arg)              /* a goroutine: void (*)(void *) */
{
    weft_chan *out = arg;
    for (int i = 0; i < 3; i++) {
        int square = i * i;
        weft_send(out, &square);            /* copies sizeof(int), the element size */
    }
    weft_close(out);
}

static int app(int argc, char **argv)       /* the main goroutine */
{
    weft_chan *c = weft_chan_make(sizeof(int), 0);
    weft_go(squares, c);
    for (int v; weft_recv(c, &v);)          /* false once closed and drained */
        printf("%d\n", v);
    weft_chan_free(c);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
