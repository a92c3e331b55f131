//! One connection, by hyper 0.14.
use hyper::service::service_fn;
use hyper::Request;
use std::convert::Infallible;
use tokio::net::TcpStream;

pub use hyper::Body;

pub async fn serve(stream: TcpStream) {
    let service = service_fn(|request: Request<Body>| async move {
        Ok::<_, Infallible>(super::route(request.uri().path()))
    });
    // A broken connection ends its task, and that is all there is to say about it.
    let _ = hyper::server::conn::Http::new()
        .http1_only(true)
        .pipeline_flush(true)
        .serve_connection(stream, service)
        .await;
}
