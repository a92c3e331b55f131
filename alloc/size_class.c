#include "alloc/size_class.h"
#include "alloc/pages.h"

#include <assert.h>

#define SIZE(c) ((c) < 8 ? 8 * ((c) + 1) : (9 + (c) % 8) << ((c) / 8 + 2))

/* How many pages a span has: 32 KiB, or as many as SPAN_SLOTS objects need, or eight objects, and more where too much would be left over. */
#define CLASS(c, n) [c] = {(((uint64_t)1 << SIZE_SHIFT) + SIZE(c) - 1) / SIZE(c), SIZE(c), (n)*PAGE_BYTES / SIZE(c), (n)}

#define EIGHT(c, a, b, d, e, f, g, h, i)                                                                                   \
	CLASS(c, a), CLASS(c + 1, b), CLASS(c + 2, d), CLASS(c + 3, e), CLASS(c + 4, f), CLASS(c + 5, g), CLASS(c + 6, h), \
	    CLASS(c + 7, i)

const struct size_class size_classes[SIZE_CLASSES] = {
    EIGHT(0, 1, 2, 3, 4, 4, 4, 4, 4),	       EIGHT(8, 4, 4, 4, 4, 4, 4, 4, 4),  EIGHT(16, 4, 4, 4, 4, 4, 4, 4, 4),
    EIGHT(24, 4, 4, 4, 4, 4, 4, 4, 4),	       EIGHT(32, 4, 4, 4, 4, 4, 4, 4, 4), EIGHT(40, 4, 4, 4, 4, 4, 4, 4, 4),
    EIGHT(48, 4, 4, 4, 4, 5, 4, 4, 4),	       EIGHT(56, 6, 5, 7, 6, 9, 7, 8, 8), EIGHT(64, 9, 10, 11, 12, 13, 14, 15, 16),
    EIGHT(72, 18, 20, 22, 24, 26, 28, 30, 32),
};

static_assert(SIZE(0) == 8 && SIZE(7) == 64 && SIZE(8) == 72 && SIZE(15) == 128 && SIZE(16) == 144, "the sizes go on evenly");
static_assert(SIZE(SIZE_CLASSES - 1) == SMALL_MOST, "the last class has the largest size");
