/* The same model with more slots: thieves take two at a time. */
#define RUNQ_SLOTS 4u
#define SCRIPTS    "PPPpPpPP", "PPPPpPP", "PPPlP"
#include "tests/model/runq.c"
