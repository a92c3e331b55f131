/* The machine's own stalls, as a program that wants to run sees them.
 *
 * A thread bound to a CPU sleeps for a short interval, with a timer slack of 1 ns, and compares the
 * time that passed with the time it asked for. The overshoot is the machine's: timer hardware,
 * wake-up of an idle core, other threads, interrupts, the hypervisor. A server on that machine
 * cannot do better. Stalls inside a sleep do not show, so the counts are those of wake-ups, not of
 * time lost.
 *
 * After Gil Tene's jHiccup and the real-time kernel's cyclictest.
 */
#ifndef TUNING_HICCUP_H
#define TUNING_HICCUP_H

#include "lockfree/histogram.h"

struct hiccup_meter {
	int cpu;		    /* set by the caller */
	uint64_t interval_ns;	    /* likewise */
	const _Atomic int *stop;    /* likewise; read after every interval */
	struct histogram overshoot; /* ns; likewise initialised */
	int error;		    /* out: negative errno, the CPU could not be had */
};

/* Measures until *stop. A thread's start routine, arg a struct hiccup_meter. */
void *hiccup_measure(void *meter);

#endif
