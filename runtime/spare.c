#include "runtime/spare.h"
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "runtime/sched.h"

enum { SPARE_MOST = 16 };

static struct {
	struct spin lock;
	struct m *first;
	unsigned n;
} spares;

static struct m *pop(void)
{
	spin_lock(&spares.lock);
	struct m *m = spares.first;
	if (m) {
		spares.first = m->next;
		spares.n--;
	}
	spin_unlock(&spares.lock);
	return m;
}

/* False: there are enough. */
static bool push(struct m *m)
{
	spin_lock(&spares.lock);
	bool room = spares.n < SPARE_MOST;
	if (room) {
		m->next = spares.first;
		spares.first = m;
		spares.n++;
	}
	spin_unlock(&spares.lock);
	return room;
}

static void tell(struct m *m)
{
	store_rel(&m->xtold, 1); /* R1 */
	os_futex_wake(&m->xtold);
}

struct m *spare_get(void)
{
	struct m *m = pop();
	if (!m && load_rlx(&sched.xthreads) < sched.nprocs + sched.max_threads)
		m = m_start(NULL);
	if (!m)
		add_rlx(&sched.refused, 1);
	return m;
}

void spare_hand(struct m *m, struct p *p)
{
	m->handed = p;
	tell(m);
}

void spare_put(struct m *m)
{
	if (!push(m))
		spare_hand(m, NULL);
}

/* Waits to be told, and takes what it has been handed. At the end of the program nobody need tell it; what sysmon may be about
 * to hand it then is left alone. */
static void await(struct m *m)
{
	while (!load_acq(&m->xtold)) { /* A1 */
		if (load_acq(&sched.stopping))
			return;
		os_futex_wait(&m->xtold, 0, -1);
	}
	store_rlx(&m->xtold, 0);
	struct p *p = m->handed;
	m->handed = NULL;
	if (p)
		m_take_p(m, p);
}

bool spare_wait(struct m *m)
{
	if (load_rlx(&m->lowered) || (!m->fresh && !push(m)))
		return false;
	m->fresh = false;
	await(m);
	return m_p(m) != NULL;
}

void spare_wake_all(void)
{
	spin_lock(&spares.lock);
	for (struct m *m = spares.first; m; m = m->next)
		tell(m);
	spin_unlock(&spares.lock);
}
