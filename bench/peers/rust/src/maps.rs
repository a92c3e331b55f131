//! As weft's: bench/micro/map.c says what the rows are about. The standard library's map with its own hash, SipHash-1-3,
//! which is what a program has that does not choose another.
use crate::rows::{outcome, Outcome};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub const KEYS: u64 = 1_000_000;
const WORST_OF: usize = 10_000_000;
const TIMES: usize = 3;

pub fn mixed(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}

fn filled() -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    for i in 0..KEYS {
        map.insert(mixed(i), i);
    }
    map
}

pub fn map_insert() -> Outcome {
    outcome(KEYS, format!("keys={} len={}", KEYS, filled().len()))
}

static FILLED: Mutex<Option<HashMap<u64, u64>>> = Mutex::new(None);

pub fn map_look_up(first: u64) -> Outcome {
    let mut guard = FILLED.lock().unwrap();
    let map = guard.get_or_insert_with(filled);
    let (mut found, mut sum) = (0, 0);
    let from = Instant::now();
    for i in first..first + KEYS {
        if let Some(value) = map.get(&mixed(i)) {
            found += 1;
            sum += value;
        }
    }
    let timed = Some(from.elapsed());
    Outcome { timed, ..outcome(KEYS, format!("keys={} found={} sum={}", KEYS, found, sum)) }
}

fn fill_and_time(least: &mut [Duration]) -> usize {
    let mut map = HashMap::new();
    let mut from = Instant::now();
    for (i, one) in least.iter_mut().enumerate() {
        map.insert(mixed(i as u64), i as u64);
        *one = from.elapsed().min(*one);
        from = Instant::now();
    }
    map.len()
}

pub fn map_worst() -> Outcome {
    let mut least = vec![Duration::MAX; WORST_OF];
    let len: usize = (0..TIMES).map(|_| fill_and_time(&mut least)).sum();
    let timed = least.into_iter().max();
    Outcome { timed, ..outcome(1, format!("keys={} times={} len={}", WORST_OF, TIMES, len)) }
}
