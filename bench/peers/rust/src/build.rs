//! Gives the programs the text of their --version: the exact pins of the manifest, and the compiler.
use std::{env, fs, process::Command};

fn main() {
    let manifest = env::var("CARGO_MANIFEST_DIR").unwrap() + "/Cargo.toml";
    let text = fs::read_to_string(&manifest).unwrap();
    let pin = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(&format!("{} = ", name))).unwrap();
        let from = line.find("\"=").unwrap() + 2;
        line[from..].split('"').next().unwrap().to_string()
    };
    let rustc = Command::new(env::var("RUSTC").unwrap()).arg("--version").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    println!(
        "cargo:rustc-env=PEER_VERSION=rust tokio {} hyper {} rustc {}",
        pin("tokio"),
        pin("hyper"),
        rustc.split_whitespace().nth(1).unwrap()
    );
    println!("cargo:rerun-if-changed={}", manifest);
}
