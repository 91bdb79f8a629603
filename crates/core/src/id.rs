//! Names of things: who somebody is, which space is theirs, which memory is meant.
//!
//! Each is a type of its own, because a mix-up between them is the fault this product exists to prevent.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use jiff::Timestamp;
use unicode_normalization::is_nfc;
use uuid::Uuid;

use crate::clock::Sources;
use crate::{Error, Result, limit};

/// Who somebody is within one issuer: the `sub` of a token, the `{user_id}` of a URL.
///
/// 1–255 bytes of UTF-8, compared byte by byte, never folded or normalised: two subjects that look alike and differ in
/// bytes are two people. What could be taken for something else (control characters, surrounding blanks, a form that
/// normalises to another, the words the URLs use themselves) is refused, not repaired.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

/// Subjects that mean something else in a URL, or nobody.
const RESERVED: [&str; 3] = ["me", ".", ".."];

/// Subjects of this form name spaces that belong to no user, so no user may have one.
const RESERVED_PREFIX: &str = "urn:locule:";

impl Subject {
    /// The bytes as they were signed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Subject {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        let refuse = |why: &str| Err(Error::invalid(format!("This user id cannot be used: {why}.")));
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > limit::SUBJECT_BYTES.max {
            return refuse("it is longer than 255 bytes");
        }
        if text.chars().any(char::is_control) {
            return refuse("it holds a control character");
        }
        if text.trim() != text {
            return refuse("it begins or ends with a blank");
        }
        if RESERVED.contains(&text) || text.starts_with(RESERVED_PREFIX) {
            return refuse("the word is reserved");
        }
        if !is_nfc(text) {
            return refuse("it is not in Unicode normalisation form C");
        }
        Ok(Subject(text.to_owned()))
    }
}

impl fmt::Debug for Subject {
    /// Subjects are personal data: a debug print in a log must not show one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

/// Who vouches for a subject: the `iss` of a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer of tokens without `iss`, of keys and of the embedding host, unless configured otherwise.
    pub const DEFAULT: &str = "locule";

    /// The text as configured or signed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Issuer(Issuer::DEFAULT.to_owned())
    }
}

impl TryFrom<&str> for Issuer {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > limit::ISSUER_BYTES.max || text.chars().any(char::is_control) {
            return Err(Error::invalid("An issuer is 1 to 1,024 bytes without control characters."));
        }
        Ok(Issuer(text.to_owned()))
    }
}

/// One person: an issuer and a subject. Two identities are one only if both are equal to the byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Who vouches.
    pub issuer: Issuer,
    /// For whom.
    pub subject: Subject,
}

impl Identity {
    /// A byte string that no other identity has: the lengths stand before the parts, so no two pairs run together.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.issuer.0.len() + self.subject.0.len());
        for part in [&self.issuer.0, &self.subject.0] {
            bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// Which space: 128 random bits, made when the space is, never derived from a user and never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId([u8; 16]);

impl SpaceId {
    /// A space nobody has had before.
    pub fn random(sources: &Sources) -> Self {
        SpaceId(sources.bytes())
    }

    /// From the bytes the directory keeps.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        SpaceId(bytes)
    }

    /// The bytes the directory keeps.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name on disk: 26 characters of lower-case base32, alike on file systems that fold case.
    pub fn name(&self) -> String {
        lower_base32().encode(&self.0)
    }
}

impl fmt::Debug for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpaceId({})", self.name())
    }
}

fn lower_base32() -> Encoding {
    let mut specification: Specification = BASE32_NOPAD.specification();
    specification.symbols.make_ascii_lowercase();
    // A fixed alphabet of 32 symbols is always a valid specification.
    specification.encoding().unwrap_or(BASE32_NOPAD)
}

/// 32 random bits that every object id of one space carries, so that a service key which names an object but no user
/// can be led to the few spaces it may be in. It proves nothing and opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub u32);

/// Ticks of the time part of an id: milliseconds since 1970 and 4,096ths of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// The tick of a moment.
    pub fn of(moment: Timestamp) -> Self {
        let microseconds = moment.as_microsecond().max(0) as u64;
        Tick(((microseconds / 1000) << 12) | ((microseconds % 1000) * 4096 / 1000))
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Tick(self.0 + 1)
    }
}

