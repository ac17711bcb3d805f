//! API keys: from the text of a header to its holder, with ten keys and with a hundred thousand.

use std::hint::black_box;

use api_keys::{ApiKey, Record, Table, text};
use clock::UnixTime;

use crate::report::{Report, Samples};
use crate::{ROUNDS, cpu};

const LOOKUPS: u32 = 10_000;

struct Keys {
    table: Table,
    texts: Vec<String>,
}

impl Keys {
    fn new(count: usize) -> Self {
        let mut content = Vec::new();
        let mut texts = Vec::with_capacity(count);
        for number in 0..count {
            let (id, key, sha256) = text::generate().unwrap();
            let record = Record {
                id,
                sha256,
                client: format!("client-{number}").parse().unwrap(),
                tenant: "00000000-0000-7000-8000-000000000001".parse().unwrap(),
                role: None,
                scopes: vec!["books.read".to_owned()],
                created: 1,
                expires: None,
                revoked: None,
            };
            serde_json::to_writer(&mut content, &record).unwrap();
            content.push(b'\n');
            texts.push(key);
        }
        Self { table: Table::parse(&content).unwrap(), texts }
    }

    /// Microseconds for each of some lookups, which begin at `first` and are seven apart, so that a large
    /// table is not read from the processor's cache.
    fn round(&self, first: usize) -> f64 {
        let now = UnixTime::from_seconds(5);
        let started = cpu::of_this_thread();
        for number in 0..LOOKUPS as usize {
            let text = &self.texts[(first + 7 * number) % self.texts.len()];
            let key = ApiKey::read(black_box(text.as_bytes())).unwrap();
            black_box(self.table.holder(&key, now).unwrap());
        }
        (cpu::of_this_thread() - started).as_secs_f64() * 1e6 / f64::from(LOOKUPS)
    }
}

pub(crate) fn measure(report: &mut Report) {
    let (few, many) = (Keys::new(10), Keys::new(100_000));
    let (mut of_few, mut of_many) = (Samples::default(), Samples::default());
    for round in 0..=ROUNDS {
        let (one, other) = (few.round(round * 7_001), many.round(round * 7_001));
        if round > 0 {
            of_few.push(one);
            of_many.push(other);
        }
    }
    report.measured("api_key_us_10", &of_few);
    report.measured("api_key_us_100000", &of_many);
    report.measured("api_key_ratio", &of_many.over(&of_few));
}
