//! sched-latency: how late a task runs that a timer has woken, while others compute in bursts and one
//! computes all the time. Fixed work out of seeded sequences, step for step that of bench/micro/latency.c.
//!
//! What computes all the time takes a worker for itself: a task is never interrupted.
use crate::rows::{Outcome, Spread};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SLEEPERS: u64 = 1000;
const WARMUP: usize = 4; // rounds that are not recorded
const ROUNDS_MIN: usize = 8;
const SLEEP_MIN: u64 = 1_000_000; // ns
const SLEEP_SPAN: u64 = 44_000_000;
const BURST_MIN: u64 = 512; // steps of the sequence
const BURST_SPAN: u64 = 12_288;
const CHUNK: u64 = 4096;
const CALIBRATION: u64 = 50_000; // steps: 0.1 ms
const MEAN_ROUND: usize = 23; // ms

static STOP: AtomicBool = AtomicBool::new(false);
static STEPS: AtomicU64 = AtomicU64::new(0); // that the computing task has done
static KEPT: AtomicU64 = AtomicU64::new(0); // results that nobody asks for: their steps cannot be left out

/// xorshift64: each step needs the one before it.
fn compute(mut x: u64, steps: u64) -> u64 {
    for _ in 0..steps {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// What a step takes on a core of its own: the least of many.
fn step_ns() -> f64 {
    let one = || {
        let from = Instant::now();
        KEPT.store(compute(KEPT.load(Relaxed) | 1, CALIBRATION), Relaxed); // not known beforehand
        from.elapsed()
    };
    let least = (0..100).map(|_| one()).min().unwrap();
    least.as_nanos() as f64 / CALIBRATION as f64
}

/// Returns how late it was in each round, and the end of its sequence.
async fn sleeper(number: u64, rounds: usize) -> (Vec<u64>, u64) {
    let mut lateness = Vec::with_capacity(rounds);
    let mut x = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for round in 0..WARMUP + rounds {
        x = compute(x, 1);
        let time = Duration::from_nanos(SLEEP_MIN + x % SLEEP_SPAN);
        let begin = Instant::now();
        sleep(time).await;
        let late = begin.elapsed().saturating_sub(time);
        if round >= WARMUP {
            lateness.push(late.as_nanos() as u64);
        }
        x = compute(x, BURST_MIN + (x >> 40) % BURST_SPAN);
    }
    (lateness, x)
}

async fn computing() {
    let (mut x, mut steps) = (1, 0);
    while !STOP.load(Relaxed) {
        x = compute(x, CHUNK);
        steps += CHUNK;
        STEPS.store(steps, Relaxed);
    }
    KEPT.store(x, Relaxed);
}

pub async fn sched_latency(seconds: f64) -> Outcome {
    let rounds = ROUNDS_MIN.max((seconds * 1000.0 + 0.5) as usize / MEAN_ROUND);
    let alone = step_ns();
    let from = Instant::now();
    let handles: Vec<_> = (0..SLEEPERS).map(|i| tokio::spawn(sleeper(i, rounds))).collect();
    let busy = tokio::spawn(computing());
    let (mut sorted, mut sum) = (Vec::with_capacity(SLEEPERS as usize * rounds), 0u64);
    for handle in handles {
        let (lateness, end) = handle.await.unwrap();
        sorted.extend(lateness);
        sum = sum.wrapping_add(end);
    }
    let took = from.elapsed().as_nanos() as f64;
    let share = 100.0 * alone * STEPS.load(Relaxed) as f64 / took;
    STOP.store(true, Relaxed);
    busy.await.unwrap();
    sorted.sort_unstable();
    Outcome {
        ops: sorted.len() as u64,
        check: format!("goroutines={} rounds={} sum={}", SLEEPERS, rounds, sum),
        timed: Some(Duration::from_nanos(sorted.iter().sum())),
        bytes: None,
        spread: Some(Spread { sorted, share }),
    }
}
