/* Graceful shutdown: SIGTERM stops new work from being taken in, what is under way may end within its time, and the program says how it
 * went. (The third request has it sent to itself.) */
#include <weft/weft.h>

#include <signal.h>
#include <unistd.h>

static weft_waitgroup under_way;
static _Atomic int finished;

static void handle(void *request)
{
    weft_sleep(5 * WEFT_MS);
    if (++finished == 3)
        kill(getpid(), SIGTERM);
    weft_waitgroup_done(&under_way);
}

static int app(int argc, char **argv)
{
    int taken = 0, signo = 0;
    weft_chan *signals = weft_chan_make(sizeof(int), 1);
    weft_signal_notify(signals, SIGTERM);
    weft_signal_notify(signals, SIGINT);
    weft_ticker *requests = weft_ticker_make(WEFT_MS);
    weft_case cases[] = {WEFT_CASE_RECV(signals, &signo), WEFT_CASE_RECV(weft_ticker_chan(requests), NULL)};
    while (weft_select(cases, 2) == 1) {
        weft_waitgroup_add(&under_way, 1);
        weft_go(handle, NULL);
        taken++;
    }
    weft_ticker_free(requests);
    weft_signal_stop(signals);
    bool drained = weft_waitgroup_wait_until(&under_way, weft_in(10 * WEFT_S)) == 0;
    printf("signal %d: %s\n", signo, drained && finished == taken ? "all that was taken is finished" : "gave up");
    weft_chan_free(signals);
    return drained ? 0 : 1;
}

int main(int argc, char **argv) { return weft_main(argc, argv, app); }
