/* The ways of looking at a control word give the same answers: those of a loop. */
#include "tests/random.h"
#include "tests/test.h"

#include <weft/map_group.h>

static unsigned char byte_of(uint64_t word, int slot)
{
	return (unsigned char)(word >> 8 * slot);
}

/* The arithmetic's form: the highest bit of each byte that is found. */
static uint64_t matches(uint64_t word, uint8_t control)
{
	uint64_t bits = 0;
	for (int i = 0; i < 8; i++)
		bits |= (uint64_t)(byte_of(word, i) == control) << (8 * i + 7);
	return bits;
}

static uint64_t taken(uint64_t word)
{
	uint64_t bits = 0;
	for (int i = 0; i < 8; i++)
		bits |= (uint64_t)(byte_of(word, i) >= 128) << (8 * i + 7);
	return bits;
}

#if defined(__SSE2__)
/* One bit a slot, as in movemask's form. */
static uint64_t narrow(uint64_t bits)
{
	uint64_t mask = 0;
	for (int i = 0; i < 8; i++)
		mask |= (bits >> (8 * i + 7) & 1) << i;
	return mask;
}
#endif

static void compare(uint64_t word, uint8_t control)
{
	CHECK(weft_group_match_word_(word, control) == matches(word, control));
	CHECK(weft_group_taken_word_(word) == taken(word));
#if defined(__SSE2__)
	CHECK(weft_group_match_sse2_(word, control) == narrow(matches(word, control)));
	CHECK(weft_group_taken_sse2_(word) == narrow(taken(word)));
#endif
#if defined(__ARM_NEON)
	CHECK(weft_group_match_neon_(word, control) == matches(word, control));
#endif
}

TEST(every_byte_beside_every_other)
{
	for (unsigned low = 0; low < 256; low++)
		for (unsigned high = 0; high < 256; high++) {
			uint64_t word = low * UINT64_C(0x0000010000010001) | high * UINT64_C(0x0101000001000100);
			compare(word, (uint8_t)low);
			compare(word, (uint8_t)high);
			compare(word, (uint8_t)(low ^ 1));
			compare(word, WEFT_SLOT_EMPTY_);
		}
}

TEST(random_words)
{
	uint64_t random = random_seed();
	for (int64_t i = test_rounds(300000); i > 0; i--) {
		uint64_t word = draw(&random), other = draw(&random);
		compare(word & other, (uint8_t)draw(&random));
		compare(word & other & draw(&random), WEFT_SLOT_EMPTY_);
		compare(word, byte_of(word, (int)(other & 7)));
	}
}

/* A control word as a map would have it, by the names that maps use. */
TEST(slots_by_their_state)
{
	uint64_t word = 0;
	static const unsigned char controls[8] = {0, 1, 128 | 5, 255, 0, 128 | 5, 1, 128};
	for (int i = 0; i < 8; i++)
		word |= (uint64_t)controls[i] << 8 * i;
	const struct {
		uint64_t bits;
		const char *slots;
	} looks[] = {{weft_group_match_(word, 128 | 5), "25"}, {weft_group_taken_(word), "2357"},
		     {weft_group_free_(word), "0146"}, {weft_group_empty_(word), "04"},
		     {weft_group_match_(word, WEFT_SLOT_DELETED_), "16"}, {weft_group_match_(word, 128 | 6), ""}};
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		char slots[9] = "";
		int n = 0;
		for (uint64_t bits = looks[i].bits; bits; bits &= bits - 1)
			slots[n++] = (char)('0' + weft_group_slot_(bits));
		CHECK_STR(slots, looks[i].slots);
	}
}
