/* errno, read where it is safe: a goroutine that has parked may be on another thread, and a compiler that has seen errno
 * before would use the old thread's. Hence a function that is not inlined, and is asked once after each call. */
#ifndef NET_ERROR_H
#define NET_ERROR_H

/* The errno of the call that has just failed. */
int last_error(void);

#endif
