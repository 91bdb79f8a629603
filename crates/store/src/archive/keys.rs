//! The keys of an archive, in a file of their own: the archive can lie where its keys do not, and is noise once they are gone.
//!
//! `locule backup keys 1\n`, how they are wrapped (`m` under the master key, `p` under a passphrase, 16 bytes of salt), and the
//! sealed rest: the archive's id, a key for each section, and under a passphrase, of a whole installation, its master key.

use locule_core::clock::Sources;
use locule_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::frames::Id;
use crate::key::MasterKey;
use crate::seal::Secret;

const MAGIC: &[u8] = b"locule backup keys 1\n";
const PLACE: &[u8] = b"backup keys";

/// What wraps the keys of an archive.
pub enum Lock {
    /// The installation's master key.
    Master,
    /// Something that somebody knows.
    Passphrase(Zeroizing<String>),
}

/// How short a passphrase may be. What guards a backup can be tried by whoever has it, for as long as they like.
const PASSPHRASE_MIN: usize = 12;

/// The keys.
#[derive(Serialize, Deserialize)]
pub struct Keys {
    id: String,
    sections: Vec<String>,
    /// The master key file, where the archive is to be restored without it.
    pub master: Option<String>,
}

impl Keys {
    /// None yet.
    pub fn new(id: Id, master: Option<String>) -> Self {
        Keys { id: hex(&id), sections: Vec::new(), master }
    }

    /// Whether they are this archive's.
    pub fn are_of(&self, id: Id) -> bool {
        self.id == hex(&id)
    }

    /// A key for one more section, and the section's number.
    pub fn add(&mut self, sources: &Sources) -> Result<(u32, Secret)> {
        let secret = Secret::random(sources);
        self.sections.push(hex(secret.as_bytes()));
        Ok((u32::try_from(self.sections.len() - 1).map_err(Error::internal)?, secret))
    }

    /// The key of a section.
    pub fn of(&self, section: u32) -> Result<Secret> {
        let bytes = self.sections.get(section as usize);
        let bytes = bytes.and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok());
        bytes.and_then(|bytes| Secret::from_bytes(&bytes)).ok_or_else(|| unusable("they lack one"))
    }

    /// Their file.
    pub fn wrap(&self, lock: &Lock, master: &MasterKey, sources: &Sources) -> Result<Vec<u8>> {
        let plain = Zeroizing::new(serde_json::to_vec(self).map_err(Error::internal)?);
        let (head, secret) = match lock {
            Lock::Master => (vec![b'm'], master.derive("backup")),
            Lock::Passphrase(passphrase) => {
                if passphrase.chars().count() < PASSPHRASE_MIN {
                    return Err(Error::invalid(format!(
                        "A passphrase for a backup has {PASSPHRASE_MIN} characters or more."
                    )));
                }
                let salt: [u8; 16] = sources.bytes();
                ([b"p".as_slice(), &salt].concat(), stretch(passphrase, &salt)?)
            }
        };
        Ok([MAGIC, &head, &secret.seal(&plain, PLACE, sources)].concat())
    }

    /// Opens their file. `master` is the master key, where there is one.
    pub fn unwrap(bytes: &[u8], lock: &Lock, master: Option<&MasterKey>) -> Result<Self> {
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| unusable("this is no file of keys"))?;
        let (secret, sealed) = match (rest.split_first(), lock, master) {
            (Some((b'm', sealed)), Lock::Master, Some(master)) => (master.derive("backup"), sealed),
            (Some((b'm', _)), Lock::Master, None) => {
                return Err(unusable(
                    "they are wrapped by the master key: put its master.key into the data directory first",
                ));
            }
            (Some((b'm', _)), Lock::Passphrase(_), _) => {
                return Err(unusable("they are wrapped by the master key and by no passphrase"));
            }
            (Some((b'p', rest)), Lock::Passphrase(passphrase), _) => {
                let (salt, sealed) = rest.split_first_chunk::<16>().ok_or_else(|| unusable("the file is cut short"))?;
                (stretch(passphrase, salt)?, sealed)
            }
            (Some((b'p', _)), Lock::Master, _) => {
                return Err(unusable("they are wrapped by a passphrase: give it with --passphrase-file"));
            }
            _ => return Err(unusable("this is no file of keys")),
        };
        let plain = secret.open(sealed, PLACE).map(Zeroizing::new);
        let plain = plain.ok_or_else(|| {
            unusable(match lock {
                Lock::Master => "they do not open with the master key in this data directory, or are damaged",
                Lock::Passphrase(_) => "they do not open with this passphrase, or are damaged",
            })
        })?;
        serde_json::from_slice(&plain).map_err(|error| unusable("they do not read").because(error))
    }
}

/// A secret out of a passphrase, at a cost: scrypt (RFC 7914) with 64 MiB.
fn stretch(passphrase: &str, salt: &[u8]) -> Result<Secret> {
    let mut secret = Zeroizing::new([0; 32]);
    openssl::pkcs5::scrypt(passphrase.as_bytes(), salt, 1 << 16, 8, 1, 96 << 20, &mut *secret)
        .map_err(Error::internal)?;
    Secret::from_bytes(&*secret).ok_or_else(|| Error::internal("32 bytes are a secret"))
}

fn unusable(why: &str) -> Error {
    Error::new(Code::KeyUnavailable, format!("The keys of this backup cannot be used: {why}. Nothing was changed."))
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
