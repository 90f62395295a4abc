use std::time::Duration;

use bytes::Bytes;
use pintle_core::testing::corpus::{Http, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Act, Authority, Refusing, text, token};
use crate::client;

fn asking(http: Http) -> Request {
    let mut request = client::get("/token?x=1");
    request.method = "POST".into();
    request.http = http;
    request.message.fields.push(("authorization".into(), "Bearer a".into()));
    request.message.body = b"content".into();
    request
}

#[tokio::test]
async fn tokens_for_everybody_over_both_protocols() {
    let authority = Authority::start().await.unwrap();
    for http in [Http::One, Http::Two] {
        let reply = client::send(authority.address, &asking(http)).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (200, token(b"Bearer a").as_bytes()));
    }
    let calls = authority.take();
    assert_eq!(calls.iter().map(|call| call.number).collect::<Vec<_>>(), [0, 1]);
    for call in &calls {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/token?x=1"));
        assert_eq!((call.authority.as_str(), &call.body[..]), ("example.com", &b"content"[..]));
        assert_eq!(call.field("authorization"), Some(&b"Bearer a"[..]));
    }
    assert_eq!(authority.count(), 0);
    assert_eq!(client::send(authority.address, &client::get("/")).await.unwrap().status, 401);
}

#[tokio::test]
async fn plans_by_call() {
    let authority = Authority::start().await.unwrap();
    authority.plan(|call| text(if call.number == 0 { 500 } else { 403 }, "no"));
    for status in [500, 403] {
        let reply = client::send(authority.address, &asking(Http::One)).await.unwrap();
        assert_eq!(reply.status, status);
    }
    authority.reset();
    assert_eq!(client::send(authority.address, &asking(Http::One)).await.unwrap().status, 200);
}

#[tokio::test]
async fn bytes_as_planned_and_no_more() {
    let authority = Authority::start().await.unwrap();
    let half = Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal");
    for act in [
        Act::Bytes(half.clone()),
        Act::Drip(half.clone(), Duration::from_millis(1)),
        Act::Reset(half.clone()),
    ] {
        let resets = matches!(act, Act::Reset(_));
        authority.plan(move |_| act.clone());
        let mut stream = TcpStream::connect(authority.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut received = vec![0; half.len()];
        stream.read_exact(&mut received).await.unwrap();
        assert_eq!(received, half);
        let end = stream.read(&mut [0]).await;
        assert_eq!(end.is_err(), resets, "{end:?}");
        assert_eq!(end.unwrap_or_default(), 0);
        // Over HTTP/2, a stream that breaks off.
        assert!(client::send(authority.address, &asking(Http::Two)).await.is_err());
    }
}

#[tokio::test]
async fn answers_are_held_back() {
    let authority = Authority::start().await.unwrap();
    authority.hold();
    let sending = tokio::spawn({
        let address = authority.address;
        async move { client::send(address, &asking(Http::One)).await }
    });
    authority.arrived(1).await.unwrap();
    assert!(!sending.is_finished());
    authority.release();
    assert_eq!(sending.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn killed_and_started_again() {
    let authority = Authority::start().await.unwrap();
    authority.plan(|_| Act::Silence);
    let address = authority.address;
    let sending = tokio::spawn(async move { client::send(address, &asking(Http::One)).await });
    authority.arrived(1).await.unwrap();
    authority.kill().await;
    assert!(sending.await.unwrap().is_err());
    assert!(TcpStream::connect(address).await.is_err());
    authority.restart().await.unwrap();
    authority.reset();
    assert_eq!(authority.address, address);
    assert_eq!(client::send(address, &asking(Http::One)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_port_that_refuses() {
    let refusing = Refusing::new().unwrap();
    assert!(TcpStream::connect(refusing.address).await.is_err());
    assert!(tokio::net::TcpListener::bind(refusing.address).await.is_err());
}
