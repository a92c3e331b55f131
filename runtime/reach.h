/* What can be reached by pointers, in the whole of the process's memory, while it stands still (world.h, bystander.h).
 *
 *     a place       some words, of which each may be a pointer: a stack that runs, a global, memory that nobody has said anything about
 *     an object     is looked at when a pointer into it has been found, and then all its words: they may be pointers too
 *
 * Objects are: collected objects; blocks of manual memory, where the allocator tells them apart; channels elsewhere; and the stacks of *sleepers*,
 * goroutines that wait for others. A sleeper's stack is one object: who has a pointer into it can come at all that it can. And who waits for a
 * channel, or a mutex, or anything that there is to wait for, is in a queue there, through a waiter on its stack. So whoever can reach what
 * it waits for reaches the sleeper, and no primitive says what it is:
 *
 *     a sleeper that cannot be reached waits for what nobody can come at, who runs or can be woken
 *
 * To take a word for a pointer that is none keeps an object that nobody has, and hides a leak; the other mistake would invent one. So whatever is
 * not known to be an object is a place. What is neither is the runtime's own memory (os_each_reserved), whose lists lead to
 * everything: what is in there and counts is named by who knows it (leaks.c).
 *
 * The idea, for the stacks of goroutines: Saioc, Lange and Møller, "Dynamic Partial Deadlock Detection and Recovery via Garbage Collection"
 * (2025). Boehm and Weiser, "Garbage Collection in an Uncooperative Environment" (1988), for words that may be pointers. */
#ifndef RUNTIME_REACH_H
#define RUNTIME_REACH_H

#include "runtime/g.h"

/* Before bystanders stand, for it may have to wait for one, and after: what is mapped from then on is not among the places. 0, or a negative
 * errno. */
int reach_begin(void);
int reach_list_memory(void);
void reach_end(void);

/* There was no memory for something: nothing is known. */
bool reach_failed(void);

/* ---- objects: all of them are named before the first place is ---- */

/* Waits for another goroutine, and for nothing else. */
void reach_add_sleeper(struct g *);
/* The blocks of a heap (alloc/manual.h), whose thread stands. */
void reach_add_heap(void *heap);
/* Neither an object nor a place: the dead part of a stack. */
void reach_add_hole(const void *from, const void *to);
/* That was all. Looks for channels where no blocks are known. 0; -ENOMEM: some may be missing. */
int reach_settle(void);

/* ---- places ---- */

enum reach_kind { REACH_WORDS, REACH_STACK }; /* on a stack a pointer to behind a collected object may be one into it */
void reach_place(const void *from, const void *to, enum reach_kind);
/* Of who has taken a sleeper off its queue, and is to wake it: pointers to the goroutine itself count. */
void reach_place_of_waker(const void *from, const void *to);
/* The same from an address to the end of the stack that it is on: `to`, if that is in the same mapping, otherwise that mapping's end. */
void reach_stack_of_waker(uintptr_t from, uintptr_t to);
/* All memory of the process in which there is no object. */
void reach_memory(void);

/* ---- afterwards ---- */

/* Calls see(arg, g) for each sleeper that has not been reached. */
void reach_each_lost(void (*see)(void *arg, struct g *), void *arg);

#endif
