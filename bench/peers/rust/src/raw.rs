//! tokio-raw: a task for each connection, a buffer of 4 KiB, read and write_all, and nothing else.
//!
//! Nothing in an answer depends on its request, so of a request that is not complete only the last
//! three bytes are kept, and all requests of one read are answered by one write out of a block of
//! answers. write_all takes care of partial writes and of clients that do not read.
mod server;

use memchr::memmem::Finder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ANSWER: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const ANSWERS: usize = 64; // in the block
const BUFFER: usize = 4096; // bytes of one read, as in every raw peer
const CARRY: usize = 3; // the most that an incomplete end of request leaves behind

async fn raw(mut stream: TcpStream, block: &'static [u8], end: &'static Finder<'static>) {
    let mut buffer = [0; CARRY + BUFFER];
    let mut kept = 0;
    loop {
        let size = match stream.read(&mut buffer[kept..kept + BUFFER]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => kept + n,
        };
        let mut from = 0;
        let mut requests = 0;
        while let Some(at) = end.find(&buffer[from..size]) {
            requests += 1;
            from += at + 4;
        }
        from = from.max(size.saturating_sub(CARRY));
        buffer.copy_within(from..size, 0);
        kept = size - from;
        while requests > 0 {
            let now = requests.min(ANSWERS);
            if stream.write_all(&block[..now * ANSWER.len()]).await.is_err() {
                return;
            }
            requests -= now;
        }
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

fn main() {
    let options = server::options(&["raw", "echo"]);
    if options.mode == "echo" {
        server::run(options, echo)
    } else {
        let block: &'static [u8] = ANSWER.repeat(ANSWERS).into_bytes().leak();
        let end: &'static Finder<'static> = Box::leak(Box::new(Finder::new("\r\n\r\n")));
        server::run(options, move |stream| raw(stream, block, end))
    }
}
