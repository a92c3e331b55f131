/* All of weft. */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <stdio.h>

#include <weft/base.h>
#include <weft/chan.h>
#include <weft/context.h>
#include <weft/counter.h>
#include <weft/file.h>
#include <weft/flight.h>
#include <weft/gc.h>
#include <weft/go.h>
#include <weft/group.h>
#include <weft/hash.h>
#include <weft/iface.h>
#include <weft/json.h>
#include <weft/limit.h>
#include <weft/map.h>
#include <weft/map_sync.h>
#include <weft/mem.h>
#include <weft/net.h>
#include <weft/panic.h>
#include <weft/process.h>
#include <weft/reflect.h>
#include <weft/signal.h>
#include <weft/slice.h>
#include <weft/stats.h>
#include <weft/sync.h>
#include <weft/time.h>
#include <weft/type.h>
#include <weft/work.h>

#endif
