//! As weft's: bench/micro/json.c says what the rows are about, and has the same formula. Serde's derived code on
//! serde_json, owned strings, from a slice of bytes: what a server does with a request's body.
use crate::maps::mixed;
use crate::rows::Outcome;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Instant;

const BYTES: usize = 1 << 20;
const KIB: u64 = BYTES as u64 / 1024;

#[derive(Serialize, Deserialize)]
struct Item {
    sku: String,
    count: i32,
    price: f64,
}

#[derive(Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
    zip: String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    email: String,
    active: bool,
    score: f64,
    balance: i64,
    address: Address,
    about: String,
    tags: Vec<String>,
    items: Vec<Item>,
    readings: Vec<i32>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: i32,
    records: Vec<Record>,
}

/// As they stand in the text.
const WORDS: [&str; 16] = [
    "river", "stone", "amber", r#"\"north\""#, "Köln", r"Z\u00fcrich", "東京", "harbour", r"a\/b", "meadow", "lantern",
    r"first\nsecond", "Škoda", "copper", r"tab\tbed", "winter",
];

struct Maker {
    text: String,
    drawn: u64,
}

impl Maker {
    fn draw(&mut self, below: u64) -> u64 {
        self.drawn += 1;
        let z = mixed(self.drawn.wrapping_mul(0x9e3779b97f4a7c15));
        if below == 0 {
            z
        } else {
            z % below
        }
    }

    fn words(&mut self, n: usize) {
        for i in 0..n {
            if i > 0 {
                self.text.push(' ');
            }
            let word = self.draw(16);
            self.text.push_str(WORDS[word as usize]);
        }
    }

    /// Ends in an odd digit: not all print zeros at the end alike.
    fn number(&mut self, whole: u64, digits: usize, below: u64) {
        let part = self.draw(below) | 1;
        write!(self.text, "{}.{:0digits$}", whole, part, digits = digits).unwrap();
    }

    fn add(&mut self, before: &str, drawn: i64, after: &str) {
        write!(self.text, "{}{}{}", before, drawn, after).unwrap();
    }

    fn item(&mut self) {
        let sku = self.draw(1_000_000);
        write!(self.text, r#"{{"sku":"AB-{:06}""#, sku).unwrap();
        let count = self.draw(100);
        self.add(r#","count":"#, count as i64, r#","price":"#);
        let whole = self.draw(500);
        self.number(whole, 2, 100);
        self.text.push('}');
    }

    fn record(&mut self) {
        let id = self.draw(0);
        write!(self.text, r#"{{"id":{},"name":""#, id).unwrap();
        self.words(2);
        let user = self.draw(100_000);
        self.add(r#"","email":"user"#, user as i64, r#"@example.org""#);
        let active = self.draw(2) == 1;
        write!(self.text, r#","active":{},"score":"#, active).unwrap();
        let whole = 1 + self.draw(1000);
        self.number(whole, 4, 10_000);
        let balance = self.draw(2_000_000) as i64 - 1_000_000;
        self.add(r#","balance":"#, balance, "");
        let house = self.draw(200);
        self.add(r#","address":{"street":""#, house as i64, " ");
        self.words(1);
        self.text.push_str(r#"","city":""#);
        self.words(1);
        let zip = self.draw(100_000);
        write!(self.text, r#"","zip":"{:05}"}},"about":""#, zip).unwrap();
        self.words(8);
        self.text.push_str(r#"","tags":[""#);
        self.words(1);
        self.text.push_str(r#"",""#);
        self.words(1);
        self.text.push_str(r#""],"items":["#);
        for i in 0..self.draw(4) {
            if i > 0 {
                self.text.push(',');
            }
            self.item();
        }
        self.text.push_str(r#"],"readings":["#);
        for i in 0..8 {
            let reading = self.draw(10_000) as i64 - 5000;
            self.add(if i > 0 { "," } else { "" }, reading, "");
        }
        self.text.push_str("]}");
    }
}

fn hash(text: &[u8]) -> u32 {
    text.iter().fold(2166136261, |h, &b| (h ^ u32::from(b)).wrapping_mul(16777619))
}

fn made() -> String {
    let mut m = Maker { text: String::from(r#"{"version":1,"records":["#), drawn: 0 };
    let mut first = true;
    while m.text.len() < BYTES {
        if !first {
            m.text.push(',');
        }
        m.record();
        first = false;
    }
    m.text.push_str("]}");
    m.text
}

fn timed(check: String, from: Instant, until: Instant) -> Outcome {
    Outcome { ops: KIB, check, timed: Some(until - from), bytes: None, spread: None }
}

fn sum_of(r: &Record) -> i64 {
    r.balance
        + r.about.len() as i64
        + r.items.iter().map(|item| i64::from(item.count)).sum::<i64>()
        + r.readings.iter().map(|&reading| i64::from(reading)).sum::<i64>()
}

/// The text and its hash, and the value and the hash of what it is encoded as; made by the first batch.
static DOCUMENT: Mutex<Option<(String, u32, Document, u32)>> = Mutex::new(None);

fn with_document<T>(work: impl FnOnce(&mut (String, u32, Document, u32)) -> T) -> T {
    let mut guard = DOCUMENT.lock().unwrap();
    work(guard.get_or_insert_with(|| {
        let text = made();
        let value = serde_json::from_slice(text.as_bytes()).unwrap();
        let hash = hash(text.as_bytes());
        (text, hash, value, 0)
    }))
}

pub fn json_decode() -> Outcome {
    with_document(|(text, hash, _, _)| {
        let from = Instant::now();
        let d: Document = serde_json::from_slice(text.as_bytes()).unwrap();
        let (records, sum) = (d.records.len(), d.records.iter().map(sum_of).sum::<i64>());
        drop(d);
        let until = Instant::now();
        timed(format!("bytes={} hash={:08x} records={} sum={}", text.len(), hash, records, sum), from, until)
    })
}

pub fn json_encode() -> Outcome {
    with_document(|(_, _, value, encoded)| {
        let from = Instant::now();
        let text = serde_json::to_vec(value).unwrap();
        let until = Instant::now();
        if *encoded == 0 {
            *encoded = hash(&text);
        }
        timed(format!("bytes={} hash={:08x}", text.len(), encoded), from, until)
    })
}
