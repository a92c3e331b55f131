//! What the Rust servers share: options, the runtime, the accept loop, the end by signal.
use std::fmt::Display;
use std::future::Future;
use std::process::exit;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{signal, SignalKind};

pub struct Options {
    pub mode: String,
    listen: String,
    threads: usize,
}

pub fn usage(what: impl Display) -> ! {
    eprintln!("{}", what);
    exit(2);
}

fn fail(what: impl Display) -> ! {
    eprintln!("{}", what);
    exit(1);
}

pub fn options(modes: &[&str]) -> Options {
    let mut options = Options { mode: String::new(), listen: String::new(), threads: 1 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--version" {
            println!("{}", env!("PEER_VERSION"));
            exit(0);
        }
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name.to_string(), Some(value.to_string())),
            None => (arg.clone(), None),
        };
        if !["--mode", "--listen", "--threads", "--stats"].contains(&name.as_str()) {
            usage(format!("unexpected argument '{}'", arg));
        }
        let value = value
            .or_else(|| args.next())
            .unwrap_or_else(|| usage(format!("{} needs a value", name)));
        match name.as_str() {
            "--mode" => options.mode = value,
            "--listen" => options.listen = value,
            "--threads" => {
                options.threads = match value.parse() {
                    Ok(n) if n > 0 => n,
                    _ => usage(format!("not a number of threads: '{}'", value)),
                }
            }
            // Nothing here spins: the count stays 0.
            _ => {
                if let Err(e) = std::fs::write(&value, [0; 8]) {
                    fail(format!("{}: {}", value, e));
                }
            }
        }
    }
    if !modes.contains(&options.mode.as_str()) {
        usage(format!("no such mode here: '{}'; --mode takes {:?}", options.mode, modes));
    }
    if options.listen.is_empty() {
        usage("--listen ADDRESS:PORT is needed");
    }
    options
}

/// One thread is served best by the runtime that has no other to think of.
pub fn runtime(threads: usize) -> Runtime {
    let built = match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    built.unwrap_or_else(|e| fail(e))
}

/// Runs a task of `serve` for each connection until SIGTERM or SIGINT.
pub fn run<F, T>(options: Options, serve: F)
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    runtime(options.threads).block_on(async move {
        let mut term = signal(SignalKind::terminate()).unwrap_or_else(|e| fail(e));
        let mut int = signal(SignalKind::interrupt()).unwrap_or_else(|e| fail(e));
        let listener = match TcpListener::bind(&options.listen).await {
            Ok(listener) => listener,
            Err(e) => fail(format!("{}: {}", options.listen, e)),
        };
        println!("listening on {}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap_or_else(|e| fail(e));
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        });
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    });
    exit(0);
}
