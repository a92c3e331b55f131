/* A program run from a seed: WEFT_DEBUG=seed=N. Same seed, same program, same run. How it is done is in sim.c.
 *
 * These are the places at which the scheduler's own source asks. Where it is off, sim_on is one load and a branch in code that
 * is cold, or reads a clock.
 */
#ifndef RUNTIME_SIM_H
#define RUNTIME_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct g;
struct m;
struct p;
struct topo;

/* Written before the Ps start. */
extern bool sim_on;

/* What happens, and what it is counted and charged as. */
enum sim_event {
	SIM_STEP,   /* a goroutine parks, yields or ends */
	SIM_CALL,   /* a call into weft ends */
	SIM_FOUND,  /* a P that had nothing has something to run */
	SIM_LOOK,   /* a P has looked everywhere, and found nothing */
	SIM_DROWSE, /* and is about to say that it sleeps, or to look for the last time */
	SIM_SLEEP,
	SIM_WAKE,   /* about the one that is woken */
	SIM_POKE,   /* and about who wakes it */
	SIM_FIRE,   /* timers of the P */
	SIM_SELECT,
	SIM_WORK,
};

/* The machine that is simulated. Written before weft_main by a test that wants another than the seed's own (sim.c), which
 * takes no time for anything and loses none. */
struct sim_machine {
	unsigned nodes, cores_per_node;
	/* What the event costs the P, in ns; of a SIM_WAKE, how long the woken core takes to come up. */
	int64_t (*cost)(enum sim_event, struct p *);
};
extern const struct sim_machine *sim_machine;

enum sim_delays { SIM_DELAYS, SIM_NO_DELAYS };

/* ---- start.c, placement.c ---- */

/* From here on time is virtual, and everything that is random comes from the seed. */
void sim_start(uint64_t seed, enum sim_delays);

/* The simulated machine, with a core for each P. */
void sim_topo(struct topo *, unsigned procs);

/* Memory for as many Ms as there are Ps; before there is a goroutine, for goroutines look at Ms. */
void sim_make_ms(void);

/* As m_each (sched.h), of its Ms. */
void sim_each_m(void (*see)(void *m, void *arg), void *arg);

/* Where an M stands that others run before, if that is on the stack [base, top); NULL: none does. */
const void *sim_stands_within(const char *base, const char *top);

/* By a thread that is a reader of grace periods: runs all Ms, until the program has ended. */
void sim_run(void);

/* The line with seed and trace; once. */
void sim_report(void);

/* A thread that weft did not make calls it: a panic while the program runs. */
void sim_refuse_outside(void);

/* ---- the scheduler ---- */

int64_t sim_now(void);
uint64_t sim_cycles(void);
uint64_t sim_random(void);

/* After a look around (sched.c), to which every step comes. g, if there is one, is what runs next. */
void sim_looked(struct p *, struct g *);

/* Others may go on here. */
void sim_point(enum sim_event);

/* A goroutine is about to make a step that comes to no look. True: it may, for there is more than one left. */
bool sim_has_steps(struct m *);

/* After find_work; g may be NULL. */
void sim_found(struct p *, struct g *);

/* In place of a pause, and of a sleep. */
void sim_pause(const struct p *, int64_t ns);
void sim_sleep(struct p *, int64_t timeout);
void sim_wake(struct p *);

/* At the end of each outermost call; of those that may block, a goroutine may come back on another M. */
void sim_call_ends(struct m *);
void sim_blocking_call_ends(void);

/* Something that the trace should have, and no place of the above tells. */
void sim_trace(enum sim_event, uint64_t what, uint64_t how);

/* ---- tests ---- */

/* The calling goroutine computes for so long. */
void sim_work(int64_t ns);

#endif
