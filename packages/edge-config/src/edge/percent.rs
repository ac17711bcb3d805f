//! Percentages that are exact, so that shares add up.

use std::fmt;
use std::str::FromStr;

/// A percentage from 0 to 100 with at most three decimals, counted in thousandths of a percent: integers add up exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

/// 100 %: the sum of a route's shares.
pub const WHOLE: Percent = Percent(100 * Percent::UNIT);

/// Why a text is not a [`Percent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPercent;

impl fmt::Display for InvalidPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write a percentage from 0 to 100 with at most three decimals, such as 99.5")
    }
}

impl std::error::Error for InvalidPercent {}

impl Percent {
    /// The thousandths of one percent.
    const UNIT: u32 = 1000;

    /// 0 %: a backend that is listed and gets no requests.
    pub const ZERO: Self = Self(0);

    /// `number` whole percent; `None` above 100.
    #[must_use]
    pub fn whole(number: u8) -> Option<Self> {
        Self::of_thousandths(u32::from(number) * Self::UNIT)
    }

    /// `number` thousandths of a percent; `None` above 100 percent.
    #[must_use]
    pub fn of_thousandths(number: u32) -> Option<Self> {
        (number <= WHOLE.0).then_some(Self(number))
    }

    /// A number of thousandths of a percent as a percentage, also beyond 100: `99.5`, without zeros at the end.
    #[must_use]
    pub fn shown(thousandths: u64) -> String {
        let (whole, rest) = (thousandths / u64::from(Self::UNIT), thousandths % u64::from(Self::UNIT));
        if rest == 0 {
            return whole.to_string();
        }
        let decimals = format!("{rest:03}");
        format!("{whole}.{}", decimals.trim_end_matches('0'))
    }

    /// The percentage in thousandths of a percent, 0 to 100,000.
    #[must_use]
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Percent {
    /// `10`, `99.5`, `0.125`: no zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::shown(u64::from(self.0)))
    }
}

impl FromStr for Percent {
    type Err = InvalidPercent;

    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let (whole, decimals) =
            text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || decimals.is_some_and(|decimals| !digits(decimals)) {
            return Err(InvalidPercent);
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| InvalidPercent);
        let rest = decimals.map_or(Ok(0), |decimals| number(&format!("{decimals:0<3}")))?;
        Self::of_thousandths(number(whole)? * Self::UNIT + rest).ok_or(InvalidPercent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_exact_and_reads_as_it_is_written() {
        for (text, thousandths) in
            [("0", 0), ("10", 10_000), ("99.5", 99_500), ("0.5", 500), ("0.125", 125), ("100", 100_000)]
        {
            let percent: Percent = text.parse().unwrap();
            assert_eq!((percent.thousandths(), percent.to_string().as_str()), (thousandths, text));
        }
        assert_eq!("10.0".parse::<Percent>().unwrap().to_string(), "10");
        assert_eq!("0.050".parse::<Percent>().unwrap().to_string(), "0.05");
        for bad in
            ["", "-1", "+1", "101", "100.001", "0.0001", "1.", ".5", "1e1", "1,5", "NaN", "inf", "1_0", " 1"]
        {
            assert_eq!(bad.parse::<Percent>(), Err(InvalidPercent), "{bad:?}");
        }
    }
}
