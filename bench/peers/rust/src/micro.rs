//! tokio-micro: the micro rows on Tokio, the frame here, the rows in rows.rs, and in latency.rs the one that
//! is a program of its own.
//!
//! Everything runs in a task, not in block_on, so that what it spawns goes through the worker's own
//! slot and queue. One core is the current_thread runtime.
mod json;
mod latency;
mod maps;
mod rows;

use rows::{Outcome, Spread};
use std::process::exit;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

fn usage(what: &str) -> ! {
    eprintln!("tokio-micro: {}\nusage: tokio-micro ROW --procs N --seconds S | --list | --version", what);
    exit(2);
}

/// With one, what computes all the time would never let go of it.
const TWO_CORES: &str = "sched-latency";

/// Runs batches of the row and returns operations, time and the last batch's outcome.
async fn measure(row: String, seconds: f64) -> (u64, Duration, Outcome) {
    let once = row.starts_with("park-") || row == "map-worst" || row == TWO_CORES; // one batch is one measurement
    if !once {
        rows::run(&row, seconds).await; // warms caches; not counted
    }
    let begin = Instant::now();
    let (mut ops, mut spent) = (0, Duration::ZERO);
    loop {
        let from = Instant::now();
        let outcome = rows::run(&row, seconds).await;
        spent += outcome.timed.unwrap_or_else(|| from.elapsed());
        ops += outcome.ops;
        if once || begin.elapsed().as_secs_f64() >= seconds {
            return (ops, spent, outcome);
        }
    }
}

/// Buckets as [ns, count], each by its end and at most 1/128 wide; the last by the maximum itself.
fn distribution(spread: &Spread) -> String {
    let (sorted, mut pairs, mut i) = (&spread.sorted, Vec::new(), 0);
    while i < sorted.len() {
        let bits = 64 - (sorted[i] | 255).leading_zeros();
        let end = sorted[i] | ((1 << (bits - 8)) - 1);
        let next = i + sorted[i..].iter().take_while(|&&v| v <= end).count();
        let end = if next < sorted.len() { end } else { sorted[next - 1] };
        pairs.push(format!("[{},{}]", end, next - i));
        i = next;
    }
    format!(",\"share\":{:.1},\"histogram\":[{}]", spread.share, pairs.join(","))
}

fn main() {
    let (mut row, mut procs, mut seconds) = (None, 1, 1.0);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--version" => return println!("{}", env!("PEER_VERSION")),
            "--list" => return rows::NAMES.iter().for_each(|name| println!("{}", name)),
            "--procs" => match args.next().and_then(|v| v.parse().ok()) {
                Some(n) if n > 0 => procs = n,
                _ => usage("--procs needs a number of cores"),
            },
            "--seconds" => match args.next().and_then(|v| v.parse().ok()) {
                Some(s) if s > 0.0 => seconds = s,
                _ => usage("--seconds needs a number of seconds"),
            },
            _ if row.is_none() && rows::NAMES.contains(&arg.as_str()) => row = Some(arg),
            _ => usage(&format!("no such row or option: '{}'", arg)),
        }
    }
    let row = row.unwrap_or_else(|| usage("which row?"));
    if row == TWO_CORES && procs < 2 {
        usage(&format!("this row needs two cores, --procs 2: '{}'", row));
    }
    let mut builder = match procs {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if procs > 1 {
        builder.worker_threads(procs);
    }
    let runtime = builder.enable_time().build().expect("runtime");
    let name = row.clone();
    let (ops, spent, outcome) =
        runtime.block_on(async { tokio::spawn(measure(name, seconds)).await }).expect("the row's task");
    println!(
        "{{\"row\":\"{}\",\"procs\":{},\"ns_per_op\":{:.3},\"ops\":{},\"check\":\"{}\",\"bytes_per_op\":{}{}}}",
        row,
        procs,
        spent.as_nanos() as f64 / ops as f64,
        ops,
        outcome.check,
        outcome.bytes.map_or("null".to_string(), |bytes| format!("{:.1}", bytes)),
        outcome.spread.map_or(String::new(), |spread| distribution(&spread))
    );
    exit(0); // without waiting for a runtime that may hold a hundred thousand timers
}
