//! The micro rows. The sizes of a batch are the same in every peer: they are part of what the checks
//! prove.
use crate::json::{json_decode, json_encode};
use crate::latency::sched_latency;
use crate::maps::{map_insert, map_look_up, map_worst, KEYS};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex, Notify, OnceCell, RwLock, Semaphore};
use tokio::task::{yield_now, JoinHandle};
use tokio::time::{sleep, Sleep};

const BATCH: u64 = 1000;
const SINGLES: u64 = 10_000;
const YIELDS: u64 = 100_000; // of all tasks together
const TRIPS: u64 = 10_000;
const ELEMENTS: u64 = 100_000;
const LOCKS: u64 = 100_000;
const CAPACITY: usize = 128;
const PENDING: u32 = 100_000;
const PAIRS: u64 = 10_000;
const RESETS: u64 = 10_000;
const DEPTH: u32 = 20;
const HOUR: Duration = Duration::from_secs(3600);

pub struct Outcome {
    pub ops: u64,
    pub check: String,
    pub timed: Option<Duration>, // None: the whole batch
    pub bytes: Option<f64>,      // for each operation
    pub spread: Option<Spread>,
}

/// Of a row about a distribution: its samples in ns, from the least; and the percentage of a core that a
/// computing task had meanwhile.
pub struct Spread {
    pub sorted: Vec<u64>,
    pub share: f64,
}

pub fn outcome(ops: u64, check: String) -> Outcome {
    Outcome { ops, check, timed: None, bytes: None, spread: None }
}

pub const NAMES: [&str; 27] = [
    "spawn-batch",
    "spawn-one",
    "spawn-park",
    "fork-join",
    "yield-2",
    "yield-1000",
    "ping-pong",
    "chan-spsc",
    "chan-mpmc",
    "select-2",
    "chan-try",
    "mutex",
    "mutex-contended",
    "rwmutex-read",
    "once",
    "semaphore",
    "timer",
    "timer-reset",
    "map-insert",
    "map-hit",
    "map-miss",
    "map-worst",
    "json-decode",
    "json-encode",
    "sched-latency",
    "park-100k",
    "park-1m",
];

/// `seconds` is for the row that does in one batch what it is asked to last.
pub async fn run(name: &str, seconds: f64) -> Outcome {
    match name {
        "spawn-batch" => spawn_batch().await,
        "spawn-one" => spawn_one().await,
        "spawn-park" => park(BATCH).await.whole(),
        "fork-join" => fork_join().await,
        "yield-2" => yield_in_turn(2).await,
        "yield-1000" => yield_in_turn(1000).await,
        "ping-pong" => ping_pong().await,
        "chan-spsc" => spsc().await,
        "chan-mpmc" => mpmc().await,
        "select-2" => select_2().await,
        "chan-try" => try_both(),
        "mutex" => mutex().await,
        "mutex-contended" => mutex_contended().await,
        "rwmutex-read" => rwmutex_read().await,
        "once" => once().await,
        "semaphore" => semaphore().await,
        "timer" => timer().await,
        "timer-reset" => timer_reset().await,
        "map-insert" => map_insert(),
        "map-hit" => map_look_up(0),
        "map-miss" => map_look_up(KEYS),
        "map-worst" => map_worst(),
        "json-decode" => json_decode(),
        "json-encode" => json_encode(),
        "sched-latency" => sched_latency(seconds).await,
        "park-100k" => park(100_000).await,
        _ => park(1_000_000).await,
    }
}

impl Outcome {
    /// The whole batch is timed, and its memory is not of interest.
    fn whole(self) -> Outcome {
        outcome(self.ops, self.check)
    }
}

async fn spawn_batch() -> Outcome {
    static DONE: AtomicU64 = AtomicU64::new(0);
    DONE.store(0, Relaxed);
    let mut handles = Vec::with_capacity(BATCH as usize);
    for _ in 0..BATCH {
        handles.push(tokio::spawn(async {
            DONE.fetch_add(1, Relaxed);
        }));
    }
    for handle in handles {
        handle.await.unwrap();
    }
    outcome(BATCH, format!("tasks={} done={}", BATCH, DONE.load(Relaxed)))
}

async fn spawn_one() -> Outcome {
    let mut done = 0;
    for _ in 0..SINGLES {
        done += tokio::spawn(async { 1u64 }).await.unwrap();
    }
    outcome(SINGLES, format!("tasks={} done={}", SINGLES, done))
}

/// An inner node starts a task for its left child, does the right one itself, and joins. Recursion needs
/// a box; a leaf does without.
async fn fork_join() -> Outcome {
    let sum = sum_of(0, DEPTH).await;
    outcome(1 << DEPTH, format!("leaves={} sum={}", 1 << DEPTH, sum))
}

fn sum_of(node: u64, depth: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        let left = spawn_sum_of(2 * node, depth - 1);
        let right = if depth == 1 { 2 * node + 1 } else { sum_of(2 * node + 1, depth - 1).await };
        left.await.unwrap() + right
    })
}

fn spawn_sum_of(node: u64, depth: u32) -> JoinHandle<u64> {
    if depth == 0 {
        tokio::spawn(async move { node })
    } else {
        tokio::spawn(sum_of(node, depth))
    }
}

