/* Files: the system's calls on descriptors, as calls that block the goroutine and stop no other.
 *
 * The kernel has no readiness for files: each call is made in a blocking section (weft_block_begin), and its thread waits
 * for the disk. Descriptors that are non-blocking (O_NONBLOCK: one's own end of a pipe, a FIFO, a terminal) are waited
 * for as sockets are, and hold no thread.
 *
 * Each returns a negative errno when it fails, and leaves errno itself as it was. What a signal interrupts is begun again.
 * On a thread outside the runtime the calls block the thread. */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <fcntl.h>
#include <sys/types.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* open(2), with O_CLOEXEC. A descriptor, or a negative errno. mode counts with O_CREAT and O_TMPFILE. */
WEFT_API int weft_file_open(const char *path, int flags, mode_t mode);

/* How many bytes, at most size, 0 at the end; or a negative errno. */
WEFT_API ssize_t weft_file_read(int fd, void *, size_t size);

/* The same from that place in the file, whose own position stays as it is. */
WEFT_API ssize_t weft_file_read_at(int fd, void *, size_t size, off_t);

/* Everything; less only if an error came first, which the next call then meets itself. A negative errno if nothing was
 * written. */
WEFT_API ssize_t weft_file_write(int fd, const void *, size_t size);

/* The same to that place in the file, whose own position stays as it is. */
WEFT_API ssize_t weft_file_write_at(int fd, const void *, size_t size, off_t);

/* Returns when what has been written is on the disk. 0, or a negative errno. */
WEFT_API int weft_file_sync(int fd);

/* The descriptor is gone in any case; a negative errno says that something written before has been lost. */
WEFT_API int weft_file_close(int fd);

WEFT_END_DECLS

#endif