/// Makes types of ids. Each is a UUIDv7 (RFC 9562) whose random part holds the space's [`Tag`]; its first 60 time bits rise
/// strictly within a space, so the order of ids is the order of adding.
macro_rules! object_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id at `tick` in the space of `tag`.
            pub fn mint(tick: Tick, tag: Tag, sources: &Sources) -> Self {
                let random: [u8; 4] = sources.bytes();
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&(tick.0 >> 12).to_be_bytes()[2..]);
                bytes[6] = 0x70 | (tick.0 >> 8 & 0x0f) as u8;
                bytes[7] = tick.0 as u8;
                // Variant 10, then 30 random bits, then the tag.
                bytes[8..12].copy_from_slice(&random);
                bytes[8] = 0x80 | bytes[8] & 0x3f;
                bytes[12..].copy_from_slice(&tag.0.to_be_bytes());
                $name(Uuid::from_bytes(bytes))
            }

            /// The least one of a tick: all that were made before come before it.
            pub fn least(tick: Tick) -> Self {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&(tick.0 >> 12).to_be_bytes()[2..]);
                bytes[6] = 0x70 | (tick.0 >> 8 & 0x0f) as u8;
                bytes[7] = tick.0 as u8;
                bytes[8] = 0x80;
                $name(Uuid::from_bytes(bytes))
            }

            /// Whether it tells when it was made. What another product has made does not, and is an id all the same.
            pub fn tells_time(&self) -> bool {
                self.0.get_version_num() == 7
            }

            /// When in the order of adding it was made.
            pub fn tick(&self) -> Tick {
                let b = self.0.as_bytes();
                let milliseconds = u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]);
                Tick(milliseconds << 12 | u64::from(b[6] & 0x0f) << 8 | u64::from(b[7]))
            }

            /// The tag of the space it was made in.
            pub fn tag(&self) -> Tag {
                let b = self.0.as_bytes();
                Tag(u32::from_be_bytes([b[12], b[13], b[14], b[15]]))
            }

            /// The 16 bytes that are stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the 16 bytes that are stored.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(Uuid::from_bytes(bytes))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// A text that is no UUID names nothing, and says so exactly as an id that nobody has.
            fn from_str(text: &str) -> Result<Self> {
                Uuid::try_parse(text).map($name).map_err(|_| Error::not_found())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Uuid::try_parse(&text).map($name).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

object_ids! {
    /// Which memory: a UUIDv7 (RFC 9562) whose random part holds the space's [`Tag`].
    ///
    /// Its first 60 time bits rise strictly within a space, so the order of ids is the order of adding.
    MemoryId;
    /// Which relationship between memories: made like a [`MemoryId`].
    RelationshipId;
    /// Which job of a space: made like a [`MemoryId`].
    JobId;
    /// Identifies one entry of a space's context as it was last written.
    EntryId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_taken_as_it_is_or_not_at_all() {
        for good in ["alice", "alice-123", "Ålice", "a b", "user@example.com", "auth0|5f7", &"x".repeat(255)] {
            assert_eq!(Subject::try_from(good).map(|subject| subject.0).ok().as_deref(), Some(good));
        }
        let decomposed = "A\u{30a}lice";
        let bad = [
            "",
            "me",
            ".",
            "..",
            " a",
            "a ",
            "a\0b",
            "a\nb",
            "\u{85}",
            decomposed,
            "urn:locule:space:x",
            &"x".repeat(256),
        ];
        for bad in bad {
            assert!(Subject::try_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn two_identities_never_share_their_bytes() -> Result<()> {
        let identity = |issuer: &str, subject: &str| -> Result<Vec<u8>> {
            Ok(Identity { issuer: issuer.try_into()?, subject: subject.try_into()? }.to_bytes())
        };
        assert_ne!(identity("ab", "c")?, identity("a", "bc")?);
        assert_ne!(identity("a", "Alice")?, identity("a", "alice")?);
        Ok(())
    }

    #[test]
    fn an_id_is_a_version_7_uuid_that_keeps_its_tick_and_tag() -> Result<(), jiff::Error> {
        let sources = Sources::system();
        let tick = Tick::of("2026-11-24T12:00:00.123456Z".parse()?);
        let id = MemoryId::mint(tick, Tag(0xdead_beef), &sources);
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!((id.tick(), id.tag()), (tick, Tag(0xdead_beef)));
        assert!(MemoryId::mint(tick.next(), Tag(0), &sources) > id);
        Ok(())
    }

    #[test]
    fn a_space_is_named_alike_on_every_file_system() {
        let name = SpaceId::from_bytes([0xff; 16]).name();
        assert_eq!(name.len(), 26);
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    }
}
