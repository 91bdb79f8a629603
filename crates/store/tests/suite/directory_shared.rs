//! What holds of the directory in a PostgreSQL only: what others see of it there, and what happens when it goes away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use locule_core::audit::Actor;
use locule_core::auth::KeyKind;
use locule_core::clock::ManualClock;
use locule_core::directory::{Directory as _, State};
use locule_core::policy::Act;
use locule_core::{Code, Request};
use locule_store::PostgresLayout;
use locule_store::directory::Published;
use locule_testbed::{Postgres, Proxy, Setup};

use crate::directory::{Home, Installation, Place, Stop, breathe, for_each_postgres};
use crate::house::{Process, code, identity, noon};

for_each_postgres! {
    a_change_made_by_hand_counts_at_once
    a_figure_or_a_record_takes_nobodys_answer_away
    rows_belong_to_the_subject_or_to_nobody_of_that_name
    refusals_stand_in_the_history_until_the_person_is_forgotten
    a_history_that_is_somebody_elses_is_left_alone
    what_is_on_record_stays_on_record
    a_database_that_goes_away_is_said_to_and_comes_back
    connections_that_are_cut_lose_nothing_that_was_acknowledged
    what_becomes_of_a_commit_without_an_answer_is_not_acknowledged
    a_database_without_the_tables_says_how_to_make_them
}

fn a_change_made_by_hand_counts_at_once(home: Home) {
    let place = Place::new(home);
    place.provision("alice");
    let key = place.add_key(KeyKind::Operator);
    assert!(place.directory().key(&key.id).unwrap().is_some());
    assert_eq!(place.alice().standing().state, State::Open);
    place
        .installation
        .database()
        .psql("UPDATE locule.spaces SET state = 1 WHERE subject = 'alice'; DELETE FROM locule.keys");
    assert_eq!(place.alice().standing().state, State::Suspended);
    assert!(place.directory().key(&key.id).unwrap().is_none());
}

fn a_figure_or_a_record_takes_nobodys_answer_away(home: Home) {
    let place = Place::new(home);
    let alice = place.provision("alice");
    let mark = || place.installation.database().psql("SELECT version, mark FROM locule.version");
    let before = mark();
    place.directory().publish(vec![(alice.id, Published { memories: 1, size_bytes: 1, revision: 1 })]).unwrap();
    place.meddle(place.alice(), "bob");
    assert_eq!(mark(), before);
    place.provision("bob");
    assert_ne!(mark(), before);
}

fn rows_belong_to_the_subject_or_to_nobody_of_that_name(home: Home) {
    let place = Place::new(home);
    let alice = place.provision("alice");
    let mut elsewhere = identity("alice");
    elsewhere.issuer = "https://elsewhere.example".try_into().unwrap();
    let other = place.directory().provision(&elsewhere).unwrap();
    let owner = |space| place.directory().owner(space);
    assert_eq!(owner(alice.id).unwrap(), "alice");
    assert_eq!(owner(other.id).unwrap(), format!("urn:locule:space:{}", other.id.name()));
    // Somebody who had the name while another issuer was the default keeps it.
    place
        .installation
        .database()
        .psql("UPDATE locule.spaces SET owner = 'bob' WHERE subject = 'alice' AND owner <> 'alice'");
    let bob = place.provision("bob");
    assert_eq!(owner(bob.id).unwrap(), format!("urn:locule:space:{}", bob.id.name()));
    place.forget("alice");
    assert_eq!(code(place.another().directory().owner(alice.id)), Some(Code::SpaceErased));
    let again = place.provision("alice");
    assert_eq!(owner(again.id).unwrap(), "alice");
}

