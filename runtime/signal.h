/* Signals on channels, as chan.c needs it. */
#ifndef RUNTIME_SIGNAL_H
#define RUNTIME_SIGNAL_H

#include "runtime/chan.h"

/* Ends the channel's subscriptions, which its `subscribed` tells of; afterwards nobody is sending on it for them. */
void signal_forget(struct weft_chan *);

#endif
