/* errno, read and written where it is safe: a goroutine that has parked may be on another thread, and a compiler that has
 * seen errno before would use the old thread's. Hence functions that are not inlined; the first is asked once after each
 * call.
 */
#ifndef NET_ERROR_H
#define NET_ERROR_H

/* The errno of the call that has just failed. */
int last_error(void);

/* Gives the caller the errno back that it had. */
void set_error(int);

#endif
