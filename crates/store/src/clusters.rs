//! Users of one directory over several PostgreSQL: which there are, and where a new space goes.

use std::collections::HashMap;
use std::sync::Arc;

use locule_core::id::SpaceId;
use locule_core::{Error, Place, Result};

use crate::awaited::{Awaited, Trial};
use crate::directory::Directory;
use crate::layout::Layout;
use crate::places::Places;
use crate::postgres::seals::Seals;
use crate::postgres::{self, Databases, Kept, Rows, Schemas, Server};
use crate::{Postgres, PostgresLayout};

/// What the database is called that has the directory.
pub const MAIN: &str = "main";

/// The PostgreSQL that keep spaces beside the one that has the directory.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// They.
    pub others: Vec<Cluster>,
    /// The share of new spaces that go to the one with the directory.
    pub weight_of_main: u32,
}

/// One PostgreSQL: a server, or a group of which one is the first.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What the directory calls it.
    pub name: String,
    /// Where it is.
    pub address: postgres::Address,
    /// Its share of new spaces, as against the others'.
    pub weight: u32,
}

/// None beside.
impl Default for Clusters {
    fn default() -> Self {
        Clusters { others: Vec::new(), weight_of_main: 1 }
    }
}

impl Cluster {
    /// Passes a name that a place can have.
    pub fn check_name(name: &str) -> Result<()> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if name == MAIN || name.is_empty() || name.len() > 24 || !name.bytes().all(fits) {
            return Err(Error::invalid(
                "A cluster is called by 1 to 24 lower-case letters, digits and dashes; `main` is the one with the directory.",
            ));
        }
        Ok(())
    }
}

/// Where new spaces go: by chance, in proportion to the weights. The chance is in the space's id, so that whoever asks again
/// is answered the same.
#[derive(Clone, Debug)]
pub struct Placing {
    /// Where rows are that say nothing of it.
    pub usual: Place,
    shares: Vec<(Place, u64)>,
}

impl Placing {
    /// All to one place.
    pub fn at(usual: Place) -> Self {
        Placing { usual, shares: vec![(usual, 1)] }
    }

    /// Where the space goes.
    pub fn of(&self, space: SpaceId) -> Place {
        let total: u64 = self.shares.iter().map(|(_, share)| share).sum();
        let [a, b, c, d, e, f, g, h, ..] = *space.as_bytes();
        let mut left = u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(total).unwrap_or(0);
        for (place, share) in &self.shares {
            match left.checked_sub(*share) {
                None => return *place,
                Some(rest) => left = rest,
            }
        }
        self.usual
    }
}

/// The place of a layout on a cluster.
pub fn place(layout: PostgresLayout, cluster: &str) -> Result<Place> {
    let word = layout.word();
    if cluster == MAIN { Place::try_from(word) } else { Place::try_from(&*format!("{word}:{cluster}")) }
}

impl Postgres {
    /// The address of a cluster.
    pub fn address_of(&self, cluster: &str) -> Result<&postgres::Address> {
        if cluster == MAIN {
            return Ok(&self.address);
        }
        let found = self.clusters.others.iter().find(|other| other.name == cluster);
        found.map(|found| &found.address).ok_or_else(|| {
            let names: Vec<_> = self.clusters.others.iter().map(|other| other.name.as_str()).collect();
            Error::invalid(format!("There is no cluster {cluster:?}: there are main {}.", names.join(" ")))
        })
    }

    /// The same installation with only one cluster, which is called main then.
    pub fn alone(&self, cluster: &str) -> Result<Self> {
        let address = self.address_of(cluster)?.clone();
        Ok(Postgres { address, clusters: Clusters::default(), ..self.clone() })
    }

    /// Where new spaces go.
    pub(crate) fn placing(&self) -> Result<Placing> {
        let usual = place(self.layout, MAIN)?;
        let mut shares = vec![(usual, u64::from(self.clusters.weight_of_main))];
        for cluster in &self.clusters.others {
            shares.push((place(self.layout, &cluster.name)?, u64::from(cluster.weight)));
        }
        Ok(Placing { usual, shares })
    }

    /// Every layout on every cluster: spaces may be on their way from one to another. A cluster that holds its users apart no
    /// more is refused, and one that does not answer is waited for.
    pub(crate) fn places(&self, main: &Server, directory: &Arc<Directory>, seals: &Arc<Seals>) -> Result<Places> {
        let mut places = HashMap::new();
        for layout in PostgresLayout::ALL {
            let place = place(layout, MAIN)?;
            places.insert(place, self.layout_at(layout, place, main.clone(), directory, seals.clone()));
        }
        for cluster in &self.clusters.others {
            let server = main.at(cluster.address.clone());
            let trial = Arc::new(self.trial(&cluster.name, server.clone())?);
            trial.begin()?;
            for layout in PostgresLayout::ALL {
                let place = place(layout, &cluster.name)?;
                let layout = self.layout_at(layout, place, server.clone(), directory, seals.clone());
                places.insert(place, Box::new(Awaited::new(layout, trial.clone())));
            }
        }
        Ok(Places::new(place(self.layout, MAIN)?, places))
    }

    /// What must be so of a cluster before anything is served from it.
    fn trial(&self, cluster: &str, server: Server) -> Result<Trial> {
        let alone = self.alone(cluster)?;
        Ok(Trial::new(cluster, move || {
            postgres::refuse_wrong_pooler(&server)?;
            postgres::refuse_what_leaks(&alone, &server)
        }))
    }

    fn layout_at(
        &self,
        layout: PostgresLayout,
        place: Place,
        server: Server,
        directory: &Arc<Directory>,
        seals: Arc<Seals>,
    ) -> Box<dyn Layout> {
        let (max, own) = (self.connections_max, directory.clone());
        match layout {
            PostgresLayout::Rls => Box::new(Kept::new(Rows::new(server, directory.clone()), max, place, own, seals)),
            PostgresLayout::Schema => Box::new(Kept::new(Schemas::new(server), max, place, own, seals)),
            PostgresLayout::Database => Box::new(Kept::new(Databases::new(server), max, place, own, seals)),
        }
    }
}

#[cfg(test)]
mod tests {
    use locule_core::clock::Sources;

    use super::*;

    #[test]
    fn new_spaces_are_spread_by_weight_and_each_stays_where_it_is() {
        let place = |word: &str| Place::try_from(word).unwrap();
        let (main, east, none) = (place("rls"), place("rls:east"), place("rls:none"));
        let placing = Placing { usual: main, shares: vec![(main, 1), (none, 0), (east, 3)] };
        let sources = Sources::system();
        let spaces: Vec<_> = (0..4_000).map(|_| SpaceId::random(&sources)).collect();
        let count = |wanted| spaces.iter().filter(|space| placing.of(**space) == wanted).count();
        assert_eq!(count(none), 0);
        // Three quarters of 4,000, by more than ten deviations either way.
        assert!((2_700..3_300).contains(&count(east)), "{}", count(east));
        assert!(spaces.iter().all(|space| placing.of(*space) == placing.of(*space)));
        let nowhere = Placing { usual: main, shares: vec![(main, 0), (east, 0)] };
        assert_eq!(nowhere.of(spaces[0]), main);
    }

    #[test]
    fn a_cluster_has_a_name_that_a_place_can_have() {
        for name in ["main", "", "Berlin", "a:b", &"x".repeat(25)] {
            assert!(Cluster::check_name(name).is_err(), "{name}");
        }
        Cluster::check_name("berlin-2").unwrap();
        super::place(PostgresLayout::Database, &"x".repeat(24)).unwrap();
    }
}
