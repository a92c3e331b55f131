/* A cache without a stampede: of all who find an entry missing at the same time one fetches it, and the others wait for that. What is
 * in the cache stays there, so nobody frees what they share. */
#include <weft/weft.h>

#include <string.h>

WEFT_MAP_OF_STRING(const char *, pages);

static pages cache;
static weft_rwmutex lock;                   /* the cache's */
static weft_flight flight;
static _Atomic int fetches;

static const char *look(const char *name)
{
    const char *page;
    weft_rwmutex_rlock(&lock);
    pages_get(cache, name, &page);
    weft_rwmutex_runlock(&lock);
    return page;
}

static int fetch(const char *name, void *arg, void **value)
{
    const char *page = look(name);          /* has it been fetched since we looked? */
    if (!page) {
        weft_sleep(10 * WEFT_MS);           /* it is far away */
        fetches++;
        page = "some text";
        weft_rwmutex_lock(&lock);
        pages_put(cache, name, page);
        weft_rwmutex_unlock(&lock);
    }
    *value = (void *)page;
    return 0;
}

static int read_it(weft_ctx *ctx, void *name)
{
    weft_flight_result r = {.value = (void *)look(name)};
    if (!r.value && weft_flight_do_until(&flight, name, fetch, NULL, &r, weft_in(10 * WEFT_S)))
        return -1;
    return strcmp(r.value, "some text");
}

static int app(int argc, char **argv)
{
    static char *const names[] = {"front", "news", "about"};
    cache = pages_make(0);
    weft_group *g = weft_group_make(NULL);
    for (int i = 0; i < 3000; i++)
        weft_group_go(g, read_it, names[i % 3]);
    printf("3000 readers, %s, ", weft_group_wait(g) ? "some without" : "all served");
    printf("%d fetches\n", fetches);
    pages_free(cache);
    return 0;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
