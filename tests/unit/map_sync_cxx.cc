// The concurrent map from C++17, without a cast: what it finds wrong, or nullptr.
#include <weft/map_sync.h>

#include <string>

enum class color : unsigned char { red, green };

struct point {
	int x, y;
	long z;
};

static uint64_t hash_point(weft_seed seed, const point *p)
{
	return weft_hash_u64(seed, weft_hash_u64(seed, (uint64_t)p->x) ^ (uint64_t)p->y);
}

static bool same_point(const point *a, const point *b)
{
	return a->x == b->x && a->y == b->y;
}

WEFT_MAP_SYNC_OF(color, int, color_map);
WEFT_MAP_SYNC_OF(const char *, const void *, pointer_map);
WEFT_MAP_SYNC_BY(point, double, point_map, hash_point, same_point);
WEFT_MAP_SYNC_OF_STRING(point, string_map);
WEFT_MAP_SYNC_OF_BYTES(color, bytes_map);

extern "C" const char *map_sync_cxx_check(void);

static bool add_up(const char *key, point p, void *sum)
{
	*static_cast<int *>(sum) += std::to_string(p.x) == key ? p.x : 1000000;
	return true;
}

static const char *check_keys()
{
	static color_map colors;
	int value = 1;
	color_map_store(&colors, color::green, 3);
	if (!color_map_load(&colors, color::green, &value) || value != 3)
		return "a class of enumerators is no key";
	if (color_map_load(&colors, color::red, &value) || value != 0)
		return "an absent value is not zeroed";
	if (!color_map_compare_and_swap(&colors, color::green, 3, 4) || color_map_compare_and_delete(&colors, color::green, 3))
		return "values are not compared";
	color_map_fini(&colors);
	static pointer_map pointers;
	const void *before;
	pointer_map_store(&pointers, "a", &value);
	if (pointer_map_len(&pointers) != 1 || pointer_map_swap(&pointers, nullptr, nullptr, &before) || before)
		return "a pointer is no key";
	pointer_map_clear(&pointers);
	static point_map points;
	point_map_store(&points, point{1, 2, 3}, 0.5);
	if (!point_map_load(&points, point{1, 2, 0}, nullptr) || point_map_load(&points, point{2, 1, 3}, nullptr))
		return "a struct is no key";
	point_map_fini(&points);
	return nullptr;
}

const char *map_sync_cxx_check(void)
{
	static string_map strings;
	for (int i = 0; i < 100; i++)
		string_map_store(&strings, std::to_string(i).c_str(), point{i, i, 0});
	int sum = 0;
	string_map_range(&strings, add_up, &sum);
	if (sum != 4950)
		return "strings are not visited with their values";
	string_map_fini(&strings);
	static bytes_map bytes;
	color c;
	if (bytes_map_load_or_store(&bytes, weft_bytes{"a\0b", 3}, color::green, &c) || c != color::green)
		return "a value of a class of enumerators is lost";
	if (bytes_map_load(&bytes, weft_bytes{"a\0c", 3}, nullptr) || !bytes_map_del(&bytes, weft_bytes{"a\0b", 3}))
		return "bytes end at a zero";
	bytes_map_fini(&bytes);
	return check_keys();
}
