/* What the fuzz targets share: their entries, and mutations of these from a fixed seed.
 *
 * A target is a function of bytes that aborts when something does not hold. Built with -DWEFT_FUZZER libFuzzer calls
 * it; otherwise it is a test, which runs the corpus and mutations of it.
 */
#ifndef TESTS_FUZZ_CORPUS_H
#define TESTS_FUZZ_CORPUS_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CORPUS_ENTRIES_MAX = 256, CORPUS_BYTES_MAX = 4096 };

struct corpus {
	size_t count, longest; /* an entry has at most `longest` bytes */
	struct corpus_entry {
		uint8_t bytes[CORPUS_BYTES_MAX];
		size_t len;
	} entries[CORPUS_ENTRIES_MAX];
};

/* The files of a folder, each cut off at `longest`; there must be ten. The memory is static. */
const struct corpus *corpus_load(const char *folder, size_t longest);

/* Runs the target on mutations of the entries; the bytes that are inserted come from `alphabet`. */
void corpus_mutate(const struct corpus *, int64_t rounds, const char *alphabet, size_t alphabet_len,
		   int (*target)(const uint8_t *data, size_t n));

#endif
