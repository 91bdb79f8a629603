//! Anything in any order: several people, each with a plain map of what they should see, and a seed to find a failure again.
//!
//! `LOCULE_SEEDS=1000` runs more; `LOCULE_SEED=7` runs one.
//!
//! What follows from a seed is the same on every layout, to the last answer.

mod answers;
pub mod context;
mod memories;
pub mod mesh;
mod person;
mod relationships;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use locule_core::context::{Entry, EntryQuery};
use locule_core::memory::Memory;
use locule_core::relationship::Relationship;
use locule_core::{Code, Result};
use locule_store::vector::encode;

use self::answers::Answers;
use self::context::{Heard, plain};
use self::person::Person;
use crate::house::{
    DATABASE, Dice, ENCRYPTED, House, Layout, PLAIN, Process, RLS, RLS_SEALED, SCHEMA, User, code, model,
};

const SEEDS: u64 = 64;
const STEPS: usize = 300;

/// How many seeds are run on every layout.
const SEEDS_EVERYWHERE: u64 = 3;
const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[test]
fn everybody_sees_what_they_should_whatever_anybody_does() {
    for_each_seed(SEEDS, |seed| {
        run(seed, if seed % 4 == 3 { &PLAIN } else { &ENCRYPTED });
    });
}

#[test]
fn on_every_layout_the_same_answers_follow_from_a_seed() {
    for_each_seed(SEEDS_EVERYWHERE, |seed| {
        let expected = run(seed, &ENCRYPTED);
        assert!(expected.len() > STEPS / 2 && expected.iter().any(|line| line.contains("#9")));
        for layout in [&PLAIN, &RLS, &RLS_SEALED, &SCHEMA, &DATABASE] {
            let found = run(seed, layout);
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected, found, "in files and as {:?}, sealed: {}", layout.postgres, layout.sealed);
            }
            assert_eq!(expected.len(), found.len());
        }
    });
}

fn for_each_seed(usual: u64, run: impl Fn(u64) + Sync) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, count) = match number("LOCULE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("LOCULE_SEEDS").unwrap_or(usual)),
    };
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                        eprintln!("LOCULE_SEED={seed} finds it again");
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}

/// Lets everything happen that follows from a seed. Gives back what was answered.
fn run(seed: u64, layout: &Layout) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let house = House::quick(layout, |options| {
        options.connection_bytes = 0;
        options.vector_bytes = *dice.pick(&[0, 5_000, 1 << 20]);
        options.quota.memories_max = 40;
        (options.quota.entries_max, options.quota.agents_max) = (mesh::ENTRIES_MAX as u64, mesh::AGENTS_MAX as u64);
    });
    let people = if seed.is_multiple_of(2) { 2 } else { 4 };
    let mut town = Town { house, beside: None, people: Vec::new(), now: 0, dice, answers: Answers::default() };
    town.people.resize_with(people, Person::default);
    for step in 0..STEPS {
        let who = town.dice.below(people);
        town.step(who, &format!("seed {seed} step {step} {}", PEOPLE[who]));
    }
    for who in 0..people {
        town.check(who, &format!("seed {seed} at the end"));
        town.look(who, &format!("seed {seed} at the end"));
    }
    town.answers.all
}

struct Town {
    house: House,
    /// Another program on the same data, at times.
    beside: Option<Process>,
    people: Vec<Person>,
    now: i64,
    dice: Dice,
    answers: Answers,
}

impl Town {
    fn step(&mut self, who: usize, when: &str) {
        match self.dice.below(78) {
            0..=9 => self.add(who, when),
            10..=13 => self.get(who, when),
            14..=16 => self.check(who, when),
            17..=20 => self.search(who, when),
            21..=25 => self.update(who, when),
            26..=29 => self.delete(who, when),
            30 => self.delete_all(who, when),
            31 | 32 => self.wait(),
            33 => self.move_house(who, when),
            34 => self.suspend(who),
            35 => self.erase(who, when),
            36 => self.house.reopen_with(&mut self.beside),
            37 => self.beside = if self.beside.is_some() { None } else { Some(self.house.neighbour()) },
            38 => self.house.store.spaces.publish().unwrap(),
            40..=44 => self.relate(who, when),
            45 => self.unrelate(who, when),
            46..=48 => self.walk(who, when),
            49..=51 => self.promote(who, when),
            52 => self.end_run(who, when),
            53 => self.clean_up(who, when),
            54..=77 => self.mesh(who, when),
            _ => self.house.store.spaces.close().unwrap(),
        }
    }

