//! How long something lives, as people say it: `90s`, `15m`, `1h`, `7d`.

use std::fmt;
use std::str::FromStr;

/// A number of seconds, more than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(u32);

impl Lifetime {
    pub const fn hours(hours: u32) -> Self {
        Lifetime(hours * 3600)
    }

    /// A day, or the most that is allowed.
    pub fn at_most(seconds_max: u32) -> Self {
        Lifetime(seconds_max.clamp(1, 86_400))
    }

    pub fn seconds(self) -> u32 {
        self.0
    }

    /// When it ends if it begins now.
    pub fn end(self) -> jiff::Timestamp {
        let now = locule::Sources::system().now();
        now.checked_add(jiff::SignedDuration::from_secs(self.0.into())).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HOW: &str = "say a number and s, m, h or d, such as 90s, 15m, 1h or 7d";
        let unit = match text.as_bytes().last() {
            Some(b's') => 1_u32,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            _ => return Err(HOW.to_owned()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HOW.to_owned());
        }
        match digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)) {
            Some(0) => Err("nothing lives for no time".to_owned()),
            Some(seconds) => Ok(Lifetime(seconds)),
            None => Err("that is longer than a hundred years".to_owned()),
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            seconds if seconds.is_multiple_of(86_400) => (seconds / 86_400, 'd'),
            seconds if seconds.is_multiple_of(3_600) => (seconds / 3_600, 'h'),
            seconds if seconds.is_multiple_of(60) => (seconds / 60, 'm'),
            seconds => (seconds, 's'),
        };
        write!(f, "{number}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_shown_or_not_at_all() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("1s", 1)] {
            let lifetime: Lifetime = text.parse().unwrap();
            assert_eq!((lifetime.seconds(), lifetime.to_string().as_str()), (seconds, text));
        }
        for bad in ["", "s", "5", "0s", "-1s", "+1s", "1 h", "1w", "1.5h", "99999999999d", "1hh", "é"] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad}");
        }
    }
}
