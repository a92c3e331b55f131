/* Races between plain accesses, as the explorer sees them: each byte remembers the step of its last write and each
 * thread's last read, and whoever writes it must have seen all of them, whoever reads it the write.
 *
 * The compiler tells of accesses by calling what -fsanitize=thread makes it call; ThreadSanitizer itself
 * is not there, and in its own flavour (and in ASan's, which cannot be combined with it) nobody calls. */
#include "tests/model/explorer.h"
#include "tests/test.h"

#include <string.h>

#ifndef EXPLORER_PLAIN
const bool explorer_sees_plain = false;

void plain_start(void)
{
}

void plain_watch(const void *memory, size_t size)
{
	(void)memory, (void)size;
}

void plain_vanish(const void *memory, size_t size)
{
	(void)memory, (void)size;
}

#else
const bool explorer_sees_plain = true;

enum { THREADS = 4, RANGES = 16, BYTES = 1 << 14, PROBES = 64 };

static struct {
	uintptr_t base;
	size_t size;
	bool gone;
} range[RANGES];
static int ranges;

static struct byte {
	uintptr_t address;
	uint32_t execution; /* of another one: an empty entry */
	uint8_t writer;
	uint32_t written; /* step */
	uint32_t read[THREADS];
} byte[BYTES];
static uint32_t execution;

void plain_start(void)
{
	execution++;
	ranges = 0;
}

void plain_watch(const void *memory, size_t size)
{
	CHECK(ranges < RANGES);
	range[ranges].base = (uintptr_t)memory;
	range[ranges].gone = false;
	range[ranges++].size = size;
}

static struct byte *byte_at(uintptr_t address)
{
	for (uintptr_t i = address * 0x9E3779B97F4A7C15u >> 50, n = 0; n < PROBES; n++, i++) {
		struct byte *b = &byte[i % BYTES];
		if (b->execution != execution) {
			memset(b, 0, sizeof *b);
			b->address = address;
			b->execution = execution;
		}
		if (b->address == address)
			return b;
	}
	test_fail(__FILE__, __LINE__, "too many bytes of plain memory");
}

static void write_byte(struct byte *b, int me, const char *what)
{
	bool alone = b->writer == me || explorer_has_seen(b->writer, b->written);
	for (int t = 0; t < THREADS; t++)
		alone &= t == me || explorer_has_seen(t, b->read[t]);
	explorer_check(alone, what);
	b->writer = (uint8_t)me;
	b->written = explorer_step() + 1; /* whoever sees the next one sees this */
}

static void read_byte(struct byte *b, int me)
{
	explorer_check(b->writer == me || explorer_has_seen(b->writer, b->written),
		       "plain memory is read after it was written");
	b->read[me] = explorer_step() + 1;
}

enum access { READ, WRITE };

static void touch(uintptr_t address, size_t size, enum access access)
{
	int me = explorer_self();
	if (me < 0)
		return;
	for (int r = ranges - 1; r >= 0; r--) {
		if (address - range[r].base >= range[r].size)
			continue;
		explorer_check(!range[r].gone, "nothing is touched once it has vanished");
		for (size_t i = 0; i < size; i++) {
			struct byte *b = byte_at(address + i);
			if (access == WRITE)
				write_byte(b, me, "plain memory is written after all others have done with it");
			else
				read_byte(b, me);
		}
		return;
	}
}

void plain_vanish(const void *memory, size_t size)
{
	for (size_t i = 0; i < size; i++)
		write_byte(byte_at((uintptr_t)memory + i), explorer_self(),
			   "whoever has touched what vanishes has done so before");
	plain_watch(memory, size);
	range[ranges - 1].gone = true;
}

#define CALLED(name, ...)                                                                          \
	void name(__VA_ARGS__);                                                                    \
	void name(__VA_ARGS__)
#define ACCESSES(size)                                                                             \
	CALLED(__tsan_read##size, const void *p) { touch((uintptr_t)p, size, READ); }              \
	CALLED(__tsan_write##size, void *p) { touch((uintptr_t)p, size, WRITE); }                  \
	CALLED(__tsan_unaligned_read##size, const void *p) { touch((uintptr_t)p, size, READ); }    \
	CALLED(__tsan_unaligned_write##size, void *p) { touch((uintptr_t)p, size, WRITE); }

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
CALLED(__tsan_read_range, const void *p, size_t n) { touch((uintptr_t)p, n, READ); }
CALLED(__tsan_write_range, void *p, size_t n) { touch((uintptr_t)p, n, WRITE); }
CALLED(__tsan_func_entry, void *pc) { (void)pc; }
CALLED(__tsan_func_exit, void) { }
CALLED(__tsan_init, void) { }

CALLED(*__tsan_memset, void *p, int c, size_t n)
{
	touch((uintptr_t)p, n, WRITE);
	return memset(p, c, n);
}

CALLED(*__tsan_memcpy, void *to, const void *from, size_t n)
{
	touch((uintptr_t)from, n, READ);
	touch((uintptr_t)to, n, WRITE);
	return memcpy(to, from, n);
}

/* The only operations on _Atomic objects here: a stand-in's, which wants to know what was there at first. */
#define ATOMIC_LOAD(bits)                                                                          \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *, int);                     \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *p, int order)               \
	{                                                                                          \
		(void)order;                                                                       \
		return *(const volatile uint##bits##_t *)p;                                        \
	}
ATOMIC_LOAD(8)
ATOMIC_LOAD(16)
ATOMIC_LOAD(32)
ATOMIC_LOAD(64)

/* What a public header has callers inline is compiled along, and goes past the explorer: no model calls it. */
bool __tsan_atomic64_compare_exchange_strong(volatile void *, void *, uint64_t, int, int);
bool __tsan_atomic64_compare_exchange_strong(volatile void *p, void *expected, uint64_t value, int order, int failed)
{
	(void)p, (void)expected, (void)value, (void)order, (void)failed;
	explorer_check(false, "every atomic operation is the explorer's");
	return false;
}

/* The same, as clang calls it. */
uint64_t __tsan_atomic64_compare_exchange_val(volatile void *, uint64_t, uint64_t, int, int);
uint64_t __tsan_atomic64_compare_exchange_val(volatile void *p, uint64_t expected, uint64_t value, int order, int failed)
{
	return !__tsan_atomic64_compare_exchange_strong(p, &expected, value, order, failed);
}
#endif
