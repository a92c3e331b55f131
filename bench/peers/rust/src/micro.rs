//! tokio-micro: the micro rows on Tokio, the frame here and the rows in rows.rs.
//!
//! Everything runs in a task, not in block_on, so that what it spawns goes through the worker's own
//! slot and queue. One core is the current_thread runtime.
mod rows;

use rows::Outcome;
use std::process::exit;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

fn usage(what: &str) -> ! {
    eprintln!("tokio-micro: {}\nusage: tokio-micro ROW --procs N --seconds S | --list | --version", what);
    exit(2);
}

/// Runs batches of the row and returns operations, time and the last batch's outcome.
async fn measure(row: String, seconds: f64) -> (u64, Duration, Outcome) {
    let once = row.starts_with("park-"); // one batch is one measurement
    if !once {
        rows::run(&row).await; // warms caches; not counted
    }
    let begin = Instant::now();
    let (mut ops, mut spent) = (0, Duration::ZERO);
    loop {
        let from = Instant::now();
        let outcome = rows::run(&row).await;
        spent += outcome.timed.unwrap_or_else(|| from.elapsed());
        ops += outcome.ops;
        if once || begin.elapsed().as_secs_f64() >= seconds {
            return (ops, spent, outcome);
        }
    }
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
        "{{\"row\":\"{}\",\"procs\":{},\"ns_per_op\":{:.3},\"ops\":{},\"check\":\"{}\",\"bytes_per_op\":{}}}",
        row,
        procs,
        spent.as_nanos() as f64 / ops as f64,
        ops,
        outcome.check,
        outcome.bytes.map_or("null".to_string(), |bytes| format!("{:.1}", bytes))
    );
    exit(0); // without waiting for a runtime that may hold a hundred thousand timers
}
