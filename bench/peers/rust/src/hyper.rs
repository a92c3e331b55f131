//! hyper: HTTP/1.1 by hyper on Tokio, answers to pipelined requests flushed together.
//!
//! Date is hyper's own. What differs between hyper 1 and 0.14 stands in hyper_1.rs and hyper_0.rs.
mod server;

#[cfg(not(feature = "hyper-0"))]
#[path = "hyper_1.rs"]
mod connection;
#[cfg(feature = "hyper-0")]
#[path = "hyper_0.rs"]
mod connection;

use connection::Body;
use hyper::header::{HeaderValue, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Response, StatusCode};

fn route(path: &str) -> Response<Body> {
    let mut response;
    if path == "/plaintext" {
        response = Response::new(Body::from("Hello, World!"));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("13"));
    } else {
        response = Response::new(Body::from(""));
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

fn main() {
    server::run(server::options(&["http"]), connection::serve)
}
