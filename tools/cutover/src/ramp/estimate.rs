//! Estimates a share and a percentile from a sample, each with its sure bounds.
//!
//! A gate that compared bare numbers would fail by chance: of two equal services one always has the higher percentile.

/// 99 of 100 samples stay within a bound (one-sided). With a higher value, a clearly worse backend is found later; with a
/// lower one, one in ten healthy ramps fails by chance.
const Z: f64 = 2.33;

/// The probability that a backend within its limit shows this many failures by chance.
const CHANCE: f64 = 0.01;

/// Whether `hits` of `all` are more than a share of `limit` (0 to 1) explains: by chance, this many occur in less than
/// one of a hundred samples. One hit alone always counts as chance.
pub(super) fn is_surely_above(hits: f64, all: f64, limit: f64) -> bool {
    /// From here on the normal distribution is exact enough, and the sum below would lose its digits.
    const MANY: f64 = 500.0;
    let (hits, expected) = (hits.floor(), limit * all);
    if hits < 2.0 || hits <= expected {
        return false;
    }
    if limit >= 1.0 {
        return false;
    }
    if expected > MANY {
        return hits - expected > Z * (expected * (1.0 - limit)).sqrt();
    }
    // The probability of fewer hits than these, term by term of the binomial distribution. With logarithms, because the
    // first terms can be too small for a float.
    let odds = limit / (1.0 - limit);
    let (mut log_term, mut fewer, mut count) = (all * (1.0 - limit).ln(), 0.0, 0.0);
    while count < hits {
        fewer += log_term.exp();
        if 1.0 - fewer < CHANCE {
            return true;
        }
        log_term += ((all - count) / (count + 1.0) * odds).ln();
        count += 1.0;
    }
    false
}

/// A 95th percentile of a sample, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct P95 {
    /// The percentile of the sample itself.
    pub ms: f64,
    /// A sure lower bound of the true percentile.
    pub least_ms: f64,
    /// A sure upper bound of the true percentile.
    pub most_ms: f64,
    /// The number of times in the sample.
    pub count: u64,
}

impl P95 {
    /// Reads it from a function that gives the time within which a part of the sample (0 to 1) stayed. Returns nothing for
    /// an empty sample.
    pub(super) fn of(count: u64, within_ms: impl Fn(f64) -> f64) -> Option<Self> {
        const PART: f64 = 0.95;
        if count == 0 {
            return None;
        }
        // By ranks, so that it holds for any distribution of times.
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
    fn one_failure_is_an_accident_and_many_are_not() {
        for (hits, all, limit, expected) in [
            (0.0, 0.0, 0.01, false),
            (1.0, 1.0, 0.0001, false),
            (1.0, 100.0, 0.001, false),
            (2.0, 100.0, 0.001, true),
            (2.0, 400.0, 0.001, false),
            (1.0, 100.0, 0.01, false),
            (4.0, 100.0, 0.01, false),
            (5.0, 100.0, 0.01, true),
            (100.0, 100.0, 0.9, true),
            (355.0, 355.0, 0.88, true),
            (320.0, 355.0, 0.88, false),
            (100.0, 100.0, 1.0, false),
            (1_000.0, 100_000.0, 0.01, false),
            (1_060.0, 100_000.0, 0.01, false),
            (1_100.0, 100_000.0, 0.01, true),
            (50_000.0, 100_000.0, 0.001, true),
        ] {
            assert_eq!(is_surely_above(hits, all, limit), expected, "{hits} of {all}, {limit}");
        }
    }

    #[test]
    fn a_backend_that_keeps_its_limit_is_rarely_above_it_by_chance() {
        // 20,000 samples of 200 answers at the limit of 2 %: at most one in a hundred may look bad.
        let mut state = 1_u64;
        let mut bad = 0;
        for _ in 0..20_000 {
            let mut hits = 0.0;
            for _ in 0..200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if (state >> 33) % 1_000 < 20 {
                    hits += 1.0;
                }
            }
            bad += u32::from(is_surely_above(hits, 200.0, 0.02));
        }
        assert!(bad < 220, "{bad} of 20,000");
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
