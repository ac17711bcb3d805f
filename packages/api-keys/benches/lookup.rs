//! What a lookup costs with ten keys and with a hundred thousand: `cargo bench -p api-keys`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::hint::black_box;
use std::time::Instant;

use api_keys::{ApiKey, Record, Table, text};
use clock::UnixTime;

const LOOKUPS: u32 = 200_000;

fn main() {
    for count in [10, 1_000, 100_000] {
        let mut content = Vec::new();
        let mut keys = Vec::with_capacity(count);
        for number in 0..count {
            let (id, key, sha256) = text::generate(&text::Prefix::default()).unwrap();
            let record = Record {
                id,
                sha256,
                imported: false,
                client: format!("client-{number}").parse().unwrap(),
                roles: Vec::new(),
                tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()),
                role: None,
                scopes: vec!["books.read".to_owned()],
                plan: None,
                created: 1,
                expires: None,
                revoked: None,
            };
            serde_json::to_writer(&mut content, &record).unwrap();
            content.push(b'\n');
            keys.push(key);
        }
        let started = Instant::now();
        let table = Table::parse(&content).unwrap();
        let parsed = started.elapsed();
        let now = UnixTime::from_seconds(5);
        let started = Instant::now();
        for key in keys.iter().cycle().take(LOOKUPS as usize) {
            let key = ApiKey::read(black_box(key.as_bytes())).unwrap();
            black_box(table.holder(&key, now).unwrap());
        }
        println!("{count:>7} keys: parsed in {parsed:?}, {:?} a lookup", started.elapsed() / LOOKUPS);
    }
}
