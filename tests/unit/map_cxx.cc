// Maps from C++17, without a cast: what it finds wrong, or nullptr.
#include <weft/map.h>

#include <string>

enum class color : unsigned char { red, green };

struct point {
	int x, y;
};

static uint64_t hash_point(weft_seed seed, const point *p)
{
	return weft_hash_u64(seed, weft_hash_u64(seed, (uint64_t)p->x) ^ (uint64_t)p->y);
}

static bool same_point(const point *a, const point *b)
{
	return a->x == b->x && a->y == b->y;
}

WEFT_MAP_OF(color, int, color_map);
WEFT_MAP_OF(const char *, const void *, pointer_map);
WEFT_MAP_BY(point, double, point_map, hash_point, same_point);
WEFT_MAP_OF_STRING(point, string_map);
WEFT_MAP_OF_BYTES(int, bytes_map);
WEFT_SET_OF(long, long_set);
static_assert(sizeof(long_set_entry_) == sizeof(long), "as in C");

extern "C" const char *map_cxx_check(void);

static const char *check_keys()
{
	color_map colors = color_map_make(0);
	color_map_put(colors, color::green, 3);
	int value = 1;
	if (!color_map_get(colors, color::green, &value) || value != 3)
		return "a class of enumerators is no key";
	if (color_map_get(colors, color::red, &value) || value != 0)
		return "an absent value is not zeroed";
	color_map_free(colors);
	pointer_map pointers = pointer_map_make(0);
	pointer_map_put(pointers, "a", &value);
	if (pointer_map_len(pointers) != 1)
		return "a pointer is no key";
	pointer_map_free(pointers);
	point_map points = point_map_make(10);
	point_map_put(points, point{1, 2}, 0.5);
	if (!point_map_at(points, point{1, 2}) || point_map_at(points, point{2, 1}))
		return "a struct is no key";
	point_map_free(points);
	return nullptr;
}

static const char *check_bytes()
{
	string_map strings = string_map_make(0);
	for (int i = 0; i < 100; i++)
		string_map_put(strings, std::to_string(i).c_str(), point{i, i});
	weft_map_iter it = {};
	const char *key;
	point p;
	int sum = 0;
	while (string_map_next(strings, &it, &key, &p))
		sum += std::stoi(key) == p.x ? p.x : 1000000;
	if (sum != 4950)
		return "strings are not produced with their values";
	string_map_free(strings);
	bytes_map bytes = bytes_map_make(0);
	bytes_map_put(bytes, weft_bytes{"a\0b", 3}, 1);
	if (bytes_map_get(bytes, weft_bytes{"a\0c", 3}, nullptr))
		return "bytes end at a zero";
	bytes_map_free(bytes);
	return nullptr;
}

const char *map_cxx_check(void)
{
	long_set set = long_set_make(0);
	if (!long_set_add(set, 1) || long_set_add(set, 1) || !long_set_has(set, 1) || long_set_len(set) != 1)
		return "a set does not count its members";
	long_set_free(set);
	const char *wrong = check_keys();
	return wrong ? wrong : check_bytes();
}
