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
            texts.push(key);
        }
        Self { table: Table::parse(&content).unwrap(), texts }
    }

    /// Microseconds for each of some lookups of `among` different keys, which begin at `first` and are seven apart.
    ///
    /// The texts are laid out one behind the other before: a key that a client sends has just come in and is in the
    /// processor's cache, however many others there are. Fetching it from a list of all texts would be this
    /// program's cost and not the table's.
    fn round(&self, first: usize, among: usize) -> f64 {
        let now = UnixTime::from_seconds(5);
        let sent: Vec<[u8; 84]> = (0..LOOKUPS as usize)
            .map(|number| &self.texts[(first + 7 * (number % among)) % self.texts.len()])
            .map(|text| text.as_bytes().try_into().expect("a key has 84 bytes"))
            .collect();
        let started = cpu::of_this_thread();
        for text in &sent {
            let key = ApiKey::read(black_box(text)).unwrap();
            black_box(self.table.holder(&key, now).unwrap());
        }
        (cpu::of_this_thread() - started).as_secs_f64() * 1e6 / f64::from(LOOKUPS)
    }
}

pub(crate) fn measure(report: &mut Report) {
    const TEN: usize = 10;
    let (few, many) = (Keys::new(TEN), Keys::new(100_000));
    let (mut of_few, mut of_many, mut in_turn) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..=ROUNDS {
        let first = round * 7_001;
        let busy = (few.round(first, TEN), many.round(first, TEN));
        let every = many.round(first, LOOKUPS as usize);
        if round > 0 {
            of_few.push(busy.0);
            of_many.push(busy.1);
            in_turn.push(every);
        }
    }
    report.measured("api_key_us_10", &of_few);
    report.measured("api_key_us_100000", &of_many);
    report.measured("api_key_ratio", &of_many.over(&of_few));
    report.measured("api_key_in_turn_us", &in_turn);
}
