/* WEFT_DEBUG=gcverify: whether the collector knows of every pointer that keeps an object. docs/gc.md has what it prints. */
#ifndef RUNTIME_GCVERIFY_H
#define RUNTIME_GCVERIFY_H

void gc_verify_start(void);

/* Marks again what is reachable, while the world stands and marking is over, and notes what it finds. */
void gc_verify(void);

/* Prints what has been found, a line each, and ends the program with status 2; nothing: returns. Not while the world stands. */
void gc_verify_report(void);

/* The main goroutine is at its end: if something has been found, whoever prints it ends the program, and this does not return. */
void gc_verify_let_end(void);

#endif
