//! rust-memory: the rows about memory that Rust has a counterpart of, with Box, Vec and HashMap and the system's allocator. What
//! each is about is said in bench/memory, whose programs do the same step for step. There is no collector: what is
//! given up is freed then and there, and that is timed.
use std::collections::HashMap;
use std::fs;
use std::process::exit;
use std::time::{Duration, Instant};

fn usage(what: &str) -> ! {
    eprintln!("rust-memory: {}\nusage: rust-memory ROW --procs N --seconds S | --list | --version", what);
    exit(2);
}

const ROWS: [(&str, fn(f64) -> Outcome); 4] = [
    ("binary-trees-16", |_| binary_trees(16)),
    ("binary-trees-18", |_| binary_trees(18)),
    ("ring-push", ring_push),
    ("map-push", map_push),
];

struct Outcome {
    ops: u64,
    check: String,
    wall: Duration,
    cpu: Duration,
    latencies: Option<Histogram>,
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// What the whole process has used.
fn process_time() -> Duration {
    const PROCESS_CPUTIME: i32 = 2;
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    let said = unsafe { clock_gettime(PROCESS_CPUTIME, &mut time) };
    assert_eq!(said, 0, "no clock of the process");
    Duration::new(time.seconds as u64, time.nanoseconds as u32)
}

struct Timer {
    wall: Instant,
    cpu: Duration,
}

impl Timer {
    fn begin() -> Timer {
        Timer { cpu: process_time(), wall: Instant::now() }
    }

