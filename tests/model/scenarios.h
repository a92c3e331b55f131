/* How models try short scripts, one for each goroutine, one scenario after the other. */
#ifndef TESTS_MODEL_SCENARIOS_H
#define TESTS_MODEL_SCENARIOS_H

#include "tests/model/explorer.h"
#include "tests/test.h"

#include <stdio.h>

static inline int scripts(const char *const script[3])
{
	int n = 0;
	while (n < 3 && *script[n])
		n++;
	return n;
}

/* What breaks first, or NULL. A spoilt one, and a slow flavour, has fewer preemptions. */
static inline const char *explore_scripts(const char *const script[3], struct explorer_program p,
					  const struct explorer_mutation *m)
{
	if (m && p.preemptions > 2)
		p.preemptions = 2;
	if (!m && test_is_slow())
		p.preemptions--;
	struct explorer_result r = explore(&p, m);
	if (!m)
		fprintf(stderr, "# %s %s %s: %lld executions\n", script[0], script[1], script[2], (long long)r.executions);
	return r.broken;
}

#endif
