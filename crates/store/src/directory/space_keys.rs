//! The wrapped data keys of spaces, where the directory is in a PostgreSQL and the spaces are sealed. What wraps them is not
//! in the database.

use std::sync::Arc;

use locule_core::Result;
use locule_core::id::SpaceId;

use super::{Directory, erased_space};
use crate::key::Cabinet;
use crate::tx::Value;

impl Cabinet for Arc<Directory> {
    fn find(&self, space: SpaceId) -> Result<Option<Vec<u8>>> {
        self.read(|tx| {
            let sql = "SELECT wrapped FROM space_keys WHERE space = $1";
            tx.first(sql, &[Value::Id(space.as_bytes())], |row| row.blob(0).map(<[u8]>::to_vec))
        })
    }

    fn put(&self, space: SpaceId, wrapped: &[u8]) -> Result<()> {
        let wrapped = wrapped.to_vec();
        let there = self.write(move |tx| {
            // A space that is being erased gets no key any more.
            tx.execute(
                "INSERT INTO space_keys (space, wrapped) SELECT id, $1 FROM spaces WHERE id = $2 AND state <> 2
                 ON CONFLICT (space) DO NOTHING",
                &[Value::Blob(&wrapped), Value::Id(space.as_bytes())],
            )?;
            tx.first("SELECT 1 FROM space_keys WHERE space = $1", &[Value::Id(space.as_bytes())], |_| Ok(()))
        })?;
        there.ok_or_else(erased_space)
    }

    fn destroy(&self, space: SpaceId) -> Result<bool> {
        let sql = "DELETE FROM space_keys WHERE space = $1";
        let destroyed = self.write(move |tx| tx.execute(sql, &[Value::Id(space.as_bytes())]))?;
        Ok(destroyed > 0)
    }

    fn residue(&self, space: SpaceId) -> Vec<String> {
        // Where it cannot be looked, something may be left.
        match self.find(space) {
            Ok(None) => Vec::new(),
            _ => vec![format!("the key of space {} in the directory", space.name())],
        }
    }
}

#[cfg(test)]
mod tests {
    use locule_core::Code;
    use locule_core::clock::Sources;
    use locule_core::directory::Directory as _;
    use locule_core::id::{Identity, Issuer};
    use locule_testbed::Flavour;

    use super::*;
    use crate::key::{KeyRing, MasterKey};
    use crate::postgres::{Address, Pooler, Prefix, Server, Wanted, migrate};
    use crate::seal::Secret;

    #[test]
    fn a_key_lies_in_the_directory_until_it_is_destroyed_or_its_space_forgotten() -> Result<()> {
        let sources = Sources::system();
        let database = locule_testbed::Postgres::shared(Flavour::Debian15).fresh_database();
        let privileged = Address::parse(&database.url())?;
        let server = Server::new(privileged.anybody(), Pooler::None, Prefix::parse("keys")?, Secret::random(&sources));
        migrate(
            &privileged,
            &server,
            &Wanted { layout: crate::PostgresLayout::Schema, model: None, pgvector: false, unless_done: false },
        )?;
        let directory = Directory::in_postgres(
            &server,
            crate::clusters::Placing::at("schema".try_into()?),
            Issuer::default(),
            Secret::random(&sources),
            sources.clone(),
        )?;
        let provision = |name: &str| {
            let identity = Identity { issuer: Issuer::default(), subject: name.try_into()? };
            directory.provision(&identity).map(|chamber| chamber.id)
        };
        let (alice, bob) = (provision("alice")?, provision("bob")?);
        let root = tempfile::tempdir().unwrap();
        let master = MasterKey::create(&root.path().join("master.key"), &sources)?;
        let keys = KeyRing::new(directory.clone(), master, sources.clone());

        assert!(keys.find(alice)?.is_none());
        let made: Vec<_> = std::thread::scope(|scope| {
            let making: Vec<_> = (0..4).map(|_| scope.spawn(|| keys.create(alice))).collect();
            making.into_iter().map(|making| making.join().unwrap()).collect::<Result<_>>()
        })?;
        assert!(made.iter().all(|key| key.as_bytes() == made[0].as_bytes()));
        assert_eq!(keys.find(alice)?.unwrap().as_bytes(), made[0].as_bytes());
        assert_ne!(keys.create(bob)?.as_bytes(), made[0].as_bytes());
        // One that lies in another's place opens nothing.
        database.psql(
            "UPDATE locule.space_keys SET wrapped = (SELECT wrapped FROM locule.space_keys JOIN locule.spaces
             ON id = space WHERE subject = 'alice') FROM locule.spaces WHERE id = space AND subject = 'bob'",
        );
        assert_eq!(keys.find(bob).err().map(|error| error.code()), Some(Code::SpaceCorrupt));
        assert_eq!(keys.residue(alice).len(), 1);
        assert_eq!((keys.destroy(alice)?, keys.destroy(alice)?), (true, false));
        assert_eq!(keys.residue(alice), Vec::<String>::new());

        database.psql("UPDATE locule.spaces SET state = 2");
        assert_eq!(keys.create(alice).err().map(|error| error.code()), Some(Code::SpaceErased));
        for closed in directory.unfinished()? {
            directory.forget(&closed, locule_core::audit::Actor::Nobody, String::new())?;
        }
        assert_eq!(database.psql("SELECT count(*) FROM locule.space_keys"), "0");
        Ok(())
    }
}
