//! Keys: one master key for the installation, one data key for each space, each in a place of its own.
//!
//! A space's data key is wrapped by the master key and bound to the space, so that a key moved to another space
//! opens nothing. It lies apart from the data: destroying it destroys the space, on a full disk too.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use locule_core::clock::Sources;
use locule_core::id::SpaceId;
use locule_core::{Code, Error, Result};

use crate::error::of_disk;
use crate::files;
use crate::seal::Secret;

/// The key that wraps the others, in one or several versions.
#[derive(Clone)]
pub struct MasterKey {
    versions: Vec<(u32, Secret)>,
}

const MASTER_HEADER: &str = "locule master key";
const WRAPPED_HEADER: &[u8; 8] = b"lockey1\n";

impl MasterKey {
    /// Reads the key file; `None` when there is none.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let refuse =
            |why: &str| Error::new(Code::KeyUnavailable, format!("The master key file {}: {why}", path.display()));
        let Some(bytes) = files::read(path).map_err(|error| refuse("it cannot be read.").because(error))? else {
            return Ok(None);
        };
        if files::readable_by_others(path).map_err(Error::internal)? {
            return Err(refuse("others can read it. Make it yours alone: chmod 600."));
        }
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is not a key file."))?;
        let mut lines = text.lines();
        if lines.next() != Some(MASTER_HEADER) {
            return Err(refuse("it is not a key file."));
        }
        let version = |line: &str| {
            let (number, hex) = line.split_once(' ')?;
            let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
            Some((number.parse().ok()?, Secret::from_bytes(&bytes)?))
        };
        let versions: Option<Vec<_>> = lines.map(version).collect();
        match versions {
            Some(versions) if !versions.is_empty() => Ok(Some(MasterKey { versions })),
            _ => Err(refuse("it is damaged. Restore it from its backup: without it nothing can be read.")),
        }
    }

    /// Makes a key file with a fresh key, unless there is one, and reads it.
    pub fn create(path: &Path, sources: &Sources) -> Result<Self> {
        let secret = Secret::random(sources);
        let text = format!("{MASTER_HEADER}\n1 {}\n", HEXLOWER_PERMISSIVE.encode(secret.as_bytes()));
        files::create_new(path, text.as_bytes(), sources)
            .map_err(|error| Error::new(Code::KeyUnavailable, "The master key file cannot be made.").because(error))?;
        MasterKey::read(path)?.ok_or_else(|| Error::internal("the master key file is gone again"))
    }

    /// Puts a key file there that [`MasterKey::text`] gave, unless there is one.
    pub fn put(path: &Path, text: &str, sources: &Sources) -> Result<()> {
        files::create_new(path, text.as_bytes(), sources)
            .map(drop)
            .map_err(|error| Error::new(Code::KeyUnavailable, "The master key file cannot be made.").because(error))
    }

    /// The key as its file has it.
    pub fn text(&self) -> String {
        let line = |(version, secret): &(u32, Secret)| {
            format!("{version} {}\n", HEXLOWER_PERMISSIVE.encode(secret.as_bytes()))
        };
        format!("{MASTER_HEADER}\n{}", self.versions.iter().map(line).collect::<String>())
    }

    /// What tells it from others and nothing else of it.
    pub fn fingerprint(&self) -> String {
        HEXLOWER_PERMISSIVE.encode(&self.derive("fingerprint").as_bytes()[..8])
    }

    /// A secret of the installation for one purpose.
    pub fn derive(&self, purpose: &str) -> Secret {
        self.versions[0].1.derive(purpose)
    }

    fn current(&self) -> &(u32, Secret) {
        &self.versions[self.versions.len() - 1]
    }

    fn version(&self, number: u32) -> Option<&Secret> {
        self.versions.iter().find(|(version, _)| *version == number).map(|(_, secret)| secret)
    }
}

/// Where wrapped keys lie.
pub trait Cabinet: Send + Sync {
    /// The wrapped key of a space, if there is one.
    fn find(&self, space: SpaceId) -> Result<Option<Vec<u8>>>;

    /// Puts a wrapped key there, durably, unless there is one: then that one is the space's.
    fn put(&self, space: SpaceId, wrapped: &[u8]) -> Result<()>;

    /// Destroys it, durably. Says whether there was one.
    fn destroy(&self, space: SpaceId) -> Result<bool>;

