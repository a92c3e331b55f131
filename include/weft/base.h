/* What every weft header builds on: linkage, attributes, durations and deadlines. */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS   }
#define WEFT_NORETURN    __attribute__((noreturn)) /* [[noreturn]] may not follow another attribute */
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#define WEFT_NORETURN _Noreturn
#endif

#define WEFT_API __attribute__((visibility("default")))

/* The functions of a typed form (WEFT_CHAN_OF and its like), few of which any one program calls. */
#define WEFT_TYPED static inline __attribute__((unused))

/* Durations are nanoseconds in int64_t. */
#define WEFT_US ((int64_t)1000)
#define WEFT_MS ((int64_t)1000000)
#define WEFT_S  ((int64_t)1000000000)

/* n bytes, of any value. */
typedef struct weft_bytes {
	const void *bytes;
	size_t n;
} weft_bytes;

#endif
