/* What panic_cxx.c tests, in C++17. */
#include "tests/unit/panic_cxx.h"

#include <weft/weft.h>

#include <stdexcept>
#include <string>

static void leave(void *letter)
{
	cxx_leave(*static_cast<const char *>(letter));
}

static void *letter(const char *s)
{
	return const_cast<char *>(s);
}

void cxx_blocks(void)
{
	for (int i = 0; i < 3; i++) {
		WEFT_DEFER(leave, letter("a")); WEFT_DEFER(leave, letter("b"));
		if (i == 1)
			continue;
		if (i == 2)
			break;
		WEFT_DEFER([](void *) { cxx_leave('l'); }, nullptr);
	}
	WEFT_DEFER(leave, letter("d"));
	cxx_leave('.');
}

static void raise(void *)
{
	WEFT_DEFER(leave, letter("y"));
	weft_panic("%s", "from C++");
}

static void call_who_raises(void *arg)
{
	WEFT_DEFER(leave, letter("x"));
	raise(arg);
}

int cxx_protect(char *message, size_t room)
{
	std::string here("long enough to be on the heap, and still whole afterwards");
	weft_panic_info info;
	int panicked = weft_protect(call_who_raises, &here, &info);
	std::string(info.message).copy(message, room);
	return here.size() == 57 ? panicked : -1;
}

static void misuse(void *ch)
{
	auto close = [](void *c) { weft_close(static_cast<weft_chan *>(c)); };
	WEFT_DEFER(leave, letter("m"));
	WEFT_DEFER(close, ch);
	close(ch);
}

int cxx_misuse(void)
{
	weft_chan *ch = weft_chan_make(sizeof(int), 1);
	int panicked = weft_protect(misuse, ch, nullptr);
	weft_chan_free(ch);
	return panicked;
}

/* An exception that stays between two weft frames is the program's own affair, and leaves blocks as any. */
static void throw_and_catch(void *)
{
	try {
		WEFT_DEFER(leave, letter("e"));
		throw std::runtime_error("own");
	} catch (const std::runtime_error &) {
		cxx_leave('c');
	}
}

int cxx_exceptions(void)
{
	return weft_protect(throw_and_catch, nullptr, nullptr);
}

void cxx_exit(void *)
{
	WEFT_DEFER(leave, letter("2"));
	weft_exit_goroutine();
}
