#include "net/section.h"
#include "runtime/overflow.h"

#include <weft/file.h>
#include <weft/net.h>

#include <errno.h>
#include <unistd.h>

/* One place in a file, or wherever its position is. */
enum { AT_POSITION = -1 };

int weft_file_open(const char *path, int flags, mode_t mode)
{
	int fd, err;
	do {
		struct section s = section_begin();
		fd = open(path, flags | O_CLOEXEC, mode);
		err = fd < 0 ? last_error() : 0;
		section_end(s);
	} while (err == EINTR);
	if (err == EFAULT)
		overflow_check(path, 1);
	return err ? -err : fd;
}

static ssize_t read_once(int fd, void *to, size_t size, off_t at)
{
	struct section s = section_begin();
	ssize_t n = at == AT_POSITION ? read(fd, to, size) : pread(fd, to, size, at);
	if (n < 0)
		n = -last_error();
	section_end(s);
	if (n == -EFAULT)
		overflow_check(to, size);
	return n;
}

static ssize_t write_once(int fd, const void *from, size_t size, off_t at)
{
	struct section s = section_begin();
	ssize_t n = at == AT_POSITION ? write(fd, from, size) : pwrite(fd, from, size, at);
	if (n < 0)
		n = -last_error();
	section_end(s);
	if (n == -EFAULT)
		overflow_check(from, size);
	return n;
}

/* What to do about a call that has failed: 0 to make it again, or the error. */
static ssize_t judge(ssize_t err, int fd, int event)
{
	if (err == -EINTR)
		return 0;
	if (err != -EAGAIN)
		return err;
	int found = weft_wait_fd(fd, event, WEFT_NEVER);
	return found < 0 ? found : 0;
}

static ssize_t read_some(int fd, void *to, size_t size, off_t at)
{
	for (;;) {
		ssize_t n = read_once(fd, to, size, at);
		if (n >= 0 || (n = judge(n, fd, POLLIN)))
			return n;
	}
}

static ssize_t write_all(int fd, const char *from, size_t size, off_t at)
{
	size_t done = 0;
	do {
		off_t here = at == AT_POSITION ? at : at + (off_t)done;
		ssize_t n = write_once(fd, from + done, size - done, here);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			break; /* it takes nothing, and says nothing */
		else if ((n = judge(n, fd, POLLOUT)))
			return done ? (ssize_t)done : n;
	} while (done < size);
	return (ssize_t)done;
}

ssize_t weft_file_read(int fd, void *to, size_t size)
{
	return read_some(fd, to, size, AT_POSITION);
}

ssize_t weft_file_read_at(int fd, void *to, size_t size, off_t at)
{
	return at < 0 ? -EINVAL : read_some(fd, to, size, at);
}

ssize_t weft_file_write(int fd, const void *from, size_t size)
{
	return write_all(fd, from, size, AT_POSITION);
}

ssize_t weft_file_write_at(int fd, const void *from, size_t size, off_t at)
{
	return at < 0 ? -EINVAL : write_all(fd, from, size, at);
}

int weft_file_sync(int fd)
{
	int err;
	do {
		struct section s = section_begin();
		err = fsync(fd) ? last_error() : 0;
		section_end(s);
	} while (err == EINTR);
	return -err;
}

/* Made once, whatever it says: Linux lets the descriptor go before anything can interrupt (close(2)). */
int weft_file_close(int fd)
{
	struct section s = section_begin();
	int err = close(fd) ? last_error() : 0;
	section_end(s);
	return err == EINTR ? 0 : -err;
}