    fn end(self, ops: u64, check: String, latencies: Option<Histogram>) -> Outcome {
        let wall = self.wall.elapsed();
        Outcome { ops, check, wall, cpu: process_time() - self.cpu, latencies }
    }
}

/// The clock of single operations: the time-stamp counter where the kernel trusts it, as in bench/memory, else Instant.
struct Clock {
    ns_per_tick: Option<f64>,
    epoch: Instant,
}

#[cfg(target_arch = "x86_64")]
fn counter() -> Option<u64> {
    Some(unsafe { core::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> Option<u64> {
    None
}

impl Clock {
    fn new() -> Clock {
        let source = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        let trusted = source.map_or(false, |name| name.trim() == "tsc");
        let (epoch, from) = (Instant::now(), counter());
        let ns_per_tick = from.filter(|_| trusted).map(|from| {
            std::thread::sleep(Duration::from_millis(20));
            epoch.elapsed().as_nanos() as f64 / (counter().unwrap_or(from) - from) as f64
        });
        Clock { ns_per_tick, epoch }
    }

    fn now(&self) -> u64 {
        match (self.ns_per_tick, counter()) {
            (Some(_), Some(ticks)) => ticks,
            _ => self.epoch.elapsed().as_nanos() as u64,
        }
    }

    /// ns since a reading of now.
    fn since(&self, from: u64) -> u64 {
        ((self.now() - from) as f64 * self.ns_per_tick.unwrap_or(1.0)) as u64
    }
}

/// Buckets of at most 1/128 of their values, in ns; the maximum is exact.
struct Histogram {
    counts: Vec<u32>,
    samples: u64,
    sum: u64,
    peak: u64,
}

impl Histogram {
    fn new() -> Histogram {
        Histogram { counts: vec![0; 57 << 7], samples: 0, sum: 0, peak: 0 }
    }

    fn record(&mut self, ns: u64) {
        let shift = 56 - (ns | 255).leading_zeros();
        self.counts[((shift as usize) << 7) + (ns >> shift) as usize] += 1;
        self.samples += 1;
        self.sum += ns;
        self.peak = self.peak.max(ns);
    }

    /// As [ns, count], each by its end, the last by the maximum.
    fn pairs(&self) -> String {
        let (mut pairs, mut left) = (Vec::new(), self.samples);
        for (i, &count) in self.counts.iter().enumerate().filter(|(_, &count)| count > 0) {
            let shift = if i < 256 { 0 } else { (i >> 7) - 1 };
            left -= u64::from(count);
            let end = if left == 0 { self.peak } else { ((i - (shift << 7) + 1) as u64) << shift } - u64::from(left > 0);
            pairs.push(format!("[{},{}]", end, count));
        }
        pairs.join(",")
    }
}

/// What a row makes of --seconds: so many operations.
fn count(seconds: f64, per_second: u64, least: u64) -> u64 {
    least.max((seconds * 1000.0 + 0.5) as u64 * per_second / 1000)
}

struct Tree {
    children: Option<(Box<Tree>, Box<Tree>)>,
}

impl Tree {
    fn build(depth: u32) -> Box<Tree> {
        let children = if depth == 0 { None } else { Some((Tree::build(depth - 1), Tree::build(depth - 1))) };
        Box::new(Tree { children })
    }

    fn count(&self) -> u64 {
        self.children.as_ref().map_or(1, |(left, right)| 1 + left.count() + right.count())
    }
}

fn binary_trees(depth: u32) -> Outcome {
    const LEAST_DEPTH: u32 = 4;
    let timer = Timer::begin();
    let mut nodes = Tree::build(depth + 1).count();
    let long_lived = Tree::build(depth);
    for d in (LEAST_DEPTH..=depth).step_by(2) {
        for _ in 0..1 << (depth - d + LEAST_DEPTH) {
            nodes += Tree::build(d).count();
        }
    }
    nodes += long_lived.count();
    drop(long_lived);
    timer.end(nodes, format!("depth={} nodes={}", depth, nodes), None)
}

const PUSHES_PER_SECOND: u64 = 1_000_000;
const PUSHES_MIN: u64 = 200_000;

fn ring_push(seconds: f64) -> Outcome {
    const WINDOW: u64 = 200_000;
    const MESSAGE: usize = 1024;
    let pushes = count(seconds, PUSHES_PER_SECOND, PUSHES_MIN);
    let mut ring: Vec<Vec<u8>> = (0..WINDOW).map(|n| vec![n as u8; MESSAGE]).collect();
    let (clock, mut latencies, timer) = (Clock::new(), Histogram::new(), Timer::begin());
    for n in WINDOW..WINDOW + pushes {
        let from = clock.now();
        ring[(n % WINDOW) as usize] = vec![n as u8; MESSAGE];
        latencies.record(clock.since(from));
    }
    let mut outcome = timer.end(pushes, String::new(), Some(latencies));
    let sum: u64 = ring.iter().map(|message| u64::from(message[MESSAGE - 1])).sum();
    outcome.check = format!("live={} pushes={} sum={}", WINDOW, pushes, sum);
    outcome
}

fn map_push(seconds: f64) -> Outcome {
    const LIVE: u64 = 1_000_000;
    let pushes = count(seconds, 4 * PUSHES_PER_SECOND, PUSHES_MIN);
    let mut messages: HashMap<u64, Box<[u64; 32]>> = HashMap::new();
    for n in 0..LIVE {
        messages.insert(n, Box::new([n; 32]));
    }
    let (clock, mut latencies, timer) = (Clock::new(), Histogram::new(), Timer::begin());
    for n in LIVE..LIVE + pushes {
        let from = clock.now();
        messages.remove(&(n - LIVE));
        messages.insert(n, Box::new([n; 32]));
        latencies.record(clock.since(from));
    }
    let mut outcome = timer.end(pushes, String::new(), Some(latencies));
    let sum: u64 = (pushes..LIVE + pushes).map(|n| messages[&n][31]).sum();
    outcome.check = format!("live={} pushes={} sum={}", messages.len(), pushes, sum);
    outcome
}

/// The most that was resident at once, in bytes; 0 where /proc does not say.
fn peak_rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn main() {
    let (mut row, mut procs, mut seconds) = (None, 1u32, 1.0);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--version" => return println!("{}", env!("PEER_VERSION")),
            "--list" => return ROWS.iter().for_each(|(name, _)| println!("{}", name)),
            "--procs" => match args.next().and_then(|v| v.parse().ok()) {
                Some(n) if n > 0 => procs = n,
                _ => usage("--procs needs a number of cores"),
            },
            "--seconds" => match args.next().and_then(|v| v.parse().ok()) {
                Some(s) if s > 0.0 => seconds = s,
                _ => usage("--seconds needs a number of seconds"),
            },
            _ => match ROWS.iter().find(|(name, _)| *name == arg) {
                Some(found) if row.is_none() => row = Some(found),
                _ => usage(&format!("no such row or option: '{}'", arg)),
            },
        }
    }
    let (name, run) = row.unwrap_or_else(|| usage("which row?"));
    let outcome = run(seconds);
    let ns = outcome.latencies.as_ref().map_or(outcome.cpu.as_nanos() as f64 / outcome.ops as f64, |spread| {
        spread.sum as f64 / spread.samples as f64
    });
    let histogram = outcome.latencies.map_or(String::new(), |spread| format!(",\"histogram\":[{}]", spread.pairs()));
    println!(
        "{{\"row\":\"{}\",\"procs\":{},\"ns_per_op\":{:.3},\"ops\":{},\"check\":\"{}\",\"bytes_per_op\":null,\
         \"wall_s\":{:.6},\"cpu_s\":{:.6},\"rss\":{}{}}}",
        name,
        procs,
        ns,
        outcome.ops,
        outcome.check,
        outcome.wall.as_secs_f64(),
        outcome.cpu.as_secs_f64(),
        peak_rss(),
        histogram
    );
}