fn refusals_stand_in_the_history_until_the_person_is_forgotten(home: Home) {
    let place = Place::new(home);
    place.provision("alice");
    place.provision("bob");
    let record = |actor, target: &str| {
        let request = Request { id: "req-7".to_owned(), ..Request::default() };
        place.directory().record(locule_core::audit::SystemEntry {
            time: noon(),
            actor,
            target: Some(target.to_owned()),
            act: Act::ReadMemories.as_str(),
            outcome: locule_core::audit::Outcome::Denied(Code::NotYourSpace),
            request_id: request.id,
        })
    };
    let user = |name| Actor::User(identity(name));
    record(user("alice"), "bob").unwrap();
    record(user("bob"), "alice").unwrap();
    record(user("carol, who has no space"), "alice").unwrap();
    record(Actor::Nobody, "alice").unwrap();
    let key = place.add_key(KeyKind::User { identity: identity("bob"), read_only: false });
    record(Actor::Key(key.id.as_str().to_owned()), "al\0ice").unwrap();
    record(Actor::Key("a service".to_owned()), "alice").unwrap();
    let rows = |condition: &str| {
        place.installation.database().psql(&format!(
            "SELECT user_id, metadata ->> 'attempted_user_id', actor FROM public.memory_history
             WHERE operation = 'access_denied' AND {condition} ORDER BY ctid"
        ))
    };
    let stranger = rows("user_id LIKE 'urn:locule:somebody:%'");
    assert!(stranger.contains("|alice|urn:locule:somebody:"), "{stranger}");
    assert_eq!(
        rows("user_id NOT LIKE 'urn:locule:somebody:%'"),
        "alice|bob|alice\nbob|alice|bob\nurn:locule:nobody|alice|\n".to_owned()
            + &format!("bob|al\u{fffd}ice|{}\nurn:locule:key:a service|alice|a service", key.id.as_str())
    );
    assert_eq!(place.installation.database().psql("SELECT DISTINCT timestamp = '2026-11-24T12:00:00Z', request_id, metadata ->> 'act' FROM public.memory_history"), "t|req-7|read_memories");

    // While she is being erased she is named no more; afterwards nowhere, her own rows having gone with her space.
    let closed = place.close_door("alice");
    record(user("alice"), "bob").unwrap();
    place.installation.database().psql("DELETE FROM public.memory_history WHERE user_id = 'alice'");
    place.directory().forget(&closed, Actor::Nobody, String::new()).unwrap();
    assert_eq!(place.traces("alice"), Vec::<String>::new());
    assert!(rows("user_id = 'bob'").contains("bob|urn:locule:somebody:"));
    assert_eq!(place.installation.database().psql("SELECT count(*) FROM public.memory_history"), "6");
    assert!(place.directory().verify_trail(&place.operator()).unwrap().is_ok());
}

fn a_history_that_is_somebody_elses_is_left_alone(home: Home) {
    let Home::Postgres(flavour) = home else { panic!("not a PostgreSQL") };
    let database = Postgres::shared(flavour).fresh_database();
    let place = Place::of(Installation::new(Some(database), PostgresLayout::Schema));
    // None at all; then one that was not set up with us.
    place.meddle(place.alice(), "bob");
    place
        .installation
        .database()
        .psql("CREATE TABLE public.memory_history (user_id text, operation text, metadata jsonb)");
    place.meddle(place.alice(), "bob");
    place.provision("alice");
    place.forget("alice");
    assert_eq!(place.installation.database().psql("SELECT count(*) FROM public.memory_history"), "0");
    assert_eq!(place.directory().verify_trail(&place.operator()).unwrap(), Ok(3));
}

fn what_is_on_record_stays_on_record(home: Home) {
    let place = Place::new(home);
    place.meddle(place.alice(), "bob");
    let role = format!("of_{}_directory", place.installation.database().name());
    let may = |sql: &str| place.installation.database().try_psql(&format!("SET ROLE {role}; {sql}"));
    assert_eq!(may("SELECT count(*) FROM locule.audit").as_deref(), Ok("1"));
    let refused = [
        "UPDATE locule.audit SET outcome = 'ok'",
        "DELETE FROM locule.audit",
        "TRUNCATE locule.audit",
        "ALTER TABLE locule.audit DISABLE TRIGGER ALL",
        "DELETE FROM locule.tombstones",
        "DELETE FROM locule.version",
        "DROP TABLE locule.spaces",
        "CREATE TABLE locule.more ()",
        "INSERT INTO locule.migrations VALUES ('directory', 9, 'x')",
    ];
    for sql in refused {
        let answer = may(sql);
        assert!(
            answer.as_ref().is_err_and(|error| error.contains("permission denied") || error.contains("must be owner")),
            "{sql}: {answer:?}"
        );
    }
}

/// On a cluster of its own, to be stopped and started.
fn alone(home: Home) -> (Place, &'static Postgres) {
    let Home::Postgres(flavour) = home else { panic!("not a PostgreSQL") };
    // It ends with the program.
    let postgres: &'static _ = Box::leak(Box::new(Postgres::start(Setup::new(flavour).careless())));
    (Place::of(Installation::new(Some(postgres.fresh_database()), PostgresLayout::Rls)), postgres)
}

fn a_database_that_goes_away_is_said_to_and_comes_back(home: Home) {
    let (place, postgres) = alone(home);
    place.provision("alice");
    let find = || code(place.directory().find(&identity("alice")));
    let write = || code(place.directory().provision(&identity("bob")));
    assert_eq!((find(), write()), (None, None));
    postgres.stop_fast();
    let began = Instant::now();
    assert_eq!((find(), write()), (Some(Code::BackendUnavailable), Some(Code::BackendUnavailable)));
    assert!(code(place.directory().users(&place.operator(), None, 10)).is_some());
    assert!(began.elapsed() < Duration::from_secs(5));
    postgres.start_again();
    assert_eq!((find(), write()), (None, None));
    // Restarted while nobody asked: nobody is told.
    postgres.stop_fast();
    postgres.start_again();
    assert_eq!((find(), write()), (None, None));
    assert_eq!(place.directory().users(&place.operator(), None, 10).unwrap().len(), 2);

    postgres.freeze();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(find)).chain((0..4).map(|_| scope.spawn(write))).collect();
        for asking in asking {
            assert_eq!(asking.join().unwrap(), Some(Code::BackendUnavailable));
        }
    });
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    postgres.thaw();
    assert_eq!((find(), write()), (None, None));
}