    fn user(&mut self, who: usize) -> User<'_> {
        let beside = self.dice.one_in(3);
        let process = match &self.beside {
            Some(process) if beside => process,
            _ => &*self.house,
        };
        User { process, name: PEOPLE[who] }
    }

    fn moment(&self) -> Timestamp {
        Timestamp::from_second(crate::house::noon().as_second() + self.now).unwrap()
    }

    /// `None` where the refusal is the right one: a space that is suspended answers nothing else.
    fn allowed<T: Debug>(&mut self, who: usize, outcome: Result<T>, when: &str) -> Option<Result<T>> {
        self.answers.note(when, &outcome);
        if self.people[who].suspended {
            assert_eq!(code(outcome), Some(Code::SpaceSuspended), "{when}");
            return None;
        }
        Some(outcome)
    }

    fn wait(&mut self) {
        let seconds = self.dice.below(60) as i64;
        self.house.clock.advance_s(seconds);
        self.now += seconds;
        let now = crate::house::noon().as_second() + self.now;
        for person in &mut self.people {
            person.memories.retain(|_, memory| memory.expiration.is_none_or(|expiration| expiration.as_second() > now));
            person.tidy();
        }
    }

    /// Takes everything along, is erased, and comes back with it.
    fn move_house(&mut self, who: usize, when: &str) {
        let (mut luggage, mut strings, mut shared) = (Vec::new(), Vec::new(), Vec::new());
        let outcome = self.user(who).read(|reader| {
            reader.export(&mut |memory, vector| {
                luggage.push((memory, vector));
                Ok(())
            })?;
            reader.export_relationships(&mut |relationship| {
                strings.push(relationship);
                Ok(())
            })?;
            reader.context_entries(&EntryQuery::default(), &mut |entry| {
                shared.push(entry);
                Ok(())
            })?;
            reader.context_agents()
        });
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let agents = outcome.unwrap();
        assert_eq!(
            shared,
            self.people[who].mesh.live(self.moment()).into_iter().cloned().collect::<Vec<_>>(),
            "{when}"
        );
        let expected: Vec<Memory> = self.people[who].memories.values().cloned().collect();
        assert_eq!(luggage.iter().map(|(memory, _)| memory.clone()).collect::<Vec<_>>(), expected, "{when}");
        let tied: Vec<Relationship> = self.people[who].relationships.values().cloned().collect();
        assert_eq!(strings, tied, "{when}");
        let moves = self.dice.one_in(2);
        if moves {
            self.user(who).erase().unwrap();
            // The new space knows of no more than is brought along.
            self.people[who].ids = luggage.iter().map(|(memory, _)| memory.id).collect();
            self.people[who].relationship_ids = strings.iter().map(|one| one.id).collect();
            self.people[who].mesh.entries.clone_from(&shared);
            self.people[who].heard = Heard::default();
        }
        self.user(who)
            .write(|writer| {
                for (memory, vector) in &luggage {
                    writer.import(&model(), memory, encode(vector).unwrap())?;
                }
                for one in &strings {
                    assert_eq!(writer.import_relationship(one)?, moves, "{when}");
                }
                if moves {
                    for agent in &agents {
                        writer.subscribe(&agent.name, agent.topics.clone())?;
                        agent.posts.as_ref().map(|posts| writer.permit(&agent.name, posts.clone())).transpose()?;
                    }
                    shared.iter().try_for_each(|entry| writer.put_context(entry.clone()).map(drop))?;
                }
                writer.note_import(luggage.len() as u64)
            })
            .unwrap();
        if moves {
            assert_eq!(agents.into_iter().map(plain).collect::<Vec<_>>(), self.people[who].mesh.agents, "{when}");
            let written: Vec<Entry> = self.user(who).entries(&EntryQuery::default());
            for (entry, written) in self.people[who].mesh.entries.iter_mut().zip(&written) {
                entry.revision = written.revision;
            }
            assert_eq!(written, self.people[who].mesh.entries, "{when}");
        }
        self.people[who].known = true;
    }

    /// With what has expired out of the way, the figures are those of the map, to the byte.
    fn clean_up(&mut self, who: usize, when: &str) {
        let outcome = self.user(who).write(|writer| {
            while writer.sweep()? > 0 {}
            writer.remove_expired_context()
        });
        let Some(outcome) = self.allowed(who, outcome, when) else { return };
        let (mesh, expired) = self.people[who].mesh.remove_expired(self.moment());
        assert_eq!(outcome.unwrap(), expired, "{when}");
        (self.people[who].known, self.people[who].mesh) = (true, mesh);
        let state = self.user(who).read(|reader| reader.state()).unwrap();
        let person = &self.people[who];
        assert_eq!((state.memories as usize, state.size_bytes), (person.memories.len(), person.size()), "{when}");
    }

    fn suspend(&mut self, who: usize) {
        if self.people[who].known {
            let suspended = !self.people[who].suspended;
            self.user(who).suspend(suspended);
            self.people[who].suspended = suspended;
        }
    }

    fn erase(&mut self, who: usize, when: &str) {
        let ids = std::mem::take(&mut self.people[who].ids);
        self.user(who).erase().unwrap();
        self.people[who] = Person::default();
        for id in ids.iter().take(3) {
            assert_eq!(code(self.user(who).get(*id)), Some(Code::NotFound), "{when}");
        }
    }
}

impl House {
    fn reopen_with(&mut self, beside: &mut Option<Process>) {
        if self.options.vector_bytes == 0 {
            *beside = None;
        }
        self.reopen();
    }
}
