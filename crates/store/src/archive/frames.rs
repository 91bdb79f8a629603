//! The bytes of an archive: frames, each sealed under the key of its section and bound to its place, and at the end a digest
//! of everything, without which an archive is none.
//!
//! `locule backup 1\n`, 16 bytes of the archive's id, frames, trailer. A frame is its kind (1 byte), its section (4 bytes), its
//! length (4 bytes) and so many sealed bytes. The trailer is `Z` and the SHA-256 of all before it.

use std::io::{self, Read, Write};

use locule_core::clock::Sources;
use locule_core::{Code, Error, Result};
use sha2::{Digest as _, Sha256};

use crate::error::of_disk;
use crate::seal::Secret;

const MAGIC: &[u8] = b"locule backup 1\n";

/// What the last frame begins with.
const TRAILER: u8 = b'Z';

/// No frame is longer: some rows, each of which is bounded.
const FRAME_MAX: usize = 256 << 20;

/// What an archive is called by, so that its keys are known to be its own.
pub type Id = [u8; 16];

/// Writes frames.
pub struct Writer<W: Write> {
    out: W,
    id: Id,
    hash: Sha256,
    frames: u64,
    sources: Sources,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn begin(out: W, sources: Sources) -> Result<Self> {
        let id = sources.bytes();
        let mut writer = Writer { out, id, hash: Sha256::new(), frames: 0, sources };
        writer.put(MAGIC)?;
        writer.put(&id)?;
        Ok(writer)
    }

    /// Its id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Writes one frame.
    pub fn frame(&mut self, key: &Secret, section: u32, kind: u8, plain: &[u8]) -> Result<()> {
        let sealed = key.seal(plain, &place(&self.id, section, kind, self.frames), &self.sources);
        self.frames += 1;
        let length = u32::try_from(sealed.len()).map_err(Error::internal)?;
        self.put(&[kind])?;
        self.put(&section.to_be_bytes())?;
        self.put(&length.to_be_bytes())?;
        self.put(&sealed)
    }

    /// Ends the archive.
    pub fn end(mut self) -> Result<W> {
        let digest = self.hash.clone().chain_update([TRAILER]).finalize();
        self.put(&[TRAILER])?;
        self.out.write_all(&digest).and_then(|()| self.out.flush()).map_err(of_disk)?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(of_disk)
    }
}

/// One frame as it was written.
pub struct Frame {
    pub section: u32,
    pub kind: u8,
    sealed: Vec<u8>,
    number: u64,
}

/// Reads frames.
pub struct Reader<R: Read> {
    input: R,
    id: Id,
    hash: Sha256,
    frames: u64,
}

impl<R: Read> Reader<R> {
    /// Begins to read an archive.
    pub fn begin(input: R) -> Result<Self> {
        let mut reader = Reader { input, id: [0; 16], hash: Sha256::new(), frames: 0 };
        let mut magic = [0; MAGIC.len()];
        reader.take(&mut magic)?;
        if magic != MAGIC {
            return Err(damaged("it does not begin like one"));
        }
        let mut id = [0; 16];
        reader.take(&mut id)?;
        reader.id = id;
        Ok(reader)
    }

    /// Its id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The next frame; `None` after the last, if all that was read is as it was written.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        let mut kind = [0];
        self.take(&mut kind)?;
        if kind[0] == TRAILER {
            let expected: [u8; 32] = self.hash.clone().finalize().into();
            let mut digest = [0; 32];
            self.take(&mut digest)?;
            let mut more = [0];
            return match self.input.read(&mut more).map_err(of_disk)? {
                0 if digest == expected => Ok(None),
                0 => Err(damaged("its digest is of something else")),
                _ => Err(damaged("something stands behind its end")),
            };
        }
        let (mut section, mut length) = ([0; 4], [0; 4]);
        self.take(&mut section)?;
        self.take(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_MAX {
            return Err(damaged("a part of it is longer than any"));
        }
        let mut sealed = Vec::new();
        let read = (&mut self.input).take(length as u64).read_to_end(&mut sealed).map_err(of_disk)?;
        if read < length {
            return Err(damaged("it is cut short"));
        }
        self.hash.update(&sealed);
        self.frames += 1;
        Ok(Some(Frame { section: u32::from_be_bytes(section), kind: kind[0], sealed, number: self.frames - 1 }))
    }

    /// What is in a frame.
    pub fn open(&self, frame: &Frame, key: &Secret) -> Result<Vec<u8>> {
        key.open(&frame.sealed, &place(&self.id, frame.section, frame.kind, frame.number))
            .ok_or_else(|| damaged("a part of it does not open with its key"))
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is cut short"),
            _ => of_disk(error),
        })?;
        self.hash.update(bytes);
        Ok(())
    }
}

fn place(id: &Id, section: u32, kind: u8, number: u64) -> Vec<u8> {
    [id.as_slice(), &section.to_be_bytes(), &[kind], &number.to_be_bytes()].concat()
}

/// The archive is none, or not whole.
pub fn damaged(why: &str) -> Error {
    Error::new(Code::Invalid, format!("This is no whole backup: {why}. Nothing was changed."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(key: &Secret) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), Sources::system()).unwrap();
        for (number, text) in ["one", "two", "three"].iter().enumerate() {
            writer.frame(key, number as u32 % 2, b'R', text.as_bytes()).unwrap();
        }
        writer.end().unwrap()
    }

    fn texts(bytes: &[u8], key: &Secret) -> Result<Vec<Vec<u8>>> {
        let mut reader = Reader::begin(bytes)?;
        let mut texts = Vec::new();
        while let Some(frame) = reader.next()? {
            texts.push(reader.open(&frame, key)?);
        }
        Ok(texts)
    }

    #[test]
    fn what_is_read_is_what_was_written_and_all_of_it() {
        let key = Secret::random(&Sources::system());
        let bytes = archive(&key);
        assert_eq!(texts(&bytes, &key).unwrap(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        for end in 0..bytes.len() {
            assert!(texts(&bytes[..end], &key).is_err(), "cut at {end}");
        }
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert!(texts(&flipped, &key).is_err(), "changed at {place}");
        }
        assert!(texts(&[&bytes[..], b"x"].concat(), &key).is_err());
        assert!(texts(&bytes, &Secret::random(&Sources::system())).is_err());
    }
}