fn connections_that_are_cut_lose_nothing_that_was_acknowledged(home: Home) {
    let (place, postgres) = alone(home);
    let other = place.another();
    place.provision("alice");
    let (stop, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let (place, other, stop, failed) = (&*place, &other, &stop, &failed);
        for process in [place, other] {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    breathe();
                    match process.directory().find(&identity("alice")) {
                        Ok(standing) => assert!(standing.space.is_some()),
                        Err(error) => assert_eq!(error.code(), Code::BackendUnavailable, "{error:?}"),
                    }
                }
            });
        }
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let process = if writer % 2 == 0 { place } else { other };
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for step in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let name = format!("user {writer} {step}");
                        match process.directory().provision(&identity(&name)) {
                            Ok(_) => acknowledged.push(name),
                            Err(error) => {
                                assert_eq!(error.code(), Code::BackendUnavailable, "{error:?}");
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let ending = Stop(stop);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(60));
            postgres.psql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE usename LIKE '%_directory' AND random() < 0.7",
            );
        }
        drop(ending);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    println!("{} acknowledged, {} failed", acknowledged.len(), failed.into_inner());
    assert!(acknowledged.len() > 10);
    for name in acknowledged {
        assert!(other.user(&name).standing().space.is_some(), "{name}");
    }
}

fn what_becomes_of_a_commit_without_an_answer_is_not_acknowledged(home: Home) {
    let place = Place::new(home);
    place.provision("alice");
    let database = place.installation.database();
    let proxy = Proxy::before(database.postgres().port());
    let far = place.another_through(&proxy.url(&database.url()));
    let find = || code(far.directory().find(&identity("alice")));
    far.provision("bob");
    for round in 0..10 {
        let name = format!("carol {round}");
        let done: Result<_, _> = std::thread::scope(|scope| {
            let (far, name) = (&far, &name);
            let writing = scope.spawn(move || far.directory().provision(&identity(name)));
            let asking = scope.spawn(find);
            // At another moment of the write each time: what was asked is done, and nobody is told.
            std::thread::sleep(Duration::from_micros(300 * round));
            proxy.mute();
            std::thread::sleep(Duration::from_millis(50));
            proxy.cut();
            assert!(matches!(asking.join().unwrap(), None | Some(Code::BackendUnavailable)));
            writing.join().unwrap()
        });
        let done = done.map_err(|error| assert_eq!(error.code(), Code::BackendUnavailable)).ok();
        assert_eq!(find(), Some(Code::BackendUnavailable));
        proxy.heal();
        // Asked again it is the same space, whether it was made the first time or only now.
        let there = place.user(&name).standing().space;
        let chamber = far.provision(&name);
        assert!(there.is_none_or(|there| there == chamber) && done.is_none_or(|done| done == chamber));
        assert_eq!(place.user(&name).standing().space, Some(chamber));
        assert_eq!(find(), None);
    }
    // A writer that has gone silent does not hold up the others for ever.
    let began = Instant::now();
    proxy.stall();
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| code(far.directory().provision(&identity("dave"))));
        place.provision("erin");
        assert_eq!(stalled.join().unwrap(), Some(Code::BackendUnavailable));
    });
    assert!(began.elapsed() < Duration::from_secs(25));
    proxy.heal();
    far.provision("dave");
}

fn a_database_without_the_tables_says_how_to_make_them(home: Home) {
    let Home::Postgres(flavour) = home else { panic!("not a PostgreSQL") };
    let installation = Installation::new(Some(Postgres::shared(flavour).fresh_database()), PostgresLayout::Rls);
    let clock = ManualClock::at(noon());
    let open = || Process::open(&installation.options, &clock).map(drop);
    let refused = open().unwrap_err();
    assert_eq!(refused.code(), Code::BackendUnavailable);
    assert!(refused.detail().contains("locule migrate"), "{refused}");
    // As often as anybody likes.
    for _ in 0..2 {
        installation.migrate().unwrap();
        open().unwrap();
    }
    installation.database().psql("UPDATE locule.migrations SET version = 0 WHERE name = 'directory'");
    assert!(open().unwrap_err().detail().contains("locule migrate"));
    installation.database().psql("UPDATE locule.migrations SET version = 99 WHERE name = 'directory'");
    assert_eq!(code(open()), Some(Code::SchemaTooNew));
    assert_eq!(code(installation.migrate()), Some(Code::SchemaTooNew));
}
