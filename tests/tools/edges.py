#!/usr/bin/env python3
"""tests/model/edges.py: what it makes of an edge table, and that it passes nothing over."""
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "bench"), str(TESTS / "model")]
import edges
import tap

BODY = """#ifndef X_H
static inline void put(struct x *q)
{
	store_rel(&q->word, 1); /* R1 */
	if (cas_acqrel(&q->head[q->a[1] & 3], 0, 1))
		return;
}

static inline __attribute__((cold)) int take(struct x *q,
					     int n)
{
	fence_full();
	return load_acq(&q->word) + load_rlx(&q->tail);
}
"""
WORD = "R1 put: store_rel(word)  ->  A1 take: load_acq(word)   what is put"
HEAD = "R2 put: cas_acqrel(head) ->  A2 put: cas_acqrel(head)  a place"
FENCE = "R3 take: fence_full()   ->  A3 take: fence_full()      one sees the other"
ALL = [WORD, HEAD, FENCE]


def source(lines: list[str], body: str = BODY) -> str:
    return "/* A thing.\n *\n" + "".join(f" * {line}\n" for line in lines) + " *\n * That is all.\n */\n" + body


def rows(lines: list[str], body: str = BODY) -> list[str]:
    made = edges.generate([source(lines, body)]).splitlines()
    tap.equal((made[0], made[-1]), ("static const struct explorer_mutation edges[] = {", "};"))
    return [line.strip() for line in made[1:-1]]


def refused(lines: list[str], words: str, body: str = BODY) -> None:
    try:
        edges.generate([source(lines, body)])
    except edges.Malformed as why:
        tap.check(words in str(why), f"'{why}' does not say '{words}'")
    else:
        tap.check(False, f"not refused: {lines}")


def test_both_ends_of_every_edge_are_spoilt():
    tap.equal(rows(ALL), [
        '{"R1 put: store_rel(word), weaken", "put", VERB_STORE, "word", WEAKEN},',
        '{"A1 take: load_acq(word), weaken", "take", VERB_LOAD, "word", WEAKEN},',
        '{"R2 put: cas_acqrel(head), unrelease", "put", VERB_CAS, "head", UNRELEASE},',
        '{"R2 put: cas_acqrel(head), split", "put", VERB_CAS, "head", SPLIT},',
        '{"A2 put: cas_acqrel(head), unacquire", "put", VERB_CAS, "head", UNACQUIRE},',
        '{"R3 take: fence_full(), weaken", "take", VERB_FENCE, "", WEAKEN},'])


def test_every_function_does_every_operation():
    body = "".join(f"static int {f}(void)\n{{\n\treturn load_acq(&a) + swap_seq(&b, 1);\n}}\n" for f in ("one", "two"))
    made = rows(["R1 one, two: swap_seq(b) -> A1 one, two: load_acq(a), swap_seq(b)  both"], body)
    tap.equal([line.split('"')[1] for line in made], [
        "R1 one: swap_seq(b), weaken", "R1 one: swap_seq(b), split", "R1 two: swap_seq(b), weaken",
        "R1 two: swap_seq(b), split", "A1 one: load_acq(a), weaken", "A1 two: load_acq(a), weaken"])


def test_what_plain_memory_alone_shows_is_guarded():
    made = rows([WORD, HEAD.replace("a place", "plain: a place"), FENCE])
    tap.equal([i for i, line in enumerate(made) if line == "#ifdef EXPLORER_PLAIN"], [2, 6])
    tap.check(made[3].endswith("UNRELEASE},") and made[7].endswith("UNACQUIRE},"), made)
    tap.check(made[5].endswith("SPLIT},"), made)


def test_who_is_alone_is_not_split():
    made = rows([WORD, HEAD.replace("a place", "alone: a place"), FENCE])
    tap.equal([line.split('"')[1] for line in made[2:4]],
              ["R2 put: cas_acqrel(head), unrelease", "A2 put: cas_acqrel(head), unacquire"])
    both = rows([WORD, HEAD.replace("a place", "alone, plain: a place"), FENCE])
    tap.equal([line for line in both if not line.startswith("#")], made)
    tap.equal(both.count("#ifdef EXPLORER_PLAIN"), 2)
    # On a further line of the edge, it is said of that line.
    tap.equal(len(rows([WORD, HEAD, HEAD.replace("a place", "alone: a place"), FENCE])), len(rows(ALL)))


def test_what_is_no_edge_is_refused():
    for line in ("R1 put: store_rel(word) ->", "R1 put store_rel(word) -> A1 take: load_acq(word)  what",
                 "R1 put: store_rel(word) -> A1 take: load_acq(word)", "R1: store_rel(word) -> A1 take: load_acq(word) x",
                 "A1 take: load_acq(word)  what is put", "R1 put: store_rel(word), -> A1 take: load_acq(word) x"):
        refused([line, HEAD.replace("2", "1"), FENCE], "no edge: ")


def test_partners_and_numbers_must_fit():
    refused([WORD.replace("A1", "A2"), HEAD, FENCE], "R1 has A2 for a partner")
    refused([HEAD, WORD, FENCE], "R2 follows R0")
    refused([WORD, FENCE, HEAD], "R3 follows R1")
    refused([], "no edge table")


def test_an_end_must_have_the_order_that_it_stands_for():
    refused([WORD.replace("store_rel", "store_acq"), HEAD, FENCE], "does not release")
    refused([WORD.replace("load_acq", "load_rel"), HEAD, FENCE], "does not acquire")
    refused([WORD.replace("store_rel", "store_rlx"), HEAD, FENCE], "no operation with an order")
    refused([WORD, HEAD, FENCE.replace("full()", "full(x)")], "a fence has no operand")


def test_the_table_and_the_source_must_agree():
    refused([WORD.replace("take:", "taken:"), HEAD, FENCE], "the source has it not: taken: load_acq(word)")
    refused([WORD.replace("acq(word)", "acq(tail)"), HEAD, FENCE], "the source has it not: take: load_acq(tail)")
    refused([WORD, HEAD], "the table has it not: take: fence_full()")
    half = HEAD.replace("put: cas_acqrel(head)  a place", "take: load_acq(word)  a place")
    refused([WORD, half, FENCE], "it is one end alone, and needs half of its order: put: cas_acqrel(head)")
    refused(ALL, "the table has it not: put: add_acqrel(&q->sum)", BODY.replace("return;", "add_acqrel(&q->sum, 1);"))


def test_what_is_in_the_table_of_another_file_is_left_to_it():
    done = BODY.replace("return;", "add_acqrel(&q->sum, 1);")
    tap.check(edges.generate([source(ALL, done)], ("put",)))


def test_a_comment_in_the_source_does_nothing():
    rows(ALL, BODY.replace("return;", "return; /* unlike swap_seq(&q->word, 0) */"))


def test_a_failure_is_one_line_and_a_status():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h"
        path.write_text(source([WORD]))
        for arguments, status in (([], 2), (["--elsewhere"], 2), ([str(path)], 1), ([str(path) + "x"], 1)):
            done = subprocess.run([sys.executable, str(TESTS / "model/edges.py"), *arguments], capture_output=True,
                                  text=True)
            tap.equal((done.returncode, done.stdout, len(done.stderr.splitlines())), (status, "", 1))


if __name__ == "__main__":
    tap.main(globals())
