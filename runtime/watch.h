/* The watch: while some Ps work, and others sleep or compute, sysmon looks whether anything is left lying that another P could do.
 *
 * A P says nothing while its goroutine computes, or while its thread is kept from its CPU (by another process, or by
 * whoever lends out the machine's cores): it fires no timer, asks no poller, and what it has readied may have been left
 * without a wake (sched.c). Such a P is known by what stays as it is between two looks. One that sleeps, and leaves nothing lying
 * itself, is woken to help. If there is none, one that computes could be taken for it (takeover.h).
 *
 * The looks are WATCH_EVERY apart, since each costs some µs, for as long as there is anybody to help and for WATCH_ON after that: a P
 * that sleeps a little after each burst is seen asleep at most looks. A machine without work is not looked at.
 */
#ifndef RUNTIME_WATCH_H
#define RUNTIME_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* What a look has come to. */
struct watch_look {
	int64_t pause; /* until the next one, in ns; INT64_MAX: nobody works, or nobody could help */
	bool unhelped; /* something is left lying, and no P sleeps that could be woken for it */
};

/* Does some P compute, and another not? */
struct watch_look watch_look(int64_t now, bool some_compute);

#endif
