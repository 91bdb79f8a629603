//! What a token claims, once its signature holds, and whether that is enough.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Number;

use super::Rules;
use super::token::{is_object_of_distinct_keys, present};
use crate::id::Subject;

/// The claims that mean something here; others may be there and mean nothing. None of them may be `null`, which some
/// readers take for absent and others for a value.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    exp: Number,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Number>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<Number>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "present")]
    role: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Reads claims, if they are an object of distinct keys with the right kinds of values.
    pub fn read(json: &str) -> Option<Self> {
        is_object_of_distinct_keys(json).then(|| serde_json::from_str(json).ok())?
    }

    /// For whom the token speaks and when it was issued, if the rules take it at `now`.
    pub fn judge(&self, rules: &Rules, now: Timestamp) -> Option<(Subject, Option<Timestamp>)> {
        let passes = self.issuer_passes(rules) && self.audience_passes(rules) && self.role_passes();
        let issued_at = self.times_pass(rules, now)?;
        passes.then(|| Subject::try_from(self.sub.as_str()).ok())?.map(|subject| (subject, issued_at))
    }

    fn issuer_passes(&self, rules: &Rules) -> bool {
        self.iss.as_deref().map_or(!rules.require_issuer, |issuer| issuer == rules.issuer.as_str())
    }

    fn audience_passes(&self, rules: &Rules) -> bool {
        let ours = |audience: &String| rules.audiences.contains(audience);
        match &self.aud {
            None => !rules.require_audience,
            Some(Audience::One(audience)) => ours(audience),
            Some(Audience::Several(audiences)) => audiences.iter().any(ours),
        }
    }

    /// Some issuers sign visitors (`anon`) and their own servers (`service_role`) with the key that signs users. Neither
    /// is a user, and a word we do not know is more likely a third such thing than a user.
    fn role_passes(&self) -> bool {
        self.role.as_deref().is_none_or(|role| role == "authenticated")
    }

    /// When it was issued, if the token is neither too old, too young nor too long-lived.
    fn times_pass(&self, rules: &Rules, now: Timestamp) -> Option<Option<Timestamp>> {
        let exp = moment(&self.exp)?;
        let nbf = self.nbf.as_ref().map_or(Some(None), |nbf| moment(nbf).map(Some))?;
        let iat = self.iat.as_ref().map_or(Some(None), |iat| moment(iat).map(Some))?;

        let us = |seconds: u32| i64::from(seconds) * 1_000_000;
        let leeway = us(rules.leeway_s);
        let (now_us, exp_us) = (now.as_microsecond(), exp.as_microsecond());
        let expired = now_us >= exp_us + leeway;
        let early = nbf.into_iter().chain(iat).any(|moment| moment.as_microsecond() > now_us + leeway);
        let born_us = iat.unwrap_or(now).as_microsecond();
        let too_long = rules.lifetime_max_s.is_some_and(|max| exp_us - born_us > us(max));
        (!expired && !early && !too_long).then_some(iat)
    }
}

/// A NumericDate: seconds since 1970, whole or not. One outside the calendar (year 9999) is refused.
fn moment(number: &Number) -> Option<Timestamp> {
    match number.as_i64() {
        Some(seconds) => Timestamp::from_second(seconds).ok(),
        // A cast of a float stops at the ends of the range, which the calendar does not reach.
        None => Timestamp::from_microsecond((number.as_f64()? * 1e6) as i64).ok(),
    }
}

/// The issuer alone.
pub(super) fn issuer(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issued {
        iss: String,
    }
    serde_json::from_str::<Issued>(json).ok().map(|issued| issued.iss)
}
