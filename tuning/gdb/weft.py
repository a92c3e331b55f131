"""gdb commands for programs that run on weft:  (gdb) source weft.py

    info goroutines        every goroutine: number, state, name, function; '*' runs on the selected thread
    goroutine N COMMAND    a command of gdb's in the goroutine's own frames: bt, info locals, frame 3, ...

They read memory and change nothing, so they work on a live process and on a core. The frames of a goroutine that waits
come from an unwinder that is switched on for the length of the command: beneath the selected thread's innermost frame, #0, it
puts the saved registers of the goroutine, whose frames are numbered from #1. Registers of a core cannot be written, which is
why they are not set instead. Needs the debug information of the library.
"""
import gdb
from gdb.unwinder import Unwinder

LEAKED = 128  # WAIT_LEAKED
WORDS = {"G_FRESH": "runnable", "G_RUNNABLE": "runnable", "G_RUNNING": "running", "G_SYSCALL": "syscall"}  # others wait
REGISTERS = {"i386:x86-64": ("rip", "rsp", "rbp"), "aarch64": ("pc", "sp", "x29")}
CONTEXT_SAVED = 16


def static(name, file):
    """A static variable of a file of the runtime's; other files may have one of that name."""
    return gdb.parse_and_eval(f"'{file}'::{name}")


def each_in(slab, kind):
    """As slab_each: every object that was ever handed out."""
    pointer = gdb.lookup_type("struct " + kind).pointer()
    chunk, size = slab["newest"], int(slab["object_size"])
    while int(chunk):
        first = int(chunk["objects"])
        for at in range(0, int(chunk["used"]), size):
            yield gdb.Value(first + at).cast(pointer)
        chunk = chunk["older"]


def goroutines():
    every = [g for g in each_in(gdb.parse_and_eval("sched")["gs"], "g") if int(g["state"]) and not int(g["is_thread"])]
    return sorted(every, key=lambda g: int(g["id"]))


def is_in(g, state):
    """Is it in that state of enum g_state?"""
    return int(g["state"]) == int(gdb.parse_and_eval(state))


def state_of(g):
    words = [words for state, words in WORDS.items() if is_in(g, state)]
    if words:
        return words[0]
    waiting = int(g["waiting"])
    return static("reasons", "dump.c")[waiting & ~LEAKED].string() + (", leaked" if waiting & LEAKED else "")


def name_of(g):
    return g["options"]["name"].string() if int(g["options"]) else ""


def thread_of(g):
    """The thread that it runs on, or None."""
    tids = {int(m["tid"]) for m in each_in(static("ms", "start.c"), "m") if int(m["g"]) == int(g)}
    return next((t for t in gdb.selected_inferior().threads() if t.ptid[1] in tids), None)


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class SavedContext(Unwinder):
    """Makes a saved context the caller of the innermost frame, while there is one to show."""

    def __init__(self):
        super().__init__("weft")
        self.context = None

    def __call__(self, pending):
        if self.context is None or pending.level() != 0:
            return None
        pc, sp, fp = REGISTERS[pending.architecture().name()]
        info = pending.create_unwind_info(FrameId(pending.read_register(sp), pending.read_register(pc)))
        word = pending.read_register(sp).type
        for register, value in zip((pc, sp, fp), self.context):
            info.add_saved_register(register, gdb.Value(value).cast(word))
        return info

    def show(self, context):
        self.context = context
        gdb.invalidate_cached_frames()


saved_context = SavedContext()
gdb.unwinder.register_unwinder(None, saved_context, replace=True)


class InfoGoroutines(gdb.Command):
    """Every goroutine: number, state, name, function."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        thread = gdb.selected_thread()
        for g in goroutines():
            here = is_in(g, "G_RUNNING") and thread is not None and thread_of(g) == thread
            function = gdb.block_for_pc(int(g["fn"]))
            name = function.function.name if function and function.function else hex(int(g["fn"]))
            print(f"{'*' if here else ' '} {int(g['id']):<6} {state_of(g):<18} {name_of(g) or '-':<16} {name}")


class Goroutine(gdb.Command):
    """goroutine N COMMAND: runs a command in the frames of goroutine N."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 1)
        if len(words) != 2 or not words[0].isdigit():
            raise gdb.GdbError("usage: goroutine N COMMAND")
        g = next((g for g in goroutines() if int(g["id"]) == int(words[0])), None)
        if g is None:
            raise gdb.GdbError(f"there is no goroutine {words[0]}")
        if int(g["ctx"]["xon_cpu"]):
            self.where_it_runs(g, words[1])
        elif not int(g["stack"]):
            raise gdb.GdbError(f"goroutine {words[0]} has not run yet")
        else:
            self.where_it_waits(g, words[1])

    def where_it_runs(self, g, command):
        before, thread = gdb.selected_thread(), thread_of(g)
        if thread is None:
            raise gdb.GdbError(f"the thread of goroutine {int(g['id'])} is not to be found")
        thread.switch()
        try:
            gdb.execute(command)
        finally:
            before.switch()

    def where_it_waits(self, g, command):
        sp = int(g["ctx"]["sp"])
        words = gdb.Value(sp).cast(gdb.lookup_type("unsigned long").pointer())
        frame = gdb.selected_frame().level()
        saved_context.show((int(words[0]), sp + CONTEXT_SAVED, int(words[1])))
        try:
            gdb.newest_frame().older().select()
            lines = gdb.execute(command, to_string=True).splitlines()
            if command.split()[0] in ("bt", "backtrace", "where"):
                first = next((i for i, line in enumerate(lines) if line.startswith("#1 ")), 0)
                lines = lines[first:]
            print("\n".join(lines))
        finally:
            saved_context.show(None)
            gdb.execute(f"frame {frame}", to_string=True)


InfoGoroutines()
Goroutine()
