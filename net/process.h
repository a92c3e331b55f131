/* Child processes from inside. */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

/* How the last weft_wait_process that had to wait did it: "pidfd", "looking" where the kernel gives no pidfd, or "none". */
const char *process_wait_way(void);

#endif