/// Each task parks on one Notify, and notify_waiters wakes them all: the smallest future that Tokio
/// offers, 456 bytes a task. A Notified counts as waiting from its making, so none misses the wake.
async fn park(tasks: u64) -> Outcome {
    struct Shared {
        parked: AtomicU64,
        done: AtomicU64,
        ready: Notify,
        gate: Notify,
        finished: Notify,
    }
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        parked: AtomicU64::new(0),
        done: AtomicU64::new(0),
        ready: Notify::new(),
        gate: Notify::new(),
        finished: Notify::new(),
    }));
    let before = resident();
    let from = Instant::now();
    for _ in 0..tasks {
        tokio::spawn(async move {
            let gate = shared.gate.notified();
            if shared.parked.fetch_add(1, SeqCst) + 1 == tasks {
                shared.ready.notify_one();
            }
            gate.await;
            if shared.done.fetch_add(1, SeqCst) + 1 == tasks {
                shared.finished.notify_one();
            }
        });
    }
    shared.ready.notified().await;
    let timed = from.elapsed();
    let grown = resident() - before;
    shared.gate.notify_waiters();
    shared.finished.notified().await;
    let (parked, done) = (shared.parked.load(SeqCst), shared.done.load(SeqCst));
    Outcome {
        ops: tasks,
        check: format!("tasks={} parked={} done={}", tasks, parked, done),
        timed: Some(timed),
        bytes: Some(grown as f64 / tasks as f64),
        spread: None,
    }
}

/// The bytes of the process that are resident, and of its page tables.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let kib = |line: &str| line.split_whitespace().nth(1).and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
    let counted = |line: &&str| line.starts_with("VmRSS:") || line.starts_with("VmPTE:");
    status.lines().filter(counted).map(kib).sum::<i64>() * 1024
}

async fn yield_in_turn(tasks: u64) -> Outcome {
    let mut handles = Vec::new();
    for _ in 0..tasks {
        handles.push(tokio::spawn(async move {
            for _ in 0..YIELDS / tasks {
                yield_now().await;
            }
            YIELDS / tasks
        }));
    }
    let mut yielded = 0;
    for handle in handles {
        yielded += handle.await.unwrap();
    }
    outcome(YIELDS, format!("tasks={} yields={}", tasks, yielded))
}

/// Tokio has no unbuffered channel; a capacity of one is as close as it comes, and less work.
async fn ping_pong() -> Outcome {
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(v) = pinged.recv().await {
            if pong.send(v).await.is_err() {
                return;
            }
        }
    });
    let mut sum = 0;
    for i in 0..TRIPS {
        ping.send(i).await.unwrap();
        sum += ponged.recv().await.unwrap();
    }
    outcome(TRIPS, format!("trips={} sum={}", TRIPS, sum))
}

async fn spsc() -> Outcome {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    tokio::spawn(async move {
        for i in 1..=ELEMENTS {
            sender.send(i).await.unwrap();
        }
    });
    let mut sum: u64 = 0;
    while let Some(v) = receiver.recv().await {
        sum += v;
    }
    outcome(ELEMENTS, format!("elements={} sum={}", ELEMENTS, sum))
}

/// What does not block: one task puts in and takes out.
fn try_both() -> Outcome {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let (mut count, mut sum) = (0, 0u64);
    for i in 1..=ELEMENTS {
        if sender.try_send(i).is_err() {
            continue;
        }
        if let Ok(v) = receiver.try_recv() {
            count += 1;
            sum += v;
        }
    }
    outcome(2 * ELEMENTS, format!("elements={count} sum={sum}"))
}

/// Tokio's own channels have one receiver; async-channel is what its users take for several.
async fn mpmc() -> Outcome {
    let (sender, receiver) = async_channel::bounded(CAPACITY);
    let mut receivers = Vec::new();
    for s in 0..4 {
        let (sender, receiver) = (sender.clone(), receiver.clone());
        tokio::spawn(async move {
            let mut i = s + 1;
            while i <= ELEMENTS {
                sender.send(i).await.unwrap();
                i += 4;
            }
        });
        receivers.push(tokio::spawn(async move {
            let (mut count, mut sum) = (0, 0);
            while let Ok(v) = receiver.recv().await {
                count += 1;
                sum += v;
            }
            (count, sum)
        }));
    }
    drop((sender, receiver));
    let (mut count, mut sum) = (0u64, 0u64);
    for handle in receivers {
        let (c, s) = handle.await.unwrap();
        count += c;
        sum += s;
    }
    outcome(ELEMENTS, format!("elements={} sum={}", count, sum))
}

async fn select_2() -> Outcome {
    let (a, mut from_a) = mpsc::channel(1);
    let (b, mut from_b) = mpsc::channel(1);
    for sender in [a, b] {
        tokio::spawn(async move {
            for i in 1..=ELEMENTS / 2 {
                sender.send(i).await.unwrap();
            }
        });
    }
    let (mut count, mut sum) = (0, 0u64);
    loop {
        tokio::select! {
            Some(v) = from_a.recv() => sum += v,
            Some(v) = from_b.recv() => sum += v,
            else => break,
        }
        count += 1;
    }
    outcome(ELEMENTS, format!("elements={} sum={}", count, sum))
}

