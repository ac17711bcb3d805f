//! What a sample says about what it was taken from: a share and a percentile, each with the bounds that it surely has.
//!
//! A gate that compared bare numbers would fail by chance: of two equal services one has always the higher percentile.

/// 99 of 100 samples keep within a bound (one-sided). With more, a backend that is clearly worse is found later; with
/// fewer, one in ten healthy ramps meets an unlucky minute.
const Z: f64 = 2.33;

/// The share that is surely exceeded when `hits` of `all` were seen (Wilson's lower bound), from 0 to 1.
pub(super) fn surely_above(hits: f64, all: f64) -> f64 {
    if all <= 0.0 {
        return 0.0;
    }
    let share = hits / all;
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * all);
    let half = Z * (share * (1.0 - share) / all + z2 / (4.0 * all * all)).sqrt();
    ((middle - half) / (1.0 + z2 / all)).max(0.0)
}

/// A 95th percentile of a sample, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct P95 {
    /// Of the sample itself.
    pub ms: f64,
    /// The true one is surely not below.
    pub least_ms: f64,
    /// The true one is surely not above.
    pub most_ms: f64,
    /// How many times it was taken from.
    pub count: u64,
}

impl P95 {
    /// From a function that says which time a part of the sample (0 to 1) stayed within; nothing for an empty sample.
    pub(super) fn of(count: u64, within_ms: impl Fn(f64) -> f64) -> Option<Self> {
        const PART: f64 = 0.95;
        if count == 0 {
            return None;
        }
        // By ranks, so that it holds for times of any shape.
        let off = Z * (PART * (1.0 - PART) / number(count)).sqrt();
        Some(Self {
            ms: within_ms(PART),
            least_ms: within_ms((PART - off).max(0.0)),
            most_ms: within_ms((PART + off).min(1.0)),
            count,
        })
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_is_an_accident_and_many_are_not() {
        assert!(surely_above(1.0, 1_000.0) < 0.001);
        assert!(surely_above(1.0, 100.0) < 0.01);
        assert!(surely_above(5.0, 100.0) > 0.01);
        assert!(surely_above(100.0, 100.0) > 0.9);
        assert!(surely_above(0.0, 100.0) < f64::EPSILON && surely_above(0.0, 0.0) < f64::EPSILON);
    }

    #[test]
    fn bounds_come_nearer_with_more_times() {
        let of = |count| P95::of(count, |part| part * 100.0).unwrap();
        let (few, many) = (of(100), of(10_000));
        assert!(few.least_ms < many.least_ms && many.least_ms < 95.0);
        assert!(few.most_ms > many.most_ms && many.most_ms > 95.0);
        assert_eq!(P95::of(0, |part| part), None);
    }
}
