//! The one home of files: private to their owner, durable when a call returns, never replaced by accident.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use locule_core::clock::Sources;

/// Makes a directory, and those above it, for its owner alone.
pub fn create_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a small file whole; `None` when it is not there.
#[expect(clippy::disallowed_methods, reason = "the home of file reading")]
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(1 << 20).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file that an operator names, to be read.
#[expect(clippy::disallowed_methods, reason = "the home of file opening")]
pub fn reading(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A file that was made just now, to be filled.
#[expect(clippy::disallowed_methods, reason = "the home of file opening")]
pub fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Whether anybody but the owner may read the file.
pub fn readable_by_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Puts a file there with these bytes unless one is there, durably and all at once. Says whether it was us.
pub fn create_new(path: &Path, bytes: &[u8], sources: &Sources) -> io::Result<bool> {
    let temporary = beside(path, sources);
    let mut file = private(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| publish(&temporary, path)).inspect_err(|_| drop(remove(&temporary)))
}

/// An empty private file under a name that nobody else uses, beside `path`.
pub fn create_temporary(path: &Path, sources: &Sources) -> io::Result<PathBuf> {
    let temporary = beside(path, sources);
    private(&temporary)?;
    Ok(temporary)
}

/// Gives a finished file its name unless the name is taken, durably. The temporary name is gone either way.
pub fn publish(temporary: &Path, path: &Path) -> io::Result<bool> {
    // A link fails where the name is taken; a rename would replace what another process has just put there.
    let linked = match fs::hard_link(temporary, path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    remove(temporary)?;
    sync_parent(path)?;
    Ok(linked)
}

/// Makes a file's bytes durable.
#[expect(clippy::disallowed_methods, reason = "the home of file opening")]
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Overwrites a small file in place and removes it, durably. Needs no free space. Says whether there was one.
#[expect(clippy::disallowed_methods, reason = "the home of file opening")]
pub fn shred(path: &Path) -> io::Result<bool> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len().min(1 << 20) as usize;
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    remove(path)?;
    sync_parent(path)?;
    Ok(true)
}

/// Removes a file. Says whether there was one.
#[expect(clippy::disallowed_methods, reason = "the home of file removing")]
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Every file beside `path` that is named like it up to the first dot: itself, what SQLite keeps beside it, and unfinished
/// ones, which may be second names of it.
pub fn of_one_name(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(parent), Some(stem)) = (path.parent(), path.file_stem()) else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if name.as_encoded_bytes().split(|&byte| byte == b'.').next() == Some(stem.as_encoded_bytes()) {
            found.push(parent.join(name));
        }
    }
    Ok(found)
}

/// Makes additions to and removals from a file's directory durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync)
}

fn beside(path: &Path, sources: &Sources) -> PathBuf {
    let random = u64::from_le_bytes(sources.bytes());
    path.with_extension(format!("{random:016x}.{TEMPORARY}"))
}

/// How the names of unfinished files end; the sweep removes old ones.
pub const TEMPORARY: &str = "new";

#[expect(clippy::disallowed_methods, reason = "the home of file making")]
fn private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The process's umask may have taken more away, never given more; say exactly what is meant.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Room kept back on the disk, so that what must be written on a full one can be.
pub struct Reserve(PathBuf);

/// Enough for the few pages of some dozens of erasures.
const RESERVE_BYTES: usize = 512 * 1024;

impl Reserve {
    /// The room kept back for this file, beside it.
    pub fn beside(path: &Path) -> Self {
        Reserve(path.with_file_name("reserve"))
    }

    /// Takes the room again, if the disk has it and it is not taken already. Without it everything else works.
    pub fn keep(&self, sources: &Sources) {
        if self.0.exists() {
            return;
        }
        // Random bytes, which no file system stores in less room than they take.
        let mut bytes = vec![0; RESERVE_BYTES];
        sources.entropy.fill(&mut bytes);
        if let Err(error) = create_new(&self.0, &bytes, sources) {
            tracing::warn!(%error, "no room could be kept back: on a full disk erasing would have to wait");
        }
    }

    /// Gives it up. Says whether there was any.
    pub fn release(&self) -> bool {
        remove(&self.0).unwrap_or(false)
    }
}
