/* Signals, as values on channels: package os/signal of Go, in C. */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <signal.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* From now on the signal does not do what it did: its number is sent on the channel, whose elements are int. Nobody waits
 * for the channel: when it is full, or unbuffered and nobody receives, the value is dropped. With room for one value, a
 * receiver always learns that a signal has come since it last looked. Several that come in quick
 * succession may be one value, as to the kernel.
 *
 * A channel may be given several signals, by a call for each, and a signal may go to several channels; the same
 * twice is once. A channel that is closed or freed is given no more.
 *
 * A NULL channel ends that for all channels of the signal: it does again what it did before the first call, which is the
 * default action, or for SIGQUIT a dump.
 *
 * 0; -ENOMEM; -EAGAIN: no thread to be had; -EINVAL: no such signal, or one that cannot be had (SIGKILL, SIGSTOP; SIGSEGV,
 * SIGBUS, SIGFPE and SIGILL, which are the faulting thread's; SIGURG, which is weft's), elements of another size, a closed
 * channel, or weft does not run; -ENOTSUP: in a simulation (WEFT_DEBUG=seed=N). */
WEFT_API int weft_signal_notify(weft_chan *, int signo);

/* Ends that for all signals of the channel; when it returns, nothing more is sent. A signal that has no channel left does
 * again what it did before. NULL is ignored. */
WEFT_API void weft_signal_stop(weft_chan *);

WEFT_END_DECLS

#endif
