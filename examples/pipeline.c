/* A pipeline whose stages end together: the first error cancels the group's context, for which who hands on waits too. */
#include <weft/weft.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static weft_chan *words, *numbers;

/* False: the context has ended. */
static bool hand_on(weft_ctx *ctx, weft_chan *to, const void *elem)
{
    weft_case cases[] = {WEFT_CASE_SEND(to, elem), WEFT_CASE_RECV(weft_ctx_done(ctx), NULL)};
    return weft_select(cases, 2) == 0;
}

static int cut_up(weft_ctx *ctx, void *text)
{
    for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest)) && hand_on(ctx, words, &word);) {}
    weft_close(words);
    return 0;
}

static int parse(weft_ctx *ctx, void *arg)
{
    char *word, *end = "";
    while (!*end && weft_recv(words, &word)) {
        long n = strtol(word, &end, 10);
        if (!*end && !hand_on(ctx, numbers, &n))
            break;
    }
    weft_close(numbers);
    return *end ? -EINVAL : 0;
}

static void add_up(char *text)
{
    long sum = 0;
    words = weft_chan_make(sizeof(char *), 0);
    numbers = weft_chan_make(sizeof(long), 0);
    weft_group *g = weft_group_make(NULL);
    weft_group_go(g, cut_up, text);
    weft_group_go(g, parse, NULL);
    for (long n; weft_recv(numbers, &n);)   /* the last stage */
        sum += n;
    int err = weft_group_wait(g);
    printf("%s, sum %ld\n", err ? strerror(-err) : "well", sum);
    weft_chan_free(words);
    weft_chan_free(numbers);
}

static int app(int argc, char **argv)
{
    add_up((char[]){"1 2 3 4"});
    add_up((char[]){"1 2 three 4 5 6"});
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
