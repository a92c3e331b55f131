#include "lockfree/tsc.h"

#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct tsc tsc = {.counter = false, .ticks_per_ns = 1, .ns_per_tick_32 = UINT64_C(1) << 32};

static const char *source = "clock_gettime (not initialised)";

#if defined(__x86_64__)
enum { LEAF_POWER = 0x80000007, EDX_INVARIANT = 1 << 8, CALIBRATION_NS = 20000000, READINGS = 16 };

/* A processor may claim invariance where the kernel has seen its sockets drift apart: then "tsc" is
 * gone from the list. An unreadable list says nothing. */
static bool kernel_distrusts(void)
{
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/available_clocksource", "re");
	if (!f)
		return false;
	char line[256] = "";
	bool got = fgets(line, sizeof line, f) != NULL;
	fclose(f);
	return got && !strstr(line, "tsc");
}

struct reading {
	uint64_t ns, ticks;
};

/* Both clocks at one moment: of several tries, the one that took the fewest ticks. */
static struct reading read_both(void)
{
	struct reading best = {0};
	uint64_t least = UINT64_MAX;
	for (int i = 0; i < READINGS; i++) {
		uint64_t before = __builtin_ia32_rdtsc();
		uint64_t ns = tsc_monotonic_ns();
		uint64_t took = __builtin_ia32_rdtsc() - before;
		if (took < least) {
			least = took;
			best = (struct reading){ns, before + took / 2};
		}
	}
	return best;
}

static double calibrate(void)
{
	struct reading from = read_both();
	struct timespec rest = {0, CALIBRATION_NS};
	nanosleep(&rest, NULL);
	struct reading to = read_both();
	return (double)(to.ticks - from.ticks) / (double)(to.ns - from.ns);
}
#endif

/* Why the counter is not to be used, or NULL. */
static const char *distrust(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d = 0;
	if (!__get_cpuid(LEAF_POWER, &a, &b, &c, &d) || !(d & EDX_INVARIANT))
		return "clock_gettime (the TSC is not invariant)";
	return kernel_distrusts() ? "clock_gettime (the kernel does not trust the TSC)" : NULL;
#elif defined(__aarch64__)
	return NULL;
#else
	return "clock_gettime (no counter known on this processor)";
#endif
}

bool tsc_is_trusted(void)
{
	return !distrust();
}

static void use_counter(const char *name, double ticks_per_ns)
{
	source = name;
	tsc.ticks_per_ns = ticks_per_ns;
	tsc.ns_per_tick_32 = (uint64_t)(4294967296.0 / ticks_per_ns);
	tsc.counter = true;
}

void tsc_init(void)
{
	const char *why = distrust();
	if (why) {
		source = why;
		return;
	}
#if defined(__x86_64__)
	use_counter("tsc", calibrate());
#elif defined(__aarch64__)
	uint64_t hz;
	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	use_counter("cntvct", (double)hz / 1e9);
#endif
}

const char *tsc_source(void)
{
	return source;
}
