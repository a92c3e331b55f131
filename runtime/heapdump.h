/* Heap dumps: weft_heap_dump, in two. */
#ifndef RUNTIME_HEAPDUMP_H
#define RUNTIME_HEAPDUMP_H

/* The heap as it is, whatever of it is garbage by now. 0, or a negative errno. Waits while a cycle looks at stacks and roots. */
int heap_dump(int fd);

#endif
