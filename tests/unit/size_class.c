#include "alloc/size_class.h"
#include "alloc/pages.h"
#include "tests/test.h"

TEST(a_size_has_the_least_class_that_holds_it)
{
	unsigned c = 0;
	for (size_t size = 1; size <= SMALL_MOST; size++) {
		if (size > size_classes[c].size)
			c++;
		CHECK_EQ(size_class_of(size), c);
	}
	CHECK_EQ(c, SIZE_CLASSES - 1);
}

TEST(no_size_of_whole_words_wastes_more_than_a_ninth)
{
	for (size_t size = 8; size <= SMALL_MOST; size += 8) {
		size_t waste = size_classes[size_class_of(size)].size - size;
		CHECK(waste * 9 <= size_classes[size_class_of(size)].size);
	}
}

TEST(an_object_is_aligned_as_its_size_is)
{
	for (size_t align = 8; align <= 64; align *= 2)
		for (size_t size = align; size <= SMALL_MOST; size += align)
			CHECK_EQ(size_classes[size_class_of(size)].size % align, 0);
}

TEST(a_span_is_nearly_full_of_objects)
{
	for (unsigned c = 0; c < SIZE_CLASSES; c++) {
		const struct size_class *k = &size_classes[c];
		size_t bytes = (size_t)k->pages * PAGE_BYTES, left = bytes - (size_t)k->slots * k->size;
		CHECK(left < k->size && left * 16 <= bytes);
		CHECK(k->slots >= 8 && k->slots <= SPAN_SLOTS);
	}
}

TEST(every_byte_of_a_span_is_in_its_slot)
{
	for (unsigned c = 0; c < SIZE_CLASSES; c++) {
		const struct size_class *k = &size_classes[c];
		for (size_t at = 0; at < (size_t)k->pages * PAGE_BYTES; at++)
			CHECK_EQ(size_class_slot(k, at), at / k->size);
	}
}