    /// What is left of it; nothing, once it is destroyed.
    fn residue(&self, space: SpaceId) -> Vec<String>;
}

/// The data keys of spaces.
pub struct KeyRing {
    cabinet: Box<dyn Cabinet>,
    master: MasterKey,
    sources: Sources,
}

impl KeyRing {
    /// The keys that lie in `cabinet`, wrapped by `master`.
    pub fn new(cabinet: impl Cabinet + 'static, master: MasterKey, sources: Sources) -> Self {
        KeyRing { cabinet: Box::new(cabinet), master, sources }
    }

    /// The key of a space; `None` when it has none.
    pub fn find(&self, space: SpaceId) -> Result<Option<Secret>> {
        // A disk that fails, or no file left to open, is no damage: the key may well be there.
        let Some(bytes) = self.cabinet.find(space)? else { return Ok(None) };
        self.unwrap(space, &bytes).map(Some).ok_or_else(|| unreadable("it does not open with the master key"))
    }

    /// The key of a space, made now if it has none.
    pub fn create(&self, space: SpaceId) -> Result<Secret> {
        if let Some(secret) = self.find(space)? {
            return Ok(secret);
        }
        self.cabinet.put(space, &self.wrap(space, &Secret::random(&self.sources)))?;
        // Another process may have been first: what lies there now is the key.
        self.find(space)?.ok_or_else(|| unreadable("it is gone again"))
    }

    /// Destroys the key of a space for good. Says whether there was one.
    pub fn destroy(&self, space: SpaceId) -> Result<bool> {
        self.cabinet.destroy(space)
    }

    /// What is left of the key of a space.
    pub fn residue(&self, space: SpaceId) -> Vec<String> {
        self.cabinet.residue(space)
    }

    fn wrap(&self, space: SpaceId, secret: &Secret) -> Vec<u8> {
        let (version, master) = self.master.current();
        let version = version.to_be_bytes();
        let wrapped = master.derive("wrap").seal(secret.as_bytes(), &place(space, version), &self.sources);
        [WRAPPED_HEADER.as_slice(), &version, &wrapped].concat()
    }

    fn unwrap(&self, space: SpaceId, bytes: &[u8]) -> Option<Secret> {
        let rest = bytes.strip_prefix(WRAPPED_HEADER)?;
        let (version, wrapped) = rest.split_first_chunk::<4>()?;
        let master = self.master.version(u32::from_be_bytes(*version))?;
        Secret::from_bytes(&master.derive("wrap").open(wrapped, &place(space, *version))?)
    }
}

/// Wrapped keys in files of their own, apart from the data.
pub struct KeyFiles {
    root: PathBuf,
    sources: Sources,
}

impl KeyFiles {
    /// Files below `root`.
    pub fn new(root: PathBuf, sources: Sources) -> Self {
        KeyFiles { root, sources }
    }

    /// The key file of a space, and what a crash may have left while it was made.
    fn files(&self, space: SpaceId) -> Result<Vec<PathBuf>> {
        files::of_one_name(&self.path(space)).map_err(of_disk)
    }

    fn path(&self, space: SpaceId) -> PathBuf {
        crate::paths::fan_out(&self.root, space, "key")
    }
}

impl Cabinet for KeyFiles {
    fn find(&self, space: SpaceId) -> Result<Option<Vec<u8>>> {
        files::read(&self.path(space)).map_err(of_disk)
    }

    fn put(&self, space: SpaceId, wrapped: &[u8]) -> Result<()> {
        let path = self.path(space);
        path.parent().map_or(Ok(()), files::create_directory).map_err(of_disk)?;
        files::create_new(&path, wrapped, &self.sources).map(drop).map_err(of_disk)
    }

    fn destroy(&self, space: SpaceId) -> Result<bool> {
        let mut destroyed = false;
        for path in self.files(space)? {
            destroyed |= files::shred(&path).map_err(of_disk)?;
        }
        Ok(destroyed)
    }

    fn residue(&self, space: SpaceId) -> Vec<String> {
        // Where it cannot be looked, something may be left.
        let places = self.files(space).unwrap_or_else(|_| vec![self.path(space)]);
        places.iter().map(|path| path.display().to_string()).collect()
    }
}

fn place(space: SpaceId, version: [u8; 4]) -> Vec<u8> {
    [WRAPPED_HEADER.as_slice(), &version, space.as_bytes()].concat()
}

fn unreadable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    crate::error::corrupt(source)
}
