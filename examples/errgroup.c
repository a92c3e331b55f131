/* An error group: several parts of one answer are fetched at once. If one fails, the others are told to stop, and the caller gets the
 * first error in time. */
#include <weft/weft.h>

#include <errno.h>
#include <string.h>

struct part {
    const char *name;
    int64_t takes;
    int err;
};

static _Atomic int stopped;

static int fetch(weft_ctx *ctx, void *arg)
{
    struct part *p = arg;
    if (weft_recv_until(weft_ctx_done(ctx), NULL, weft_in(p->takes)) == 0) {
        stopped++;                          /* somebody else has failed */
        return weft_ctx_err(ctx);
    }
    return p->err;
}

static void fetch_all(struct part *parts, int n)
{
    weft_group *g = weft_group_make(NULL);
    for (int i = 0; i < n; i++)
        weft_group_go(g, fetch, &parts[i]);
    int err = weft_group_wait(g);
    printf("%s, %d stopped\n", err ? strerror(-err) : "all there", stopped);
}

static int app(int argc, char **argv)
{
    struct part good[] = {{"head", WEFT_MS, 0}, {"body", 2 * WEFT_MS, 0}, {"foot", WEFT_MS, 0}};
    struct part bad[] = {{"head", 3600 * WEFT_S, 0}, {"body", WEFT_MS, -ENOENT}, {"foot", 3600 * WEFT_S, 0}};
    fetch_all(good, 3);
    fetch_all(bad, 3);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
