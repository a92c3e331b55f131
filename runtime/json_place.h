/* Where in a text something is, and what is wrong with a text that the library refuses. Only errors come here. */
#ifndef RUNTIME_JSON_PLACE_H
#define RUNTIME_JSON_PLACE_H

#include <weft/json.h>

WEFT_BEGIN_DECLS

struct json_source {
	const char *text;
	size_t n;
	const weft_type *type; /* what it is decoded into; NULL: nothing */
	size_t max_depth;
};

/* Offset, line, column and path of what begins at `offset`: a value, or a name, whose path it is then. */
void json_place(const struct json_source *, size_t offset, weft_json_error *);

/* The first thing that keeps it from being JSON: all of the error, which may be NULL. -EBADMSG, -EILSEQ or -ELOOP. */
int json_flaw(const struct json_source *, weft_json_error *);

/* The message, once the place is there. */
void json_say(weft_json_error *, const char *words);

/* Behind the number at p; NULL: it is none. */
const char *json_number_end(const char *p, const char *end);

WEFT_END_DECLS

#endif