async fn mutex() -> Outcome {
    let mutex = Mutex::new(0u64);
    for _ in 0..LOCKS {
        *mutex.lock().await += 1;
    }
    outcome(LOCKS, format!("locks={} count={}", LOCKS, mutex.into_inner()))
}

async fn mutex_contended() -> Outcome {
    const TASKS: u64 = 4;
    let mutex = Arc::new(Mutex::new(0u64));
    let mut handles = Vec::new();
    for _ in 0..TASKS {
        let mutex = mutex.clone();
        handles.push(tokio::spawn(async move {
            for _ in 0..LOCKS / TASKS {
                *mutex.lock().await += 1;
            }
        }));
    }
    for handle in handles {
        handle.await.unwrap();
    }
    let count = *mutex.lock().await;
    outcome(LOCKS, format!("locks={} count={}", LOCKS, count))
}

// One turn in so many writes.
async fn rwmutex_read() -> Outcome {
    const READERS: u64 = 2;
    const TURNS_PER_WRITE: u64 = 1000;
    let lock = Arc::new(RwLock::new(0u64));
    let mut handles = Vec::new();
    for _ in 0..READERS {
        let lock = lock.clone();
        handles.push(tokio::spawn(async move {
            let (mut seen, mut before) = (0u64, 0);
            for i in 1..=LOCKS / READERS {
                if i % TURNS_PER_WRITE == 0 {
                    *lock.write().await += 1;
                    continue;
                }
                let count = lock.read().await;
                seen += (*count >= before) as u64;
                before = *count;
            }
            seen
        }));
    }
    let mut reads = 0;
    for handle in handles {
        reads += handle.await.unwrap();
    }
    let writes = *lock.read().await;
    outcome(LOCKS, format!("reads={} writes={}", reads, writes))
}

async fn once() -> Outcome {
    let cell = OnceCell::new();
    let mut ran = 0u64;
    for _ in 0..LOCKS {
        cell.get_or_init(|| {
            ran += 1;
            async {}
        })
        .await;
    }
    outcome(LOCKS, format!("calls={} ran={}", LOCKS, ran))
}

async fn semaphore() -> Outcome {
    let semaphore = Semaphore::new(3);
    for _ in 0..LOCKS {
        let _permit = semaphore.acquire().await.unwrap();
    }
    outcome(LOCKS, format!("acquired={} left={}", LOCKS, semaphore.available_permits()))
}

/// Polls a timer once, which is what registers it. True if it is pending.
struct Set<'a>(Pin<&'a mut Sleep>);

impl Future for Set<'_> {
    type Output = bool;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(self.0.as_mut().poll(cx).is_pending())
    }
}

type Timers = Vec<Pin<Box<Sleep>>>;

/// The others fall due evenly over an hour that begins in an hour; the timer that is set and stopped, or
/// reset, falls among them. The first batch makes the others, and lets the driver turn once: before that
/// it does not know its next wake, and every timer that is set would write to its eventfd.
static OTHERS: std::sync::Mutex<Timers> = std::sync::Mutex::new(Vec::new());

async fn take_others() -> Timers {
    let mut others = std::mem::take(&mut *OTHERS.lock().unwrap());
    if others.is_empty() {
        for i in 0..PENDING {
            let mut other = Box::pin(sleep(HOUR + HOUR / PENDING * i));
            Set(other.as_mut()).await;
            others.push(other);
        }
        sleep(Duration::from_millis(2)).await;
    }
    others
}

async fn timer() -> Outcome {
    let others = take_others().await;
    let from = Instant::now();
    let mut stopped = 0;
    for _ in 0..PAIRS {
        let timer = sleep(HOUR + HOUR / 2);
        tokio::pin!(timer);
        stopped += u64::from(Set(timer.as_mut()).await);
    }
    let timed = Some(from.elapsed());
    let check = format!("pending={} stopped={}", others.len(), stopped);
    *OTHERS.lock().unwrap() = others;
    Outcome { ops: PAIRS, check, timed, bytes: None, spread: None }
}

/// By turns into the first and into the third quarter of the others. What was reset is registered anew at
/// once; a poll is not needed, and would tell nothing new.
async fn timer_reset() -> Outcome {
    let others = take_others().await;
    let ahead = [HOUR + HOUR / 4, HOUR + HOUR * 3 / 4];
    let timer = sleep(HOUR + HOUR / 2);
    tokio::pin!(timer);
    Set(timer.as_mut()).await;
    let from = Instant::now();
    let mut pending = 0;
    for i in 0..RESETS {
        pending += u64::from(!timer.is_elapsed());
        timer.as_mut().reset(tokio::time::Instant::now() + ahead[(i & 1) as usize]);
    }
    let timed = Some(from.elapsed());
    let check = format!("pending={} reset={}", others.len(), pending);
    *OTHERS.lock().unwrap() = others;
    Outcome { ops: RESETS, check, timed, bytes: None, spread: None }
}
