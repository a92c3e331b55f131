/* JSON (RFC 8259) to and from any described type. docs/json.md shows it in use.
 *
 *     struct user u;
 *     weft_json_error e;
 *     if (weft_json_decode(weft_type_of(user), &u, text, n, NULL, &e))
 *             fprintf(stderr, "%s\n", e.message);             line 3, column 14: home.floor: 300 is out of range of uint8_t
 *
 * A field is named as its member, or by its tag: "json:NAME,omitempty,required" (any part may be left out), "json:-" hides
 * it. Names are exact. A tag with another word, or two fields of one name, panic when the type is first used.
 *
 *     bool, integers, floats           true, numbers. An integer takes no fraction and no exponent
 *     char *, char [n]                 strings; a char [n] may be filled to the last byte, and has then no NUL
 *     weft_bytes                       a string in base64 (RFC 4648, section 4, padded)
 *     pointers                         null is NULL
 *     arrays                           arrays; those with fewer elements leave the rest zero
 *     slices, maps, structs            arrays, objects. Keys of maps are strings, bytes or integers
 *     weft_any and interfaces          encoded as what they hold; they cannot be decoded
 *
 * null is decoded into anything, as zero. What is encoded decodes to the same value, but that a NULL char * in an omitempty field, say,
 * may have been empty. Both calls go without recursion; neither blocks. */
#ifndef WEFT_JSON_H
#define WEFT_JSON_H

#include <weft/base.h>
#include <weft/reflect.h>

WEFT_BEGIN_DECLS

/* Zeroed: the usual. */
typedef struct weft_json_options {
	size_t max_depth;    /* of arrays, objects and, when encoding, pointers within one another; 0: 1000 */
	unsigned indent;     /* encoding: spaces a level, on lines of their own; 0: one line without a space */
	bool refuse_unknown; /* decoding: a name that the struct does not have is an error; otherwise its value is passed over */
} weft_json_options;

/* Where, and what. Decoding: a place in the text, its end included. Encoding: offset, line and column are 0. */
typedef struct weft_json_error {
	size_t offset;	   /* bytes before it */
	size_t line;	   /* from 1 */
	size_t column;	   /* from 1, in characters */
	char path[256];	   /* users[2].home.street or scores["key"]; "" is the whole value */
	char message[512]; /* one line, that names line, column and path too */
} weft_json_error;

/* The n bytes of text become *out, which need not be initialised: all of it is written, or, on failure, nothing. The value owns
 * what it leads to, and weft_value_fini frees it. A type of NULL, with out NULL, only asks whether it is JSON. 0, or
 *
 *     -EBADMSG   it is not JSON
 *     -EILSEQ    it is not UTF-8, or \u escapes half of a pair
 *     -ELOOP     deeper than max_depth
 *     -ERANGE    too large for its place: a number, a string for a char [n], an array; a text of 4 GiB
 *     -EINVAL    not what the type has: a string for a number, a NUL in a char *, an unknown or repeated name, a missing one
 *     -ENOTSUP   the type cannot be decoded: opaque, weft_any, structs with collected pointers
 *     -ENOMEM
 *
 * Options and error may be NULL; the error is written on failure only. Running out of memory in a map is fatal. */
WEFT_API int weft_json_decode(const weft_type *, void *out, const char *text, size_t n, const weft_json_options *,
			      weft_json_error *);

/* The value's text, ended by NUL, in *text and its length in *n (which may be NULL), to be freed with weft_free. Entries of
 * maps are in the order of their keys' bytes, integers by their digits, as in Go. 0, or, with *text NULL,
 *
 *     -EINVAL    a NaN or an infinity
 *     -EILSEQ    a string is not UTF-8
 *     -ELOOP     deeper than max_depth, as everything cyclic is
 *     -ENOTSUP   an opaque type, or a map's keys
 *     -ENOMEM */
WEFT_API int weft_json_encode(const weft_type *, const void *value, const weft_json_options *, char **text, size_t *n,
			      weft_json_error *);

WEFT_END_DECLS

#endif
