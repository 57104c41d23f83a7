//! mainline-node ADDRESS:PORT DOOR...: the crate `mainline` (pubky's) as a node. The lines that it takes and says are
//! those of libtorrent_node.py.
#![allow(deprecated)] // of its plain calls, in favour of asynchronous ones

use mainline::{Dht, MutableItem, SigningKey};
use std::io::{stdin, BufRead};
use std::net::SocketAddrV4;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn get(dht: &Dht, key: &str, salt: &str) -> String {
    let key: [u8; 32] = hex(key).try_into().unwrap();
    match dht.get_mutable_most_recent(&key, Some(salt.as_bytes())) {
        Some(item) => format!("item {} {}", item.seq(), text(item.value())),
        None => "none".into(),
    }
}

fn put(dht: &Dht, seed: &str, salt: &str, seq: &str, value: &str) -> String {
    let key = SigningKey::from_bytes(&hex(seed).try_into().unwrap());
    let item = MutableItem::new(key, &hex(value), seq.parse().unwrap(), Some(salt.as_bytes()));
    match dht.put_mutable(item, None) {
        Ok(_) => "put".into(),
        Err(e) => format!("failed {e}"),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let at: SocketAddrV4 = words[1].parse().unwrap();
    let dht = Dht::builder()
        .port(at.port())
        .bind_address(*at.ip())
        .bootstrap(&words[2..])
        .server_mode()
        .build()
        .unwrap();
    println!("ready");
    for line in stdin().lock().lines() {
        let line = line.unwrap();
        let w: Vec<&str> = line.split(' ').collect();
        match w[0] {
            "get" => println!("{}", get(&dht, w[1], w[2])),
            _ => println!("{}", put(&dht, w[1], w[2], w[3], w[4])),
        }
    }
}
