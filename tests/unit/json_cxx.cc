// JSON from C++17: what it finds wrong, or nullptr.
#include <weft/json.h>
#include <weft/mem.h>

#include <string>

namespace
{
enum class level : short { low, high };
struct item {
	long id;
	level at;
	char *name;
	char code[2];
	double price[2];
	struct item *next;
};
} // namespace

WEFT_SLICE_OF(item, items);
WEFT_MAP_OF_STRING(items, shelves);
WEFT_STRUCT(item, item, WEFT_FIELD(id), WEFT_FIELD(at, "json:level"), WEFT_FIELD(name, "json:,omitempty"), WEFT_FIELD(code),
	    WEFT_FIELD(price), WEFT_FIELD_OF(item, next, "json:,omitempty"));
WEFT_TYPE_SLICE(items, item);
WEFT_TYPE_MAP(shelves, string, items);

extern "C" const char *json_cxx_check(void);

const char *json_cxx_check(void)
{
	const std::string text =
	    R"({"a":[{"id":1,"level":1,"name":"x","code":"ab","price":[1.5,2],"next":{"id":2,"level":0,"code":"","price":[0,0]}}],"b":[]})";
	shelves s;
	weft_json_error e;
	if (weft_json_decode(weft_type_of(shelves), &s, text.data(), text.size(), nullptr, &e))
		return "what is right is refused";
	const items *a = shelves_at(s, "a");
	if (!a || a->len != 1 || a->data[0].at != level::high || a->data[0].next->id != 2)
		return "what is decoded is not there";
	char *again;
	size_t n;
	if (weft_json_encode(weft_type_of(shelves), &s, nullptr, &again, &n, &e) || std::string(again, n) != text)
		return "what is encoded is not what was decoded";
	weft_free(again);
	weft_value_fini(weft_type_of(shelves), &s);
	weft_json_options strict = {};
	strict.refuse_unknown = true;
	item i;
	if (weft_json_decode(weft_type_of(item), &i, "{\"x\":1}", 7, &strict, &e) != -22 || std::string(e.path) != "x")
		return "an unknown name is not refused";
	return nullptr;
}
