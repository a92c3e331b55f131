/* Blocking sections, from sysmon's side. */
#ifndef RUNTIME_BLOCK_H
#define RUNTIME_BLOCK_H

#include "runtime/g.h"

/* Hands the P on if it is in the same section as *seen says, which is brought up to date. */
bool block_take_back(struct p *, uint32_t *seen);

#endif
