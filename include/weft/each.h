/* A macro applied to each of up to 32 arguments: WEFT_EACH_(f, c, a, b) is f(c, a) f(c, b). For the library's own macros.
 * One definition an arity, because the preprocessor does not recur. */
#ifndef WEFT_EACH_H
#define WEFT_EACH_H

#include <weft/base.h>

#define WEFT_EACH_1_(f, c, a)	    f(c, a)
#define WEFT_EACH_2_(f, c, a, ...)  f(c, a) WEFT_EACH_1_(f, c, __VA_ARGS__)
#define WEFT_EACH_3_(f, c, a, ...)  f(c, a) WEFT_EACH_2_(f, c, __VA_ARGS__)
#define WEFT_EACH_4_(f, c, a, ...)  f(c, a) WEFT_EACH_3_(f, c, __VA_ARGS__)
#define WEFT_EACH_5_(f, c, a, ...)  f(c, a) WEFT_EACH_4_(f, c, __VA_ARGS__)
#define WEFT_EACH_6_(f, c, a, ...)  f(c, a) WEFT_EACH_5_(f, c, __VA_ARGS__)
#define WEFT_EACH_7_(f, c, a, ...)  f(c, a) WEFT_EACH_6_(f, c, __VA_ARGS__)
#define WEFT_EACH_8_(f, c, a, ...)  f(c, a) WEFT_EACH_7_(f, c, __VA_ARGS__)
#define WEFT_EACH_9_(f, c, a, ...)  f(c, a) WEFT_EACH_8_(f, c, __VA_ARGS__)
#define WEFT_EACH_10_(f, c, a, ...) f(c, a) WEFT_EACH_9_(f, c, __VA_ARGS__)
#define WEFT_EACH_11_(f, c, a, ...) f(c, a) WEFT_EACH_10_(f, c, __VA_ARGS__)
#define WEFT_EACH_12_(f, c, a, ...) f(c, a) WEFT_EACH_11_(f, c, __VA_ARGS__)
#define WEFT_EACH_13_(f, c, a, ...) f(c, a) WEFT_EACH_12_(f, c, __VA_ARGS__)
#define WEFT_EACH_14_(f, c, a, ...) f(c, a) WEFT_EACH_13_(f, c, __VA_ARGS__)
#define WEFT_EACH_15_(f, c, a, ...) f(c, a) WEFT_EACH_14_(f, c, __VA_ARGS__)
#define WEFT_EACH_16_(f, c, a, ...) f(c, a) WEFT_EACH_15_(f, c, __VA_ARGS__)
#define WEFT_EACH_17_(f, c, a, ...) f(c, a) WEFT_EACH_16_(f, c, __VA_ARGS__)
#define WEFT_EACH_18_(f, c, a, ...) f(c, a) WEFT_EACH_17_(f, c, __VA_ARGS__)
#define WEFT_EACH_19_(f, c, a, ...) f(c, a) WEFT_EACH_18_(f, c, __VA_ARGS__)
#define WEFT_EACH_20_(f, c, a, ...) f(c, a) WEFT_EACH_19_(f, c, __VA_ARGS__)
#define WEFT_EACH_21_(f, c, a, ...) f(c, a) WEFT_EACH_20_(f, c, __VA_ARGS__)
#define WEFT_EACH_22_(f, c, a, ...) f(c, a) WEFT_EACH_21_(f, c, __VA_ARGS__)
#define WEFT_EACH_23_(f, c, a, ...) f(c, a) WEFT_EACH_22_(f, c, __VA_ARGS__)
#define WEFT_EACH_24_(f, c, a, ...) f(c, a) WEFT_EACH_23_(f, c, __VA_ARGS__)
#define WEFT_EACH_25_(f, c, a, ...) f(c, a) WEFT_EACH_24_(f, c, __VA_ARGS__)
#define WEFT_EACH_26_(f, c, a, ...) f(c, a) WEFT_EACH_25_(f, c, __VA_ARGS__)
#define WEFT_EACH_27_(f, c, a, ...) f(c, a) WEFT_EACH_26_(f, c, __VA_ARGS__)
#define WEFT_EACH_28_(f, c, a, ...) f(c, a) WEFT_EACH_27_(f, c, __VA_ARGS__)
#define WEFT_EACH_29_(f, c, a, ...) f(c, a) WEFT_EACH_28_(f, c, __VA_ARGS__)
#define WEFT_EACH_30_(f, c, a, ...) f(c, a) WEFT_EACH_29_(f, c, __VA_ARGS__)
#define WEFT_EACH_31_(f, c, a, ...) f(c, a) WEFT_EACH_30_(f, c, __VA_ARGS__)
#define WEFT_EACH_32_(f, c, a, ...) f(c, a) WEFT_EACH_31_(f, c, __VA_ARGS__)

#define WEFT_EACH_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, \
			a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, f, ...)                                            \
	f
#define WEFT_EACH_(f, c, ...)                                                                                                    \
	WEFT_EACH_PICK_(__VA_ARGS__, WEFT_EACH_32_, WEFT_EACH_31_, WEFT_EACH_30_, WEFT_EACH_29_, WEFT_EACH_28_, WEFT_EACH_27_,   \
			WEFT_EACH_26_, WEFT_EACH_25_, WEFT_EACH_24_, WEFT_EACH_23_, WEFT_EACH_22_, WEFT_EACH_21_, WEFT_EACH_20_, \
			WEFT_EACH_19_, WEFT_EACH_18_, WEFT_EACH_17_, WEFT_EACH_16_, WEFT_EACH_15_, WEFT_EACH_14_, WEFT_EACH_13_, \
			WEFT_EACH_12_, WEFT_EACH_11_, WEFT_EACH_10_, WEFT_EACH_9_, WEFT_EACH_8_, WEFT_EACH_7_, WEFT_EACH_6_,     \
			WEFT_EACH_5_, WEFT_EACH_4_, WEFT_EACH_3_, WEFT_EACH_2_, WEFT_EACH_1_, )                                  \
	(f, c, __VA_ARGS__)

#endif
